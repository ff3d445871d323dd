"""Stands in for what a session is asked of configurations, and for time."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import cast

import pytest
import structlog
from unit.nacos.dubbo_group import Group

from meshbridge import BadData, Context, RegistryRejected
from meshbridge_nacos.asking import Questions
from meshbridge_nacos.dubbo_configs import Configs
from meshbridge_nacos.parse import Record

V3, V1 = "/v3/admin/cs/config/list", "/v1/cs/configs"
Answer = str | Exception | None


class Server:
    """Answers from dictionaries as a session's questions do."""

    namespace = "public"

    def __init__(self, **configurations: Answer) -> None:
        """``group__data`` names a configuration."""
        self.configurations: dict[tuple[str, str], Answer] = {}
        for name, text in configurations.items():
            group, _, data_id = name.partition("__")
            self.configurations[group, data_id.replace("_", ".")] = text
        self.lists = V3
        """Where configurations are listed; nowhere if it is empty."""
        self.asked: list[tuple[str, str]] = []
        self.on_asked: Callable[[], None] = lambda: None
        """Called before a configuration is read, or some are listed."""
        self.tenants: set[str] = set()

    async def read_config(self, group: str, data_id: str) -> str | None:
        self.asked.append((group, data_id))
        self.on_asked()
        await asyncio.sleep(0)
        answer = self.configurations.get((group, data_id))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def fetch(self, path: str, query: Mapping[str, str]) -> Record:
        self.on_asked()
        await asyncio.sleep(0)
        if path != self.lists:
            raise BadData("404") if path == V3 else RegistryRejected("403")
        group_key, namespace_key = (
            ("groupName", "namespaceId") if path == V3 else ("group", "tenant")
        )
        self.tenants.add(query[namespace_key])
        group, data_id = query[group_key], query["dataId"]
        found: list[object] = [
            {group_key: each[0], "dataId": each[1]}
            for each in self.configurations
            if _fits(group, each[0]) and _fits(data_id, each[1])
        ]
        size, number = int(query["pageSize"]), int(query["pageNo"])
        page = {"pageItems": found[(number - 1) * size : number * size]}
        return {"data": page} if path == V3 else page


def _fits(pattern: str, text: str) -> bool:
    head, star, tail = pattern.partition("*")
    fits = text.startswith(head) and text.endswith(tail) if star else text == head
    return fits or not pattern


class Time:
    """Passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self.now + seconds, woken))
        await woken.wait()

    async def passes(self, seconds: float) -> None:
        end = self.now + seconds
        while due := sorted((at for at, _ in self._sleepers if at <= end)):
            self.now = due[0]
            for each in [each for each in self._sleepers if each[0] <= self.now]:
                self._sleepers.remove(each)
                each[1].set()
            await settle()
        self.now = end


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


def report(scope: str, subject: object, reason: str, remedy: str) -> None:
    raise AssertionError(f"{scope}: {subject}: {reason}; {remedy}: the scope reports")


class Bed:
    """A group, what reads its configurations, and how often there was news."""

    def __init__(self, server: Server, **options: bool) -> None:
        self.server, self.time, self.group = server, Time(), Group()
        self.news = 0
        sleep = cast("Callable[[float], Awaitable[None]]", self.time.sleep)
        logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
        context = Context(self.time.clock, sleep, report, logger)
        self.configs = Configs(
            self.group.registrations,
            cast("Questions", server),
            context,
            self._on_news,
            chance=lambda: 1.0,
            **options,
        )

    def _on_news(self) -> None:
        self.news += 1
        self.group.take()

    @asynccontextmanager
    async def runs(self) -> AsyncGenerator[None]:
        task = asyncio.create_task(self.configs.run())
        await settle()
        yield
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def complete(self) -> None:
        await self.configs.complete()
        self.group.take()
