"""What is found in real Nacos servers of both releases: namespaces, groups, new services."""

import secrets
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

import pytest
from peers.conftest import make_nacos, shared

from meshbridge import Adapter, Context, Gone, Instance, Listing, RegistryRejected, Stale
from meshbridge_nacos import Nacos as NacosAdapter
from meshbridge_nacos import Options
from rig.corpus.http import ask
from rig.nacos import Nacos
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
FRESH = 30.0
"""Seconds for a new user to be known: Nacos looks for them every 15 s."""


def watch(server: Nacos, **options: object) -> AbstractAsyncContextManager[Watched]:
    fields = {"servers": [server.address], "discover-every": f"{EVERY:g}s"} | options

    def adapter(context: Context) -> Adapter:
        return NacosAdapter("shop", Options.model_validate(fields), context)

    return watching(adapter)


@pytest.fixture(scope="module", params=[2, 3], ids=["nacos2", "nacos3"])
def guarded_nacos(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Nacos]:
    """Return a server that asks for users, of each release in turn."""
    folder = tmp_path_factory.mktemp("guarded")
    with shared(make_nacos(folder, release=request.param, password=secrets.token_hex())) as server:
        yield server


def at_once(server: Nacos) -> float:
    """Return within how many seconds a new service is told: release 3 has fuzzy watch."""
    return GRACE if server.release == 3 else EVERY + GRACE


def there(found: object) -> bool:
    return bool(found)


async def stale(watched: Watched, scope: str, *, within: float = 10.0) -> Stale:
    """Wait until a scope is said to be stale."""

    async def look() -> list[Stale]:
        return [each for each in watched.said if isinstance(each, Stale) and each.scope == scope]

    found, _ = await until(look, there, within=within)
    return found[-1]


async def test_a_new_service_is_seen(each_nacos: Nacos) -> None:
    async with watch(each_nacos) as watched:
        await watched.listed(SCOPE)
        for number in range(3):
            name = f"new-{secrets.token_hex(4)}"
            await each_nacos.register(name, "10.3.0.1", 8000 + number)
            await watched.has(name, there, within=at_once(each_nacos))


async def test_services_are_seen_beyond_what_fuzzy_watch_tells(each_nacos: Nacos) -> None:
    """It falls silent without an error: the list is the truth."""
    group = f"crowd-{secrets.token_hex(4)}"
    scope = f"public/{group}"
    for number in range(OVER_LIMIT - 10):
        await each_nacos.register(f"crowd-{number}", "10.3.1.1", 8080, group=group)
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


async def test_a_forbidden_namespace_harms_no_other(guarded_nacos: Nacos) -> None:
    password = secrets.token_hex()
    await guarded_nacos.create_reader("reader", password, "public")
    await guarded_nacos.register("allowed", "10.3.4.1", 8080)
    who = {"username": "reader", "password": password}
    await readable(guarded_nacos, **who)
    async with watch(guarded_nacos, namespaces=["public", "secret"], **who) as watched:
        await watched.has("allowed", there)
        assert "namespace secret" in (await stale(watched, "secret/DEFAULT_GROUP")).reason
        await guarded_nacos.update("allowed", "10.3.4.1", 8080, weight="0.5")
        await watched.has("allowed", lambda found: weights(found) == [0.5], within=GRACE + EVERY)
        name = f"allowed-{secrets.token_hex(4)}"
        await guarded_nacos.register(name, "10.3.4.2", 8080)
        await watched.has(name, there, within=EVERY + GRACE)
        assert watched.failures == []
        scopes = {each.scope for each in watched.said if isinstance(each, Stale)}
        assert scopes == {"secret/DEFAULT_GROUP"}


async def readable(server: Nacos, **who: str) -> None:
    """Wait until the server knows a new user: until then it refuses them."""

    async def look() -> bool:
        try:
            async with watch(server, **who) as watched:
                await watched.listed(SCOPE)
        except ExceptionGroup as failed:
            if failed.subgroup(RegistryRejected) is None:
                raise
            return False
        return True

    await until(look, there, within=FRESH)


def weights(found: tuple[Instance, ...] | None) -> list[float]:
    return [each.weight for each in found or ()]
