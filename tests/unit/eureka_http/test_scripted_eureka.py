"""The scripted Eureka tells the truth as a real one does, and breaks as it is told."""

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from rig import scripted_eureka_faults as faults
from rig.certificates import Authority
from rig.scripted_eureka import DELTA, FULL, ScriptedEureka
from rig.scripted_eureka_exchange import Fault
from rig.scripted_eureka_registry import EurekaRegistry, Record

pytestmark = pytest.mark.asyncio
A, B = ("10.1.0.1", 8080), ("10.1.0.2", 8080)


@dataclass
class Asking:
    """Who asks, over connections that are kept."""

    server: ScriptedEureka
    session: aiohttp.ClientSession

    async def status(self, path: str = FULL, **headers: str) -> int:
        status, _ = await self.answer(path, headers)
        return status

    async def text(self, path: str = FULL) -> bytes:
        _, text = await self.answer(path, {})
        return text

    async def told(self, path: str = FULL) -> tuple[str, list[Record]]:
        """Return the hash and the instances that are told."""
        answer = json.loads(await self.text(path))["applications"]
        instances = [each for app in answer["application"] for each in app["instance"]]
        return answer["apps__hashcode"], instances

    async def answer(self, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        url = f"{self.server.url}{path}"
        async with self.session.get(url, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.read()


@asynccontextmanager
async def asking(
    server: ScriptedEureka, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[Asking]:
    connector = aiohttp.TCPConnector(ssl=tls or True)
    limit = aiohttp.ClientTimeout(total=5)
    async with server, aiohttp.ClientSession(connector=connector, timeout=limit) as session:
        yield Asking(server, session)


def done(instances: list[Record]) -> dict[object, object]:
    """Return what was done to each instance, by address."""
    return {each["ipAddr"]: each["actionType"] for each in instances}


async def test_it_lists_what_it_holds_and_what_has_changed() -> None:
    server = ScriptedEureka()
    async with asking(server) as client:
        assert await client.told() == ("", [])
        server.registry.register("shop", *A, metadata={"zone": "z1"})
        server.registry.register("shop", *B, status="STARTING")
        server.registry.override("shop", *A, "OUT_OF_SERVICE")
        server.registry.cancel("shop", *B)
        counted, held = await client.told()
        assert counted == "OUT_OF_SERVICE_1_"
        assert [(each["status"], each["metadata"]) for each in held] == [
            ("OUT_OF_SERVICE", {"zone": "z1"})
        ]
        counted, changed = await client.told(DELTA)
        assert counted == "OUT_OF_SERVICE_1_"
        assert done(changed) == {A[0]: "MODIFIED", B[0]: "DELETED"}
        assert server.paths == [FULL, FULL, DELTA]
        assert server.connections == server.open == 1
        assert await client.status("/vips/shop") == 404


async def test_it_tells_of_a_change_as_long_as_its_window_is() -> None:
    now = 0.0
    server = ScriptedEureka(registry=EurekaRegistry(lambda: now, window=180.0))
    async with asking(server) as client:
        server.registry.register("shop", *A)
        now = 179.0
        server.registry.register("shop", *B)
        assert done((await client.told(DELTA))[1]) == {A[0]: "ADDED", B[0]: "ADDED"}
        now = 181.0
        assert done((await client.told(DELTA))[1]) == {B[0]: "ADDED"}
        server.registry.forget_changes()
        assert await client.told(DELTA) == ("UP_2_", [])
        server.registry.restart()
        assert await client.told() == ("", [])


async def test_it_tells_of_other_regions_to_who_asks_for_them() -> None:
    server = ScriptedEureka(regions={"west": EurekaRegistry()})
    async with asking(server) as client:
        server.registry.register("shop", *A)
        server.regions["west"].register("shop", *B)
        assert len((await client.told())[1]) == 1
        assert len((await client.told("/apps?regions=west,east"))[1]) == 2
        assert server.asked[-1].query == {"regions": "west,east"}


async def test_it_compresses_and_tags_its_answer_for_who_wants_it() -> None:
    server = ScriptedEureka(etags=True)
    async with asking(server) as client, client.session.get(f"{server.url}/apps/") as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        tag = answer.headers["ETag"]
        assert await client.status(If_None_Match=tag) == 200  # no such header
        assert await client.status(**{"If-None-Match": tag}) == 304
        server.registry.register("shop", *A)
        assert await client.status(**{"If-None-Match": tag}) == 200


async def test_it_lets_in_who_has_its_password() -> None:
    server = ScriptedEureka(credentials=("shop", "s:cret"))
    async with asking(server) as client:
        assert await client.status() == 401
        assert await client.status(Authorization=aiohttp.encode_basic_auth("shop", "x")) == 401
        right = aiohttp.encode_basic_auth("shop", "s:cret")
        assert await client.status(Authorization=right) == 200


async def test_it_keeps_what_it_holds_while_it_is_away() -> None:
    server = ScriptedEureka()
    async with asking(server) as client:
        server.registry.register("shop", *A)
        assert await client.status() == 200
        await server.stop()
        assert server.open == 0
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.status()
        await server.start()
        assert len((await client.told())[1]) == 1


async def test_it_speaks_tls_with_who_has_a_certificate(tmp_path: Path) -> None:
    authority = Authority()
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tmp_path / "ca.pem")
    serving.load_cert_chain(*authority.issue(tmp_path, "localhost"))
    serving.verify_mode = ssl.CERT_REQUIRED
    calling = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    async with asking(ScriptedEureka(serving, host="localhost"), calling) as client:
        with pytest.raises(aiohttp.ClientError):
            await client.status()
        calling.load_cert_chain(*authority.issue(tmp_path, "bridge"))
        assert await client.status() == 200
        assert client.server.url.startswith("https://localhost:")


async def test_it_misbehaves_where_and_as_often_as_it_is_told() -> None:
    server = ScriptedEureka()
    async with asking(server) as client:
        server.misbehave(faults.is_closed, times=2)
        assert [await client.status() for _ in range(3)] == [403, 403, 200]
        server.misbehave(faults.knows_no_such_thing, DELTA)
        server.also(faults.fails, FULL, times=1)
        assert [await client.status(path) for path in (FULL, DELTA, FULL)] == [500, 404, 200]
        server.behave()
        assert await client.status(DELTA) == 200


ANSWERED: Mapping[str, tuple[Fault, int, bytes]] = {
    "500": (faults.fails, 500, b'"status": 500'),
    "an error that is none": (faults.says_its_error_was_fine, 200, b'"status": 500'),
    "a page": (faults.page, 200, b"<html>"),
    "half as whole": (faults.half_as_whole, 200, b"applications"),
    "a redirect": (faults.redirects("http://127.0.0.1:1/"), 302, b""),
    "nested": (faults.deep, 200, b"[[[[["),
    "whatever": (faults.answers(418, b"tea", "text/plain"), 418, b"tea"),
    "late": (faults.slow(0.01), 200, b"apps__hashcode"),
}


@pytest.mark.parametrize("name", ANSWERED)
async def test_it_answers_otherwise(name: str) -> None:
    fault, status, holds = ANSWERED[name]
    server = ScriptedEureka()
    async with asking(server) as client:
        server.misbehave(fault)
        found, text = await client.answer(FULL, {})
        assert found == status
        assert holds in text


BROKEN: Mapping[str, tuple[Fault, type[Exception]]] = {
    "half": (faults.half, aiohttp.ClientPayloadError),
    "half in chunks": (faults.half_in_chunks, aiohttp.ClientPayloadError),
    "no HTTP": (faults.no_http, aiohttp.ClientResponseError),
    "a reset": (faults.breaks_off, aiohttp.ClientOSError),
    "amid the headers": (faults.closes_amid_the_headers, aiohttp.ClientError),
    "no gzip": (faults.not_gzip, aiohttp.ClientPayloadError),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_it_breaks_its_answer(name: str) -> None:
    fault, error = BROKEN[name]
    server = ScriptedEureka()
    async with asking(server) as client:
        server.misbehave(fault)
        with pytest.raises(error):
            await client.status()
        server.behave()
        assert await client.status() == 200


@pytest.mark.parametrize("fault", [faults.hang, faults.drips(0.01)])
async def test_it_never_ends_its_answer_until_the_other_side_hangs_up(fault: Fault) -> None:
    server = ScriptedEureka()
    async with asking(server) as client:
        server.misbehave(fault)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.status()
        server.behave()
        assert await client.status() == 200
        assert server.connections == 2


@pytest.mark.parametrize(
    ("fault", "connections"),
    [(faults.closes_when_used_again, 2), (faults.closes_without_a_word, 2)],
)
async def test_it_closes_connections_that_were_to_be_kept(fault: Fault, connections: int) -> None:
    """The client asks again over another connection, as it may for a GET."""
    server = ScriptedEureka()
    async with asking(server) as client:
        server.misbehave(fault)
        assert [await client.status() for _ in range(2)] == [200, 200]
        assert server.connections == connections


@pytest.mark.parametrize("declared", [True, False])
async def test_it_sends_more_than_anybody_wants(declared: bool) -> None:  # noqa: FBT001 - a parameter
    server = ScriptedEureka()
    async with asking(server) as client:
        server.misbehave(faults.floods(3 * faults.MIB, declared=declared))
        assert 3 * faults.MIB < len(await client.text()) < 4 * faults.MIB


async def test_what_it_compresses_may_be_a_bomb_or_broken() -> None:
    server = ScriptedEureka()
    url = f"{server.url}{FULL}"
    async with server, aiohttp.ClientSession(auto_decompress=False) as session:
        server.misbehave(faults.explodes(3 * faults.MIB))
        async with session.get(url) as answer:
            packed = await answer.read()
        assert len(packed) < 10_000
        with pytest.raises(EOFError):
            gzip.decompress(packed)
        server.misbehave(faults.half_gzip)
        async with session.get(url) as answer:
            packed = await answer.read()
        with pytest.raises(EOFError):
            gzip.decompress(packed)
