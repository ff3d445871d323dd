"""Configurations of real Nacos servers, of both releases: read, followed, gone, apart by tenant."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from operator import eq

import pytest

from meshbridge.testing import Recorder, context
from meshbridge_nacos.access import Access
from meshbridge_nacos.options import Options
from meshbridge_nacos.parse import Record
from meshbridge_nacos.session import Session
from rig.nacos import Nacos
from rig.waiting import until

pytestmark = pytest.mark.asyncio

SOON = 10.0
"""Seconds for Nacos to tell of a change, which took it 0.1 s; the machine may be busy."""
GROUP = "followed"


@pytest.fixture
def server(each_nacos: Nacos) -> Nacos:
    return each_nacos


def ignore(group: str, name: str, info: Record) -> None:
    """Take no push."""


def session(server: Nacos, namespace: str = "public") -> AbstractAsyncContextManager[Session]:
    options = Options.model_validate({"servers": [server.address]})
    return Access(options, context(Recorder().report)).session(namespace, ignore)


async def following(texts: AsyncGenerator[str | None]) -> str | None:
    """Return the next text."""
    async with asyncio.timeout(SOON):
        return await anext(texts)


async def test_a_configuration_is_followed_from_nothing_to_nothing(server: Nacos) -> None:
    async with session(server) as asked, aclosing(asked.watch_config(GROUP, "a.b.C")) as texts:
        assert await following(texts) is None
        await server.publish(GROUP, "a.b.C", "shop")
        assert await following(texts) == "shop"
        await server.publish(GROUP, "a.b.C", "shop,web")
        assert await following(texts) == "shop,web"
        assert await asked.read_config(GROUP, "a.b.C") == "shop,web"
        await server.retract(GROUP, "a.b.C")
        assert await following(texts) is None
        assert await asked.read_config(GROUP, "a.b.C") is None


async def test_what_changes_while_nobody_looks_is_told_once(server: Nacos) -> None:
    async with session(server) as asked, aclosing(asked.watch_config(GROUP, "late")) as texts:
        assert await following(texts) is None
        for text in ("one", "two", "three"):
            await server.publish(GROUP, "late", text)
            await until(partial(asked.read_config, GROUP, "late"), partial(eq, text), within=SOON)
        assert await following(texts) == "three"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await anext(texts)


async def test_thousand_configurations_are_followed_at_once(server: Nacos) -> None:
    names = [f"many-{number}" for number in range(1000)]
    seen: dict[str, list[str | None]] = {name: [] for name in names}

    async def here() -> dict[str, list[str | None]]:
        return seen

    async with session(server) as asked, asyncio.TaskGroup() as tasks:

        async def follow(name: str) -> None:
            async with aclosing(asked.watch_config(GROUP, name)) as texts:
                async for text in texts:
                    seen[name].append(text)

        followers = [tasks.create_task(follow(name)) for name in names]
        await until(here, lambda now: all(now.values()), within=20)
        for name in names[::250]:
            await server.publish(GROUP, name, name)
        told = {name: [None, name] if name in names[::250] else [None] for name in names}
        await until(here, lambda now: now == told, within=SOON)
        for follower in followers:
            follower.cancel()


async def test_tenants_are_apart_and_the_default_one_is_what_frameworks_write_to(
    server: Nacos,
) -> None:
    """Release 2 takes "" and "public" for two tenants, release 3 for one."""
    of_public = {2: None, 3: "of public"}[server.release]
    await server.publish(GROUP, "tenants", "of public", namespace="public")
    async with session(server) as asked, session(server, "prod") as other:
        await asyncio.sleep(1)  # until it could be read, where it cannot
        read = partial(asked.read_config, GROUP, "tenants")
        await until(read, partial(eq, of_public), within=SOON)
        async with aclosing(asked.watch_config(GROUP, "tenants")) as texts:
            assert await following(texts) == of_public
            await server.publish(GROUP, "tenants", "of nobody")
            assert await following(texts) == "of nobody"
        assert await other.read_config(GROUP, "tenants") is None
        async with aclosing(other.watch_config(GROUP, "tenants")) as texts:
            assert await following(texts) is None
            await server.publish(GROUP, "tenants", "of prod", namespace="prod")
            assert await following(texts) == "of prod"


async def test_two_who_follow_one_are_both_told(server: Nacos) -> None:
    async with (
        session(server) as asked,
        aclosing(asked.watch_config(GROUP, "shared")) as one,
        aclosing(asked.watch_config(GROUP, "shared")) as two,
    ):
        assert await following(one) is None
        assert await following(two) is None
        first, second = asyncio.create_task(following(one)), asyncio.create_task(following(two))
        await server.publish(GROUP, "shared", "text")
        assert (await first, await second) == ("text", "text")


async def test_a_large_text_arrives(server: Nacos) -> None:
    text = "x" * 600_000
    async with session(server) as asked, aclosing(asked.watch_config(GROUP, "large")) as texts:
        assert await following(texts) is None
        await server.publish(GROUP, "large", text)
        assert await following(texts) == text
