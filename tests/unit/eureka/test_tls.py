"""Each registry trusts its own authorities and shows its own certificate, all in one process."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
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
        server = ScriptedEureka(tls=self.context(mutual=mutual), host="localhost")
        server.registry.register("orders", "10.0.0.1", 80)
        return server

    def context(self, *, mutual: bool) -> ssl.SSLContext:
        """Return what such a server speaks TLS with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.server)
        if mutual:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context

    def options(self, server: ScriptedEureka, *, mutual: bool = False) -> Options:
        """Return what a registry at a server is configured with that trusts this authority."""
        tls = {"ca": str(self.ca)}
        if mutual:
            certificate, key = self.bridge
            tls |= {"certificate": str(certificate), "key": str(key)}
        return Options.model_validate({"servers": [server.url], "tls": tls, "interval": "1s"})


@asynccontextmanager
async def alerting(context: ssl.SSLContext) -> AsyncGenerator[str]:
    """Give the URL of a server that says why it ends TLS; asyncio's hang up without a word."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard, said = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(heard, said, server_side=True)
        with suppress(OSError):
            while data := await reader.read(65_536):
                heard.write(data)
                with suppress(ssl.SSLError):  # also where there is more to hear
                    tls.do_handshake()
                writer.write(said.read())
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port: int = server.sockets[0].getsockname()[1]
        yield f"https://localhost:{port}/eureka"


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


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_what_a_server_says_to_a_bridge_without_a_certificate_is_told(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    papers = Papers(tmp_path / "papers")
    context = papers.context(mutual=True)
    context.minimum_version = context.maximum_version = version
    async with alerting(context) as url:
        options = Options.model_validate({"servers": [url], "tls": {"ca": str(papers.ca)}})
        async with watching(lambda context: Eureka("shop", options, context)) as watched:
            reason = await fails(watched)
            assert "it ended TLS: " in reason
            assert "ALERT" in reason
            assert reason.endswith("; does it ask for a certificate? then mend tls")


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
