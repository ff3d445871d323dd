"""Each registry trusts its own authorities and shows its own certificate, all in one process."""

import ssl
from pathlib import Path

import pytest

from meshbridge_eureka import Eureka, Options
from rig.certificates import Authority
from rig.scripted_eureka import ScriptedEureka
from rig.waiting import until
from rig.watching import Watched, watching

pytestmark = pytest.mark.asyncio

SCOPE = "applications"


class Papers:
    """An authority with what it has signed for a server and for the bridge."""

    def __init__(self, directory: Path) -> None:
        """Write all of it to files."""
        directory.mkdir()
        authority = Authority()
        self.ca = directory / "ca.pem"
        self.ca.write_bytes(authority.certificate)
        self.server = authority.issue(directory, "localhost")
        self.bridge = authority.issue(directory, "bridge")

    def serving(self, *, mutual: bool = False) -> ScriptedEureka:
        """Return a server with its certificate; with ``mutual`` it asks for one of its own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.server)
        if mutual:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        server = ScriptedEureka(tls=context, host="localhost")
        server.registry.register("orders", "10.0.0.1", 80)
        return server

    def options(self, server: ScriptedEureka, *, mutual: bool = False) -> Options:
        """Return what a registry at a server is configured with that trusts this authority."""
        tls = {"ca": str(self.ca)}
        if mutual:
            certificate, key = self.bridge
            tls |= {"certificate": str(certificate), "key": str(key)}
        return Options.model_validate({"servers": [server.url], "tls": tls, "interval": "1s"})


async def fails(watched: Watched) -> str:
    """Return the reason why it cannot be watched."""

    async def look() -> list[str]:
        return [str(each) for each in watched.failures]

    failures, _ = await until(look, bool, within=10)
    return failures[0]


async def test_two_registries_have_authorities_and_certificates_of_their_own(
    tmp_path: Path,
) -> None:
    one, other = Papers(tmp_path / "one"), Papers(tmp_path / "other")
    async with one.serving() as plain, other.serving(mutual=True) as strict:
        first, second = one.options(plain), other.options(strict, mutual=True)
        async with (
            watching(lambda context: Eureka("one", first, context)) as trusting,
            watching(lambda context: Eureka("other", second, context)) as shown,
        ):
            await trusting.listed(SCOPE)
            await shown.listed(SCOPE)
            assert trusting.failures == shown.failures == []


async def test_a_server_of_another_authority_is_not_asked(tmp_path: Path) -> None:
    one, other = Papers(tmp_path / "one"), Papers(tmp_path / "other")
    async with one.serving() as server:
        options = other.options(server)
        async with watching(lambda context: Eureka("shop", options, context)) as watched:
            reason = await fails(watched)
            assert server.url in reason
            assert "its certificate is not trusted" in reason
            assert reason.endswith("; name the file of who signed it: tls: {ca: FILE}")
            assert server.asked == []


async def test_a_server_under_another_name_is_not_asked(tmp_path: Path) -> None:
    papers = Papers(tmp_path / "papers")
    async with papers.serving() as server:
        server.host = "127.0.0.1"
        options = papers.options(server)
        async with watching(lambda context: Eureka("shop", options, context)) as watched:
            reason = await fails(watched)
            assert "its certificate is not trusted" in reason
            assert "tls: {ca" not in reason, "that would be of no use"
            assert server.asked == []


async def test_a_bridge_without_a_certificate_is_told_so(tmp_path: Path) -> None:
    papers = Papers(tmp_path / "papers")
    async with papers.serving(mutual=True) as server:
        options = papers.options(server)
        async with watching(lambda context: Eureka("shop", options, context)) as watched:
            assert "ask for a certificate" in await fails(watched)


async def test_a_file_that_is_no_certificate_is_named_and_may_be_mended(tmp_path: Path) -> None:
    papers = Papers(tmp_path / "papers")
    right = papers.ca.read_bytes()
    papers.ca.write_text("nothing")
    async with papers.serving() as server:
        options = papers.options(server)
        async with watching(lambda context: Eureka("shop", options, context)) as watched:
            assert str(papers.ca) in await fails(watched)
            papers.ca.write_bytes(right)
            await watched.listed(SCOPE)


async def test_http_at_a_port_for_https_is_asked_after(tmp_path: Path) -> None:
    papers = Papers(tmp_path / "papers")
    async with papers.serving() as server:
        plain = Options.model_validate({"servers": [server.url.replace("https", "http")]})
        async with watching(lambda context: Eureka("shop", plain, context)) as watched:
            assert (await fails(watched)).endswith("; is its port one for https://?")
