"""What Dubbo has left in Nacos' configuration is read once it is needed, and again if need be."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import cast

import pytest
import structlog
from unit.nacos.dubbo_group import GREETER, REVISION, Group, node, url

from meshbridge import BadData, Context, RegistryRejected, RegistryUnavailable
from meshbridge_nacos import dubbo_configs
from meshbridge_nacos.asking import Questions
from meshbridge_nacos.dubbo_configs import AGAIN, LATEST, RIPE, Configs
from meshbridge_nacos.parse import Record

AT = "dubbo://10.0.0.1:20880"
METADATA = '{"services":{"a.Greeter:dubbo":{"name":"a.Greeter","protocol":"dubbo","port":20880}}}'
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
        self.tenants: set[str] = set()

    async def read_config(self, group: str, data_id: str) -> str | None:
        self.asked.append((group, data_id))
        await asyncio.sleep(0)
        answer = self.configurations.get((group, data_id))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def fetch(self, path: str, query: Mapping[str, str]) -> Record:
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


def remote(revision: str = REVISION) -> dict[str, object]:
    return node(revision=revision, storage="remote")


def bed(**configurations: Answer) -> Bed:
    return Bed(Server(**configurations))


@pytest.mark.asyncio
async def test_all_metadata_are_read_before_the_first_word() -> None:
    it = Bed(Server())
    it.server.configurations[REVISION, "shop"] = METADATA
    it.group.put("shop", remote())
    await it.complete()
    assert it.group.ids(GREETER) == [AT]
    assert it.server.asked == [(REVISION, "shop")]
    assert it.news == 0


@pytest.mark.asyncio
async def test_metadata_of_a_new_revision_are_read_at_once() -> None:
    it = Bed(Server())
    async with it.runs():
        it.configs.look()
        await settle()
        assert it.server.asked == []
        it.server.configurations[REVISION, "shop"] = METADATA
        it.group.put("shop", remote())
        it.configs.look()
        await settle()
        assert it.group.ids(GREETER) == [AT]
        assert it.news == 1


@pytest.mark.asyncio
async def test_large_metadata_are_read_beside_all_else() -> None:
    it = Bed(Server())
    it.server.configurations[REVISION, "shop"] = METADATA + " " * 70_000
    it.group.put("shop", remote())
    await it.complete()
    assert it.group.ids(GREETER) == [AT]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, f"they cannot be read: there is no configuration shop in the group {REVISION}"),
        (RegistryUnavailable("gone"), "they cannot be read: gone"),
        (RegistryRejected("no right"), "they cannot be read: no right"),
        (BadData("no"), "they cannot be read: no"),
        ("[]", "they cannot be read: the metadata is a list, no object"),
    ],
)
@pytest.mark.asyncio
async def test_what_cannot_be_read_is_said_and_tried_again_less_and_less_often(
    answer: Answer, reason: str
) -> None:
    it = Bed(Server())
    it.server.configurations[REVISION, "shop"] = answer
    it.group.put("shop", remote())
    await it.complete()
    assert [each for _, each in it.group.reports] == [reason]
    asked = it.server.asked
    asked.clear()
    async with it.runs():
        it.configs.look()
        await settle()
        assert (REVISION, "shop") not in asked
        await it.time.passes(100)
        tries = asked.count((REVISION, "shop"))
        assert 4 <= tries <= 6
        it.server.configurations[REVISION, "shop"] = METADATA
        await it.time.passes(LATEST)
        assert it.group.ids(GREETER) == [AT]
        assert it.group.reports[1:] == []


@pytest.mark.parametrize("path", [V3, V1])
@pytest.mark.asyncio
async def test_mappings_of_both_releases_and_definitions_tell_in_the_end(path: str) -> None:
    it = bed(mapping__a_Greeter="shop,other", mapping__a_Broken="a/b")
    it.server.lists = path
    it.server.configurations["mapping-a.Stock", "shop"] = "1"
    it.server.configurations["dubbo", "a.Stock:1.0:blue:provider:shop"] = "{}"
    it.server.configurations["dubbo", "a.Stock:2.0::provider:others"] = "{}"
    it.server.configurations["dubbo", "a.Hidden:::provider:shop"] = "{}"
    it.server.configurations["dubbo", "a.Stock:::consumer:shop"] = "{}"
    it.group.put("shop", node(revision=REVISION))
    await it.complete()
    assert it.group.held.keys() == {"shop", GREETER, "blue@@a.Stock#1.0"}
    assert it.server.tenants == {""}


@pytest.mark.parametrize("options", [{"lists": False}, {}])
@pytest.mark.asyncio
async def test_where_nobody_lists_mappings_those_of_known_interfaces_are_read(
    options: Mapping[str, bool],
) -> None:
    it = Bed(Server(mapping__a_Greeter="shop", mapping__a_Stock="shop"), **options)
    it.server.lists = "" if not options else V3
    it.server.namespace = "prod"
    it.group.put(f"providers:{GREETER}::", url(ip="10.0.0.9"))
    it.group.put("shop", node(revision=REVISION))
    await it.complete()
    assert it.group.ids(GREETER) == [AT, "dubbo://10.0.0.9:20880"]
    assert "a.Stock" not in it.group.held


@pytest.mark.asyncio
async def test_all_pages_of_a_list_are_read() -> None:
    it = bed()
    for number in range(1200):
        it.server.configurations[f"mapping-a.I{number}", "shop"] = "1"
    it.group.put("shop", node())
    await it.complete()
    assert len(it.group.held) == 1201


@pytest.mark.asyncio
async def test_a_list_without_an_end_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dubbo_configs, "MOST_PAGES", 1)
    it = bed()
    for number in range(1200):
        it.server.configurations[f"mapping-a.I{number}", "shop"] = "1"
    it.group.put("shop", node())
    await it.complete()
    assert len(it.group.held) == 501


@pytest.mark.asyncio
async def test_a_list_of_another_form_is_none() -> None:
    forms: list[Record] = [{"data": []}, {"pageItems": {}}]
    odd: list[object] = ["x", {"group": 1, "dataId": "a"}, {"group": "mapping", "dataId": ""}]

    class Odd(Server):
        async def fetch(self, path: str, query: Mapping[str, str]) -> Record:
            assert (path, query["search"]) in {(V3, "blur"), (V1, "blur")}
            return forms.pop(0) if forms else {"pageItems": odd}

    it = Bed(Odd(mapping__a_Greeter="shop"))
    it.group.put("shop", node())
    await it.complete()
    assert it.group.held.keys() == {"shop"}
    async with it.runs():
        await it.time.passes(AGAIN + 2 * RIPE)
    assert forms == []
    assert it.server.asked == []


@pytest.mark.asyncio
async def test_a_new_instance_is_given_time_before_its_mapping_is_gone_by() -> None:
    it = bed(mapping__a_Greeter="shop")
    async with it.runs():
        await it.time.passes(100)
        assert it.server.asked == []
        it.group.put("shop", node(revision=REVISION))
        await it.time.passes(RIPE)
        assert GREETER not in it.group.held
        await it.time.passes(RIPE)
        assert it.group.ids(GREETER) == [AT]


@pytest.mark.asyncio
async def test_mappings_are_read_again_while_they_are_needed_and_kept_while_they_cannot_be() -> (
    None
):
    it = bed(mapping__a_Greeter="shop")
    it.group.put("shop", node(revision=REVISION))
    await it.complete()
    async with it.runs():
        it.server.configurations["mapping", GREETER] = RegistryUnavailable("gone")
        await it.time.passes(AGAIN)
        assert it.group.ids(GREETER) == [AT]
        it.server.configurations["mapping", "a.Stock"] = "shop"
        it.group.put("other", node(ip="10.0.0.2"))
        await it.time.passes(RIPE)
        assert it.group.ids("a.Stock") == [AT]
        it.server.configurations["mapping", GREETER] = None
        await it.time.passes(AGAIN)
        assert GREETER not in it.group.held
