"""The way to the servers: files that cannot be used, and an address server that cannot be asked."""

from pathlib import Path

import grpc
import pytest
from unit.nacos.sessions import ignore

from meshbridge import RegistryUnavailable
from meshbridge.testing import Recorder, context
from meshbridge_nacos.access import LONGEST_LIST, Access
from meshbridge_nacos.options import DEFAULT_GROUP, Options
from rig.address_server import address_server
from rig.certificates import Authority
from rig.ports import free_port
from rig.scripted_nacos import OFFSET, ScriptedNacos

pytestmark = pytest.mark.asyncio


def access(**options: object) -> Access:
    return Access(Options.model_validate(options), context(Recorder().report))


async def refusal(way: Access) -> str:
    """Return why there is no session."""
    with pytest.raises(RegistryUnavailable) as unavailable:
        async with way.session("public", ignore):
            pytest.fail("there is one")
    return str(unavailable.value)


async def test_each_server_that_is_down_has_a_reason() -> None:
    first, second = (f"127.0.0.1:{free_port(OFFSET)}" for _ in range(2))
    said = await refusal(access(servers=[first, second]))
    assert said.count("nothing listens there") == 2
    assert first in said
    assert second in said


async def test_tls_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    ca, spoilt = tmp_path / "ca.pem", tmp_path / "spoilt.pem"
    ca.write_bytes(Authority().certificate)
    spoilt.write_text("no certificate")
    certificate, key = Authority().issue(tmp_path, "bridge")
    _, another = Authority().issue(tmp_path, "another")
    for tls, said in (
        ({"ca": spoilt}, f"tls ca {spoilt} cannot be used"),
        ({"certificate": spoilt, "key": key}, f"tls certificate {spoilt} and key are no usable"),
        ({"certificate": certificate, "key": another}, f"tls certificate {certificate} and key"),
    ):
        given = {name: str(file) for name, file in tls.items()}
        assert said in await refusal(access(servers=["127.0.0.1"], tls=given))
    renewed = access(servers=[f"127.0.0.1:{free_port(OFFSET)}"], tls={"ca": str(ca)})
    assert "nothing listens there" in await refusal(renewed)
    ca.unlink()
    assert f"tls ca {ca} cannot be used" in await refusal(renewed), "it is read each time"


async def test_a_server_that_speaks_no_tls_is_told_from_one_that_is_down() -> None:
    async with ScriptedNacos() as nacos:
        assert "does not speak TLS there" in await refusal(access(servers=[nacos.address], tls={}))


async def test_a_server_is_known_by_its_certificate_and_we_by_ours(tmp_path: Path) -> None:
    authority, ca = Authority(), tmp_path / "ca.pem"
    ca.write_bytes(authority.certificate)
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(Authority().certificate)
    certificate, key = authority.issue(tmp_path, "localhost")
    ours = dict(zip(("certificate", "key"), map(str, authority.issue(tmp_path, "us")), strict=True))
    pair = [(key.read_bytes(), certificate.read_bytes())]
    for mutual in (False, True):
        tls = grpc.ssl_server_credentials(pair, authority.certificate, mutual)
        async with ScriptedNacos(tls) as nacos:
            named, by_number = f"localhost:{nacos.port}", nacos.address
            known = {"ca": str(ca), **(ours if mutual else {})}
            async with access(servers=[named], tls=known).session("public", ignore) as session:
                assert (await session.page(DEFAULT_GROUP, 1, 10)).count == 0
            for server, trusted in ((by_number, known), (named, known | {"ca": str(stranger)})):
                said = await refusal(access(servers=[server], tls=trusted))
                assert "its certificate is not accepted; check" in said
            if mutual:
                said = await refusal(access(servers=[named], tls={"ca": str(ca)}))
                assert "certificate and key" in said
            assert "whether it wants tls" in await refusal(access(servers=[named]))


async def test_an_address_server_leads_to_the_servers() -> None:
    async with ScriptedNacos() as nacos, address_server() as told:
        told.text = f"{nacos.address}\n"
        async with access(endpoint=told.url).session("public", ignore) as session:
            assert (await session.page(DEFAULT_GROUP, 1, 10)).count == 0


async def test_an_address_server_that_cannot_be_asked_is_named_with_the_reason() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/list"
    assert f"address server {nowhere}: " in await refusal(access(endpoint=nowhere))
    async with address_server() as told:
        way = access(endpoint=told.url)
        told.status = 503
        assert "it answers 503; check endpoint" in await refusal(way)
        told.status, told.text = 200, " " * (LONGEST_LIST + 1)
        assert "longer than" in await refusal(way)
        told.text = "<html>"
        assert "names no server" in await refusal(way)
