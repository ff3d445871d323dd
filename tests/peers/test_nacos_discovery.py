"""What is found in real Nacos servers of both releases: namespaces, groups, new services."""

import asyncio
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec
import pytest
from peers.conftest import make_nacos, shared
from robustness.bed import Bed

from meshbridge import Adapter, Context, Gone, Listing, RegistryRejected, Stale
from meshbridge_nacos import Nacos as NacosAdapter
from meshbridge_nacos import Options
from rig.corpus.http import ask
from rig.nacos import Nacos
from rig.times import timed
from rig.waiting import until
from rig.watching import Watched, watching

pytestmark = pytest.mark.asyncio

SCOPE = "public/DEFAULT_GROUP"
EVERY = 2.0
"""Seconds between two looks for new services."""
GRACE = 1.0
"""Seconds for all else until a new service is told."""
OVER_LIMIT = 700
"""Services: fuzzy watch falls silent at 500."""
AT_ONCE = 30
"""Services that are registered at the same time."""
FRESH = 30.0
"""Seconds for a new user or right to be known: Nacos looks for them every 15 s."""
RECOVERY = 5.0
"""Seconds for what can be read again to be read, since it was refused last."""


def watch(server: Nacos, **options: object) -> AbstractAsyncContextManager[Watched]:
    fields = {"servers": [server.address], "discover-every": f"{EVERY:g}s"} | options

    def adapter(context: Context) -> Adapter:
        return NacosAdapter("shop", Options.model_validate(fields), context)

    return watching(adapter)


@pytest.fixture(scope="module")
def guarded_nacos(each_nacos: Nacos, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nacos]:
    """Return a server that asks for users, of each release in turn; rights count at once."""
    with shared(
        make_nacos(
            tmp_path_factory.mktemp("guarded"),
            release=each_nacos.release,
            password=secrets.token_hex(),
            settings={"nacos.core.auth.caching.enabled": "false"},
        )
    ) as server:
        yield server


def at_once(server: Nacos) -> float:
    """Return within how many seconds a new service is told: release 3 has fuzzy watch."""
    return GRACE if server.release == 3 else EVERY + GRACE


def there(found: object) -> bool:
    return bool(found)


async def test_a_new_service_is_seen(each_nacos: Nacos) -> None:
    seldom = {"discover-every": "60s"} if each_nacos.release == 3 else {}  # not by the list
    async with watch(each_nacos, **seldom) as watched:
        await watched.listed(SCOPE)
        for number in range(3):
            name = f"new-{secrets.token_hex(4)}"
            await each_nacos.register(name, "10.3.0.1", 8000 + number)
            await watched.has(name, there, within=at_once(each_nacos))


async def test_services_are_seen_beyond_what_fuzzy_watch_tells(each_nacos: Nacos) -> None:
    """It falls silent without an error: the list is the truth."""
    group = f"crowd-{secrets.token_hex(4)}"
    scope = f"public/{group}"
    for begin in range(0, OVER_LIMIT - 10, AT_ONCE):
        some = range(begin, min(begin + AT_ONCE, OVER_LIMIT - 10))
        await asyncio.gather(
            *(each_nacos.register(f"crowd-{one}", "10.3.1.1", 8080, group=group) for one in some)
        )
    async with watch(each_nacos, groups=[group]) as watched:
        assert len((await watched.listed(scope)).services) == OVER_LIMIT - 10
        for number in range(OVER_LIMIT - 10, OVER_LIMIT):
            await each_nacos.register(f"crowd-{number}", "10.3.1.1", 8080, group=group)
        await watched.has(f"{group}@@crowd-{OVER_LIMIT - 1}", there, within=EVERY + GRACE)
        assert len(watched.filled()) == OVER_LIMIT


async def test_all_groups_are_read_also_new_ones(each_nacos: Nacos) -> None:
    old, new = f"old-{secrets.token_hex(4)}", f"new-{secrets.token_hex(4)}"
    await each_nacos.register("grouped", "10.3.2.1", 8080, group=old)
    async with watch(each_nacos, groups=["*"]) as watched:
        assert (await watched.listed("public/*")).services == ()
        assert len((await watched.listed(f"public/{old}")).services) == 1
        order = [each.scope for each in watched.said if isinstance(each, Listing)]
        assert order[-1] == "public/*", "the list of groups is told when each was"
        await each_nacos.register("grouped", "10.3.2.2", 8080, group=new)
        await watched.has(f"{new}@@grouped", there, within=EVERY + GRACE)
        # One fuzzy watch is for all groups, and the crowd of another test is over its limit.
        await each_nacos.register("further", "10.3.2.2", 8080, group=old)
        await watched.has(f"{old}@@further", there, within=EVERY + GRACE)


async def test_all_namespaces_are_read_as_they_come_and_go(each_nacos: Nacos) -> None:
    if each_nacos.release == 2:
        pytest.skip("release 2 lists namespaces in its console, which this server does not have")
    namespace = f"ns-{secrets.token_hex(4)}"
    base, path = f"http://{each_nacos.address}", "/nacos/v3/admin/core/namespace"
    await each_nacos.register("spaced", "10.3.3.1", 8080, namespace=namespace)
    async with watch(each_nacos, namespaces=["*"]) as watched:
        await watched.listed("*")
        await watched.listed(SCOPE)
        named = {"namespaceId": namespace, "namespaceName": namespace}
        await ask(base, path, named, method="POST")
        await watched.has(f"{namespace}/spaced", there, within=EVERY + GRACE)
        await ask(base, path, {"namespaceId": namespace}, method="DELETE")
        await watched.has(f"{namespace}/spaced", lambda found: found is None, within=3 * EVERY)
        assert Gone(f"{namespace}/DEFAULT_GROUP") in watched.said
        assert [each for each in watched.said if isinstance(each, Stale)] == []


async def test_where_namespaces_are_not_listed_the_reason_names_the_way_out(
    each_nacos: Nacos,
) -> None:
    if each_nacos.release == 3:
        pytest.skip("release 3 lists them wherever it runs")
    async with watch(each_nacos, namespaces=["*"]) as watched:

        async def look() -> list[object]:
            return list(watched.failures)

        failures, _ = await until(look, there, within=10)
    assert "name the namespaces in place of *" in str(failures[0])


async def test_a_user_is_needed_where_nacos_asks_for_one(guarded_nacos: Nacos) -> None:
    """A wrong password is answered as a server's fault for long: that is a unit test."""
    with pytest.raises(ExceptionGroup) as failed:
        async with watch(guarded_nacos) as watched:
            await watched.listed(SCOPE)
    assert failed.group_contains(RegistryRejected, match="check username and password")
    who = {"username": "nacos", "password": guarded_nacos.password}
    async with watch(guarded_nacos, **who) as watched:
        assert not (await watched.listed(SCOPE, within=FRESH)).after_gap


async def test_a_namespace_that_is_forbidden_for_a_while_harms_no_other(
    guarded_nacos: Nacos, tmp_path: Path
) -> None:
    """What was read of it is served on, and the state says why it is stale and for how long."""
    server, password = guarded_nacos, secrets.token_hex()
    spaces = ("public", "secret")
    scopes = {f"{space}/DEFAULT_GROUP" for space in spaces}
    await server.create_reader("reader", password, *spaces)
    for space in spaces:
        await server.register("kept", "10.3.4.1", 8080, namespace=space)
    who = {"username": "reader", "password": password}
    await until(lambda: may_read(server, *spaces, **who), bool, within=FRESH)
    bed = Bed(
        tmp_path,
        registry={
            "adapter": "nacos",
            "servers": [server.address],
            "namespaces": spaces,
            "discover-every": f"{EVERY:g}s",
            "guard": {"settle": "0s"},
            **who,
        },
    )
    async with bed.bridge:
        await bed.ready()
        await until(lambda: standing(bed), lambda seen: seen.keys() == scopes, within=FRESH)

        async def stale() -> dict[str, Standing]:
            """Look who is stale, and that nothing is lost."""
            seen = await standing(bed)
            assert [each.instances for each in seen.values() if not each.instances] == []
            return {scope: each for scope, each in seen.items() if each.stale}

        assert await stale() == {}
        before = time.monotonic()
        await server.forbid("reader", "secret")
        seen, _ = await until(stale, there, within=FRESH)
        first, after = seen["secret/DEFAULT_GROUP"], time.monotonic()
        assert "no right to read namespace secret" in (first.stale or "")

        await server.update("kept", "10.3.4.1", 8080, weight="0.5")
        await server.register("new", "10.3.4.2", 8080)
        served = {"kept.nacos": [50], "new.nacos": [100], "kept.secret.nacos": [100]}
        await until(lambda: weights_of(bed), served.__eq__, within=10)
        later = time.monotonic()
        seen = await stale()
        assert seen.keys() == {"secret/DEFAULT_GROUP"}, "nothing else"
        (still,) = seen.values()
        assert first.stale_seconds + (later - after) <= still.stale_seconds + 0.01
        assert still.stale_seconds <= time.monotonic() - before, "since it was forbidden"

        await server.allow("reader", "secret")
        refused = time.monotonic()

        async def allowed() -> bool:
            """Look whether it can be read, and note when it could not."""
            nonlocal refused
            can = await may_read(server, "secret", **who)
            refused = refused if can else time.monotonic()
            return can

        await until(allowed, bool, within=FRESH)
        with timed("namespace is allowed again", f"Nacos {server.release}", since=refused):
            left = refused + RECOVERY - time.monotonic()
            await until(stale, lambda seen: not seen, within=left)
        assert await weights_of(bed) == served


class Standing(msgspec.Struct):
    """What ``/api/registries`` says of a scope."""

    scope: str
    listed: bool
    stale: str | None
    stale_seconds: float
    instances: int


class Registry(msgspec.Struct):
    """What it says of a registry."""

    scopes: list[Standing]


async def standing(bed: Bed) -> dict[str, Standing]:
    (registry,) = msgspec.json.decode(await bed.get("/api/registries"), type=list[Registry])
    return {each.scope: each for each in registry.scopes if each.listed}


async def weights_of(bed: Bed) -> dict[str, list[int]]:
    services = json.loads(await bed.get("/api/services"))
    return {each["host"]: [one["weight"] for one in each["endpoints"]] for each in services}


async def may_read(server: Nacos, *namespaces: str, **who: str) -> bool:
    """Whether the server lets a user read all of these: it learns of users and rights slowly."""
    allowed = False
    try:
        async with watch(server, namespaces=namespaces, **who) as watched:
            for each in namespaces:
                await watched.listed(f"{each}/DEFAULT_GROUP", within=2)
            allowed = True
    except* (RegistryRejected, AssertionError):
        pass  # it refuses everything, or this namespace
    return allowed
