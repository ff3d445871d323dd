"""The way to real Nacos servers, of both releases: users, TLS, several servers, other paths."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from peers.conftest import unavailable

from meshbridge import (
    Adapter,
    BadData,
    Changed,
    Context,
    Instance,
    Listing,
    RegistryRejected,
    RegistryUnavailable,
    Removed,
    Stale,
)
from meshbridge.testing import Recorder, context
from meshbridge_nacos import Nacos as NacosAdapter
from meshbridge_nacos.access import Access
from meshbridge_nacos.options import DEFAULT_GROUP, Options
from meshbridge_nacos.parse import Record
from meshbridge_nacos.session import Session
from rig.address_server import address_server
from rig.application import start_all, stop_all
from rig.bed import Missing
from rig.certificates import Authority
from rig.nacos import Nacos, ServerTls
from rig.times import timed
from rig.waiting import until
from rig.watching import Watched, watching

pytestmark = pytest.mark.asyncio

Release = Literal[2, 3]
SCOPE = "public/DEFAULT_GROUP"
LIFE = 5
"""Seconds that a secured server's tokens live."""
SERVICES: dict[Release, tuple[str, dict[str, str]]] = {
    2: ("/v1/ns/catalog/services", {"pageNo": "1", "pageSize": "10", "namespaceId": "public"}),
    3: ("/v3/admin/ns/service/list", {"pageNo": "1", "pageSize": "10"}),
}
"""Where a user who may read lists services over HTTP."""
JWT = "eyJ"
"""How Nacos' tokens begin: they are JSON in base64."""
FRESH = 30.0
"""Seconds for a new user to be known: Nacos looks for them every 15 s."""


@dataclass(frozen=True)
class Papers:
    """Certificates of one authority, and those who are known by them."""

    authority: Authority
    ca: Path
    server: tuple[Path, Path]
    ours: tuple[Path, Path]


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder, authority = tmp_path_factory.mktemp("papers"), Authority()
    ca = folder / "ca.pem"
    ca.write_bytes(authority.certificate)
    return Papers(
        authority, ca, authority.issue(folder, "localhost"), authority.issue(folder, "bridge")
    )


@pytest.fixture(scope="module")
def release(each_nacos: Nacos) -> Release:
    return each_nacos.release


def server_tls(papers: Papers, *, http: bool = True, mutual: bool = False) -> ServerTls:
    return ServerTls(papers.ca, *papers.server, http=http, mutual=mutual)


@pytest.fixture(scope="module")
def others(
    release: Release, papers: Papers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Nacos, Nacos, Nacos]]:
    """Return further servers: the three of the next fixtures."""
    folder = tmp_path_factory.mktemp("others")
    make = partial(Nacos, folder, release=release)
    life = {"nacos.core.auth.plugin.nacos.token.expire.seconds": str(LIFE)}
    try:
        made = (
            make(
                name="secured",
                password=secrets.token_hex(),
                settings=life,
                context_path="/registry",
                tls=server_tls(papers),
            ),
            make(name="mutual", tls=server_tls(papers, http=False, mutual=True)),
            make(name="second"),
        )
    except Missing as missing:
        unavailable(missing)
    try:
        # All three at once might take longer than each of them may, on a machine that is busy.
        asyncio.run(start_all(*made[:2]))
        asyncio.run(start_all(*made[2:]))
        yield made
    finally:
        asyncio.run(stop_all(*made))


@pytest.fixture(scope="module")
def secured(others: tuple[Nacos, Nacos, Nacos]) -> Nacos:
    """Return a server with users, TLS and a path of its own; its tokens live for seconds."""
    return others[0]


@pytest.fixture(scope="module")
def mutual(others: tuple[Nacos, Nacos, Nacos]) -> Nacos:
    """Return a server whose gRPC wants a certificate, and whose HTTP is in the clear."""
    return others[1]


@pytest.fixture(scope="module")
def pair(each_nacos: Nacos, others: tuple[Nacos, Nacos, Nacos]) -> tuple[Nacos, Nacos]:
    """Return two servers that know nothing of each other."""
    return each_nacos, others[2]


def still() -> float:
    """Let no time pass."""
    return 0.0


def access(clock: Callable[[], float] = still, /, **options: object) -> Access:
    return Access(Options.model_validate(options), context(Recorder().report, clock))


def ignore(group: str, name: str, info: Record) -> None:
    """Take no push."""


def session(way: Access, namespace: str = "public") -> AbstractAsyncContextManager[Session]:
    return way.session(namespace, ignore)


def user(
    server: Nacos, papers: Papers, name: str = "nacos", password: str = ""
) -> dict[str, object]:
    """Return the options of a secured server's user."""
    return {
        "servers": [server.address],
        "context-path": "/registry",
        "tls": {"ca": str(papers.ca)},
        "username": name,
        "password": password or server.password,
    }


async def names(asked: Session) -> tuple[str, ...]:
    return (await asked.page(DEFAULT_GROUP, 1, 100)).names


async def count(asked: Session) -> int | str:
    """Return how many services there are, or why that is not told."""
    try:
        return (await asked.page(DEFAULT_GROUP, 1, 100)).count
    except (RegistryRejected, RegistryUnavailable) as failed:
        return str(failed)


async def test_a_user_is_let_in_over_tls_below_another_path(
    release: Release, secured: Nacos, papers: Papers
) -> None:
    async with session(access(**user(secured, papers))) as asked:
        await until(lambda: count(asked), lambda seen: isinstance(seen, int), within=FRESH)
        assert await asked.read_config("access", "absent") is None
        with pytest.raises(BadData, match=r"answers [45]\d\d to /v9/nothing"):
            await asked.fetch("/v9/nothing", {})
        listed = await asked.fetch(*SERVICES[release])
        assert listed


async def test_a_token_that_expires_in_the_middle_is_replaced(
    secured: Nacos, papers: Papers
) -> None:
    """Our clock goes slowly, so that we find out by Nacos' refusal."""
    way = access(lambda: time.monotonic() / 2, **user(secured, papers))
    async with session(way) as asked:
        await until(lambda: count(asked), lambda seen: isinstance(seen, int), within=FRESH)
        for _turn in range(2):
            await asyncio.sleep(LIFE + 1)
            assert isinstance(await count(asked), int)
            assert await asked.read_config("access", "absent") is None


async def test_a_wrong_password_is_told_and_not_repeated(
    secured: Nacos, papers: Papers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = secrets.token_hex()
    async with session(access(**user(secured, papers, password=wrong))) as asked:
        said = str(await count(asked))
    assert "log in" in said or "is refused" in said
    assert wrong not in said + caplog.text


async def test_no_user_is_a_rejection_that_says_what_to_do(secured: Nacos, papers: Papers) -> None:
    options = user(secured, papers) | {"username": "", "password": ""}
    async with session(access(**options)) as asked:
        with pytest.raises(RegistryRejected, match="check username and password"):
            await names(asked)


async def test_a_right_to_one_namespace_is_none_to_another(secured: Nacos, papers: Papers) -> None:
    password = secrets.token_hex()
    await secured.create_reader("reader", password, "public")
    way = access(**user(secured, papers, "reader", password))
    async with session(way) as allowed, session(way, "prod") as forbidden:
        await until(lambda: count(allowed), lambda seen: isinstance(seen, int), within=FRESH)
        with pytest.raises(RegistryRejected, match="no right to read namespace prod"):
            await names(forbidden)
        with pytest.raises(BadData, match="no right"):
            await forbidden.subscribe(DEFAULT_GROUP, "orders")
        assert await allowed.read_config("access", "absent") is None
        with pytest.raises(RegistryRejected):
            await forbidden.read_config("access", "absent")


async def test_no_secret_is_in_any_log(
    secured: Nacos, papers: Papers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    way = access(**user(secured, papers))
    async with session(way) as asked:
        await until(lambda: count(asked), lambda seen: isinstance(seen, int), within=FRESH)
    assert JWT not in caplog.text
    assert secured.password not in caplog.text


async def test_a_certificate_of_ours_is_shown_where_it_is_asked_for(
    mutual: Nacos, papers: Papers
) -> None:
    certificate, key = papers.ours
    ours = {"certificate": str(certificate), "key": str(key)}
    tls = {"ca": str(papers.ca), "http": "clear", **ours}
    port = mutual.port
    async with session(access(servers=[f"localhost:{port}"], tls=tls)) as asked:
        assert await names(asked) == ()
        assert await asked.subscribe(DEFAULT_GROUP, "orders")
    with pytest.raises(RegistryUnavailable, match="check that tls"):
        async with session(
            access(servers=[f"localhost:{port}"], tls=tls | {"certificate": None, "key": None})
        ):
            pytest.fail("nobody knows us")


async def test_a_server_must_have_the_certificate_of_its_name(
    mutual: Nacos, papers: Papers, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(Authority().certificate)
    for host, ca in (("localhost", stranger), ("127.0.0.1", papers.ca)):
        tls = {"ca": str(ca), "http": "clear"}
        with pytest.raises(RegistryUnavailable, match="its certificate is not accepted; check"):
            async with session(access(servers=[f"{host}:{mutual.port}"], tls=tls)):
                pytest.fail("it is not who we asked for")


async def test_the_next_server_is_asked_when_one_is_frozen(pair: tuple[Nacos, Nacos]) -> None:
    first, second = pair
    way = access(servers=[first.address, second.address])
    first.pause()
    try:
        async with session(way) as asked:
            assert str(asked.server) == second.address
    finally:
        first.resume()


def watch(**options: object) -> AbstractAsyncContextManager[Watched]:
    fields = {"discover-every": "1s"} | options

    def adapter(given: Context) -> Adapter:
        return NacosAdapter("shop", Options.model_validate(fields), given)

    return watching(adapter)


def weighs_three(found: tuple[Instance, ...] | None) -> bool:
    return [each.weight for each in found or ()] == [3]


def never_empty(watched: Watched, service: str) -> bool:
    """Say whether no update took the service's instance away."""
    for update in watched.said:
        match update:
            case Listing(services=services):
                held = [each.instances for each in services if each.id.name == service]
            case Changed(service=changed) if changed.id.name == service:
                held = [changed.instances]
            case Removed(service_id=gone) if gone.name == service:
                held = []
            case _:
                continue
        if not all(held) or not held:
            return False
    return True


async def follow(server: Nacos, begun: asyncio.Event) -> None:
    """Follow a configuration until that fails."""
    async with (
        session(access(servers=[server.address])) as asked,
        aclosing(asked.watch_config("followed", "end")) as texts,
    ):
        async for _ in texts:
            begun.set()


async def test_when_a_server_goes_the_other_one_takes_over_within_5_s(
    release: Release, pair: tuple[Nacos, Nacos], tmp_path: Path
) -> None:
    """The two hold the same, as servers of one cluster do.

    Who follows a configuration is told that it is over.
    """
    _, other = pair
    async with Nacos(tmp_path, release=release) as mortal:
        begun = asyncio.Event()
        following = asyncio.create_task(follow(mortal, begun))
        async with asyncio.timeout(20):
            await begun.wait()
        for server in (mortal, other):
            await server.register("steady", "10.5.0.1", 8080, ephemeral=True)
        async with watch(servers=[mortal.address, other.address]) as watched:
            await watched.has("steady", bool)
            with timed("one of two servers is killed", f"Nacos {release}"):
                await mortal.kill()
                assert (await watched.listed(SCOPE, times=2, within=5)).after_gap
            assert mortal.address in str(watched.failures[0]), "it says which one"
            with pytest.raises(ExceptionGroup) as ended:
                await following
            assert ended.group_contains(RegistryUnavailable)
            assert never_empty(watched, "steady")
            await other.update("steady", "10.5.0.1", 8080, ephemeral=True, weight="3")
            await watched.has("steady", weighs_three)


async def test_who_is_sent_elsewhere_is_there_within_5_s(pair: tuple[Nacos, Nacos]) -> None:
    first, second = pair
    for server in pair:
        await server.register("sent", "10.5.0.2", 8080, ephemeral=True)
    async with watch(servers=[first.address, second.address]) as watched:
        await watched.has("sent", bool)
        await first.send_clients_to(second.address)
        assert (await watched.listed(SCOPE, times=2, within=5)).after_gap
        assert never_empty(watched, "sent")
        assert "asks us to go to" in str(watched.failures[0])
        await second.update("sent", "10.5.0.2", 8080, ephemeral=True, weight="3")
        await watched.has("sent", weighs_three)


async def test_tokens_that_expire_are_noticed_by_nobody(secured: Nacos, papers: Papers) -> None:
    options = user(secured, papers)
    async with session(access(**options)) as asked:
        await until(lambda: count(asked), lambda seen: isinstance(seen, int), within=FRESH)
    async with watch(**options) as watched:
        await secured.register("lasting", "10.5.0.3", 8080, ephemeral=True)
        await watched.has("lasting", bool)
        await asyncio.sleep(2 * LIFE)
        await secured.update("lasting", "10.5.0.3", 8080, ephemeral=True, weight="3")
        await watched.has("lasting", weighs_three)
        assert watched.failures == []
        assert not [update for update in watched.said if isinstance(update, Stale)]
        assert never_empty(watched, "lasting")


async def test_clients_go_where_their_server_sends_them(pair: tuple[Nacos, Nacos]) -> None:
    first, second = pair
    unknown = "10.255.255.1:8848"
    way = access(servers=[first.address, unknown, second.address])

    async def stay() -> None:
        async with session(way) as asked:
            assert str(asked.server) == first.address
            await first.send_clients_to(second.address)
            await asyncio.sleep(15)

    with pytest.raises(ExceptionGroup) as ended:
        await stay()
    assert "asks us to go to" in repr(ended.value)
    async with session(way) as asked:
        assert str(asked.server) == second.address


async def test_an_address_server_names_the_servers(pair: tuple[Nacos, Nacos]) -> None:
    first, second = pair
    async with address_server() as told:
        way = access(endpoint=told.url)
        with pytest.raises(RegistryUnavailable, match="names no server"):
            async with session(way):
                pytest.fail("there is none")
        told.text = f"# a cluster\n{second.address}\n"
        async with session(access(endpoint=told.url)) as asked:
            assert str(asked.server) == second.address
        told.text = f"{first.address}\n"
        async with session(access(endpoint=told.url)) as asked:
            assert str(asked.server) == first.address
            assert isinstance(await count(asked), int)


async def test_a_signed_question_is_answered_where_nobody_asks_for_signatures(
    pair: tuple[Nacos, Nacos],
) -> None:
    """Nacos itself checks none; test_signing.py and test_session_questions.py look at them."""
    keyed = {"access-key": "ak", "secret-key": "sk"}
    async with session(access(servers=[pair[0].address], **keyed)) as asked:
        assert isinstance(await count(asked), int)
        assert await asked.read_config("access", "absent") is None
