"""A scope is listed whole first, then each change is told, and nothing else."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

import msgspec
import pytest
import structlog

from meshbridge import (
    BadData,
    Changed,
    Context,
    Health,
    Listing,
    RegistryRejected,
    RegistryUnavailable,
    Removed,
    ServiceId,
    Update,
)
from meshbridge_nacos.admin_api import AdminApi
from meshbridge_nacos.asking import OnRequest, Page
from meshbridge_nacos.dubbo import Registrations
from meshbridge_nacos.inbox import Inbox
from meshbridge_nacos.options import Server as Address
from meshbridge_nacos.parse import Record
from meshbridge_nacos.scope import Scope
from meshbridge_nacos.subscriptions import AT_ONCE, MOST_ANSWERS, ScopeName, Subscriptions

NAME = ScopeName("public", "DEFAULT_GROUP")


def info(*ports: object, at: int | None = None, protected: bool = False) -> Record:
    hosts = [{"ip": "10.0.0.1", "port": port} for port in ports]
    return {"hosts": hosts, "lastRefTime": at, "reachProtectionThreshold": protected}


def identity(name: str) -> ServiceId:
    return ServiceId("", "", name)


class Server:
    """Answers as a session does, from a dictionary."""

    server = Address("127.0.0.1")
    namespace = NAME.namespace
    abilities: frozenset[str] = frozenset()

    def __init__(self, **services: Record | Exception) -> None:
        self.services: dict[str, Record | Exception] = dict(services)
        self.asked: list[str] = []
        self.let_go: list[str] = []
        self.stubborn: dict[str, Exception] = {}
        """Those that cannot be let go."""
        self.lists = 0
        self.busy = self.busiest = 0
        self.meanwhile: dict[str, list[Record]] = {}
        """Pushed between a question and its answer, one for each question."""
        self.answers = asyncio.Event()
        """Set while questions are answered."""
        self.answers.set()
        self.fetched: Record | Exception = BadData("nothing there")
        self.fetches: list[Mapping[str, str]] = []
        self.while_fetching: Callable[[], None] | None = None
        """What happens between a question to the admin API and its answer."""
        self.listed: list[tuple[str, ...]] = []
        """What the next lists have, in place of all services."""
        self.inbox = Inbox()

    async def page(self, group: str, number: int, size: int) -> Page:
        assert group == NAME.group
        assert number == 1
        assert size > len(self.services)
        self.lists += 1
        names = self.listed.pop(0) if self.listed else tuple(self.services)
        return Page(len(names), names)

    async def subscribe(self, group: str, service: str) -> Record:
        assert group == NAME.group
        self.asked.append(service)
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        await asyncio.sleep(0)
        self.busy -= 1
        if self.meanwhile.get(service):
            self.inbox.put(service, self.meanwhile[service].pop(0))
            await settle()
        await self.answers.wait()
        answer = self.services[service]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def unsubscribe(self, group: str, service: str) -> None:
        assert group == NAME.group
        self.let_go.append(service)
        if service in self.stubborn:
            raise self.stubborn[service]

    async def ask(self, kind: str, fields: Mapping[str, object], resource: str = "") -> Record:
        raise AssertionError((kind, fields, resource))

    def hear(self, kind: str, answer: str, on_request: OnRequest) -> None:
        raise AssertionError((kind, answer, on_request))

    async def fetch(self, path: str, query: Mapping[str, str]) -> Record:
        self.fetches.append({"path": path, **query})
        if self.while_fetching is not None:
            self.while_fetching()
            await settle()
        if isinstance(self.fetched, Exception):
            raise self.fetched
        return self.fetched

    async def read_config(self, group: str, data_id: str) -> str | None:
        raise AssertionError((group, data_id))

    def watch_config(self, group: str, data_id: str) -> AsyncGenerator[str | None]:
        raise AssertionError((group, data_id))


class Watched:
    """A scope with what it said; time passes only by :meth:`pass_interval`."""

    def __init__(self, server: Server, *, admin: bool = False) -> None:
        self.server = server
        self.said: list[Update] = []
        self.reports: list[tuple[object, str]] = []
        self.pauses: list[float] = []
        """Seconds that it waited between lists."""
        self._ticks: asyncio.Queue[None] = asyncio.Queue()
        self._waiting = asyncio.Event()

        def report(scope: str, subject: object, reason: str, remedy: str) -> None:
            assert scope == str(NAME)
            assert remedy
            self.reports.append((subject, reason))

        async def sleep(seconds: float) -> None:
            if asyncio.current_task() is not self._lists:  # what reads Dubbo's configuration
                await asyncio.Event().wait()
            self.pauses.append(seconds)
            self._waiting.set()
            await self._ticks.get()

        self._lists: asyncio.Task[None] | None = None
        logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
        context = Context(lambda: 0.0, sleep, report, logger)
        self.subscriptions = Subscriptions(
            NAME,
            server,
            AdminApi(server) if admin else None,
            server.inbox,
            context,
            asyncio.Semaphore(AT_ONCE),
        )
        self.scope = Scope(
            Registrations(NAME.namespace, NAME.group),
            server,
            self.subscriptions,
            context,
            self.said.append,
        )

    @asynccontextmanager
    async def followed(self, every: float = 10) -> AsyncGenerator[None]:
        """Follow what is listed already."""
        async with asyncio.TaskGroup() as tasks:
            self._lists = tasks.create_task(self.scope.follow_lists(every))
            others = [
                tasks.create_task(self.scope.follow_pushes()),
                tasks.create_task(self.scope.follow_todo()),
                tasks.create_task(self.scope.follow_news()),
            ]
            await settle()
            yield
            for task in (self._lists, *others):
                task.cancel()

    def tick(self) -> None:
        """Let one list begin."""
        self._ticks.put_nowait(None)

    async def pass_interval(self) -> None:
        """Let one list be made and worked off."""
        await self._waiting.wait()
        self._waiting.clear()
        self.tick()
        await self._waiting.wait()
        await settle()

    async def push(self, service: str, pushed: Record) -> None:
        """Let a push come in and be worked off."""
        self.server.inbox.put(service, pushed)
        await settle()

    def ports(self) -> list[tuple[int, ...]]:
        """Return the ports of each service in the listing or change said last."""
        last = self.said[-1]
        services = last.services if isinstance(last, Listing) else ()
        if isinstance(last, Changed):
            services = (last.service,)
        return [tuple(each.ports[0].number for each in one.instances) for one in services]

    def health(self) -> list[Health]:
        """Return the health of each instance of the service said last."""
        last = self.said[-1]
        (service,) = (last.service,) if isinstance(last, Changed) else self.listing().services
        return [each.health for each in service.instances]

    def listing(self) -> Listing:
        """Return what was said first."""
        first = self.said[0]
        assert isinstance(first, Listing)
        return first


async def watched(server: Server, *, after_gap: bool = False, admin: bool = False) -> Watched:
    """Return a scope that was listed."""
    one = Watched(server, admin=admin)
    await one.scope.list_all(after_gap=after_gap)
    return one


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


def names(services: Iterable[object]) -> list[str]:
    return [str(each) for each in services]


@pytest.mark.asyncio
async def test_everything_is_listed_at_once_and_sorted() -> None:
    one = await watched(Server(b=info(2), a=info(1), empty=info()), after_gap=True)
    (listing,) = one.said
    assert isinstance(listing, Listing)
    assert listing.after_gap
    assert names(each.id for each in listing.services) == ["a", "b", "empty"]
    assert one.ports() == [(1,), (2,), ()]


@pytest.mark.asyncio
async def test_a_scope_that_cannot_be_read_whole_is_not_listed_at_all() -> None:
    one = Watched(Server(a=info(1), b=RegistryUnavailable("gone")))
    with pytest.raises(ExceptionGroup) as failed:
        await one.scope.list_all(after_gap=False)
    assert failed.group_contains(RegistryUnavailable, match="gone")
    assert one.said == []


@pytest.mark.asyncio
async def test_subscriptions_are_asked_for_many_at_a_time_but_not_all() -> None:
    services = {f"s{number}": info(number + 1) for number in range(4 * AT_ONCE)}
    one = await watched(Server(**services))
    assert one.server.busiest == AT_ONCE
    assert sorted(one.server.asked) == sorted(services)
    assert set(one.scope.services) == set(services)


@pytest.mark.asyncio
async def test_what_dubbo_keeps_rules_under_is_not_asked_for() -> None:
    """Nothing is made of it, in a list nor when it is heard of."""
    one = await watched(Server(**{"configurators:com.acme.Orders::": info(), "a": info(1)}))
    async with one.followed():
        one.scope.appeared("routers:com.acme.Orders::")
        await settle()
        assert one.server.asked == ["a"]
        await one.pass_interval()
    assert one.server.asked == ["a", "a"]


@pytest.mark.asyncio
async def test_a_refused_service_is_named_and_spoils_itself_only() -> None:
    one = await watched(Server(a=info(1), bad=BadData("no right"), worse={"hosts": None}))
    assert names(each.id for each in one.listing().services if each.instances) == ["a"]
    assert set(one.listing().unreadable) == {identity("bad"), identity("worse")}
    assert {subject for subject, _ in one.reports} == {identity("bad"), identity("worse")}


@pytest.mark.asyncio
async def test_an_unreadable_instance_is_named_beside_its_service() -> None:
    one = await watched(Server(a=info(1, "two")))
    assert one.ports() == [(1,)]
    assert one.listing().unreadable == ((identity("a"), "hosts[1]"),)
    assert one.reports == [((identity("a"), "hosts[1]"), "its port is 'two'")]


@pytest.mark.asyncio
async def test_what_was_subscribed_to_is_forgotten_when_the_session_is_over() -> None:
    """Left to the garbage collector it would stay: it is out of its sight by then."""
    one = Watched(Server(a=info(1), b=info(2)))
    following = asyncio.create_task(one.scope.follow(5.0, after_gap=False, on_listed=lambda: None))
    await settle()
    assert set(one.scope.services) == {"a", "b"}
    one.server.inbox.put("a", info(3))
    following.cancel()
    await asyncio.wait([following])
    assert list(one.scope.services) == []
    assert one.server.inbox.take_one("a") is None


@pytest.mark.asyncio
async def test_a_push_that_overtakes_the_answer_wins() -> None:
    server = Server(a=info(1))
    server.meanwhile["a"] = [info(2)]
    assert (await watched(server)).ports() == [(2,)]


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [info(2), BadData("it is not described")])
async def test_a_push_for_a_service_that_is_being_asked_for_waits_for_the_answer(
    answer: Record | Exception,
) -> None:
    """Pushes are followed meanwhile; one that is dropped leaves the older answer in force."""
    server = Server(a=info(1))
    one = await watched(server)
    async with one.followed():
        server.services["b"], server.meanwhile["b"] = answer, [info(3)] * 9
        await one.pass_interval()
        assert one.ports() == [(3,)]
        assert server.inbox.take_one("b") is None
        await one.push("b", info(4))
        assert one.ports() == [(4,)]
    assert one.reports == []


@pytest.mark.asyncio
async def test_an_older_push_that_an_answer_has_overtaken_is_resolved_by_asking() -> None:
    server = Server(a=info(2, at=20))
    server.meanwhile["a"] = [info(1, at=10)]
    one = await watched(server)
    assert one.ports() == [(2,)]
    assert server.asked == ["a", "a"]


@pytest.mark.asyncio
async def test_a_server_whose_pushes_are_always_older_is_not_asked_for_ever() -> None:
    server = Server(a=info(2, at=20))
    server.meanwhile["a"] = [info(1, at=10)] * 10
    one = await watched(server)
    assert one.ports() == [(2,)]
    assert server.asked == ["a"] * MOST_ANSWERS


@pytest.mark.asyncio
async def test_a_push_whose_time_goes_back_is_resolved_by_asking() -> None:
    """The server's clock was set, or another push has overtaken it: only the server knows."""
    server = Server(a=info(1, at=20))
    one = await watched(server)
    async with one.followed():
        await one.push("a", info(9, at=10))
        assert len(one.said) == 1
        assert server.asked == ["a", "a"]
        server.services["a"] = info(3, at=12)
        await one.push("a", info(3, at=12))
        assert one.ports() == [(3,)]
        await one.push("a", info(4, at=13))
        assert one.ports() == [(4,)]
        assert server.asked == ["a"] * 3


@pytest.mark.asyncio
async def test_a_push_from_before_the_question_does_not_outdo_the_answer() -> None:
    """It belongs to an earlier subscription, and nothing says what changed since."""
    server = Server(a=info(2))
    server.inbox.put("a", info(1))
    assert (await watched(server)).ports() == [(2,)]


@pytest.mark.asyncio
async def test_other_services_are_followed_while_one_is_being_asked_for() -> None:
    server = Server(a=info(1))
    one = await watched(server)
    server.answers.clear()
    server.meanwhile["b"] = [info(3)] * 9
    async with one.followed():
        server.services["b"] = info(2)
        one.tick()
        await settle()
        await one.push("a", info(9))
        assert one.ports() == [(9,)]
        server.services["a"] = info(9)
        server.answers.set()
        await settle()
        assert one.ports() == [(3,)]
    assert len(one.said) == 3


@pytest.mark.asyncio
async def test_a_push_is_told_once_and_its_repetition_is_not() -> None:
    one = await watched(Server(a=info(1)))
    async with one.followed():
        for pushed in (info(1), info(2), info(2), info()):
            await one.push("a", pushed)
    told = [update.service for update in one.said if isinstance(update, Changed)]
    assert [[each.ports[0].number for each in each_one.instances] for each_one in told] == [[2], []]


@pytest.mark.asyncio
async def test_a_push_of_what_is_known_is_not_read() -> None:
    """Each subscription is followed by a push of what was answered: to read it costs as much."""

    def said(*ports: int, at: int) -> Record:
        hosts = json.dumps([{"ip": "10.0.0.1", "port": port} for port in ports])
        return {**info(at=at), "hosts": msgspec.Raw(hosts.encode())}

    one = await watched(Server(a=said(1, 2, at=1)))
    known = one.subscriptions.told["a"]
    async with one.followed():
        await one.push("a", said(1, 2, at=5))
        again = one.subscriptions.told["a"]
        assert again.reading is known.reading
        assert again.at == 5
        await one.push("a", said(1, 2, at=4))
        assert one.server.asked == ["a", "a"], "its time is noted all the same"
        await one.push("a", said(1, 3, at=6))
    assert one.ports() == [(1, 3)]
    assert len(one.said) == 2


@pytest.mark.asyncio
async def test_what_a_push_does_not_change_stays_the_same_object() -> None:
    """So that nobody has to compare 12,000 instances field by field at once."""
    one = await watched(Server(a=info(1, 2)))
    async with one.followed():
        await one.push("a", info(1, 2, 3))
    changed = one.said[-1]
    assert isinstance(changed, Changed)
    before = one.listing().services[0].instances
    assert all(now is was for now, was in zip(changed.service.instances, before, strict=False))


@pytest.mark.asyncio
async def test_a_push_of_an_unknown_service_is_not_told() -> None:
    one = await watched(Server(a=info(1)))
    async with one.followed():
        await one.push("stranger", info(2))
    assert len(one.said) == 1


@pytest.mark.asyncio
async def test_an_unreadable_push_keeps_the_service_and_names_it() -> None:
    one = await watched(Server(a=info(1)))
    async with one.followed():
        await one.push("a", {"hosts": None})
    changed = one.said[-1]
    assert isinstance(changed, Changed)
    assert changed.unreadable == (identity("a"),)


@pytest.mark.asyncio
async def test_a_large_push_lets_others_have_their_turns() -> None:
    """12,000 instances take 80 ms to read."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    one = await watched(Server(a=info(1)))
    async with one.followed(), asyncio.TaskGroup() as tasks:
        counting = tasks.create_task(count())
        one.server.inbox.put("a", info(*range(1, 12_001)))
        while len(one.said) == 1:
            await settle()
        counting.cancel()
    assert len(one.ports()[0]) == 12_000
    assert turns >= 25


@pytest.mark.asyncio
async def test_what_is_newer_than_a_large_push_is_not_replaced_by_it() -> None:
    """It was asked for while the push was read in slices."""
    server = Server(a=info(1))
    one = await watched(server)
    async with one.followed():
        server.inbox.put("a", info(*range(1, 4_001)))
        await asyncio.sleep(0)
        server.services["a"] = info(2)
        one.tick()
        for _ in range(10):
            await settle()
    assert one.ports() == [(2,)]


@pytest.mark.asyncio
async def test_a_new_service_is_found_by_the_next_list() -> None:
    one = await watched(Server(a=info(1)))
    async with one.followed():
        one.server.services["b"] = info(2)
        await one.pass_interval()
    assert len(one.said) == 2
    assert one.ports() == [(2,)]
    assert set(one.server.asked) == {"a", "b"}


@pytest.mark.asyncio
@pytest.mark.parametrize("refusal", [BadData("no"), RegistryRejected("no right")])
async def test_a_service_is_gone_when_two_lists_in_a_row_agree_that_it_is(
    refusal: Exception,
) -> None:
    one = await watched(Server(a=info(1), stubborn=info(2)))
    one.server.stubborn["stubborn"] = refusal
    lists = one.server.lists
    async with one.followed():
        await one.pass_interval()
        assert one.server.lists == lists + 1
        del one.server.services["stubborn"]
        await one.pass_interval()
        assert one.server.lists == lists + 3
        assert one.said[1:] == [Removed(str(NAME), identity("stubborn"))]
        del one.server.services["a"]
        await one.pass_interval()
    assert one.said[2:] == [Removed(str(NAME), identity("a"))]
    assert one.server.let_go == ["stubborn", "a"]


@pytest.mark.asyncio
async def test_while_lists_do_not_agree_nothing_is_gone_but_what_is_new_is_there() -> None:
    one = await watched(Server(a=info(1)))
    async with one.followed():
        one.server.services["b"] = info(2)
        one.server.listed = [("b",), ()]
        await one.pass_interval()
        assert [type(each) for each in one.said] == [Listing, Changed]
        assert one.ports() == [(2,)]


@pytest.mark.asyncio
async def test_what_is_heard_of_beside_the_list_is_asked_for_at_once() -> None:
    """Fuzzy watch tells names; the list stays the truth."""
    one = await watched(Server(a=info(1)))
    async with one.followed():
        one.server.services["b"] = info(2)
        one.scope.appeared("b")
        await settle()
        assert one.ports() == [(2,)]
        one.scope.appeared("a")
        one.scope.vanished("b")
        one.scope.vanished("stranger")
        await settle()
        assert len(one.said) == 2, "the list has it still"
        del one.server.services["b"]
        one.scope.vanished("b")
        await settle()
        assert one.said[2:] == [Removed(str(NAME), identity("b"))]
    assert one.pauses == [10]


@pytest.mark.asyncio
async def test_what_is_heard_of_while_the_list_is_on_its_way_is_not_gone() -> None:
    one = await watched(Server(a=info(1)))
    async with one.followed():
        one.server.services["b"] = info(2)
        one.server.listed = [("a",)]
        one.scope.appeared("b")
        one.tick()
        await settle()
        assert one.ports() == [(2,)]
        assert [type(each) for each in one.said] == [Listing, Changed]


@pytest.mark.asyncio
async def test_after_a_gap_it_is_listed_every_second_for_a_minute() -> None:
    """A server that has restarted knows no service until its registrants are back."""
    one = await watched(Server(), after_gap=True)
    async with one.followed():
        one.server.services["a"] = info(2)
        for _ in range(62):
            await one.pass_interval()
    assert one.ports() == [(2,)]
    assert one.pauses[:62] == [*[1.0] * 60, 10, 10]


@pytest.mark.asyncio
async def test_what_was_never_pushed_is_seen_all_the_same() -> None:
    """Pushes get lost: every few seconds some services are asked for again."""
    one = await watched(Server(a=info(1), b=info(2)))
    async with one.followed():
        await one.pass_interval()
        assert len(one.said) == 1, "all is as it was"
        one.server.services["b"] = info(3)
        await one.pass_interval()
    assert len(one.said) == 2
    assert one.ports() == [(3,)]


@pytest.mark.asyncio
async def test_many_services_are_asked_for_again_in_turn_and_after_a_gap_first_the_empty() -> None:
    many = {f"s{number:03}": info(1) for number in range(2 * AT_ONCE)}
    one = await watched(Server(**many, z1=info(), z2=info()), after_gap=True)
    one.server.asked.clear()
    rounds = list[list[str]]()
    async with one.followed():
        for _ in range(3):
            await one.pass_interval()
            rounds.append(sorted(one.server.asked))
            one.server.asked.clear()
    assert all({"z1", "z2"} <= set(each) for each in rounds)
    assert all(len(each) <= AT_ONCE for each in rounds)
    assert {name for each in rounds for name in each} == {*many, "z1", "z2"}


@pytest.mark.asyncio
async def test_what_was_refused_is_asked_for_again_first() -> None:
    """Nothing is pushed of it, and the server may have had a bad moment."""
    refused = {f"z{number:03}": BadData("overload") for number in range(AT_ONCE)}
    many = {f"s{number:03}": info(1) for number in range(2 * AT_ONCE)}
    one = await watched(Server(**many, **refused))
    one.server.asked.clear()
    async with one.followed():
        await one.pass_interval()
        assert len(set(one.server.asked) & set(refused)) >= AT_ONCE // 2
        assert set(one.server.asked) & set(many), "and others beside them"
        assert len(one.server.asked) <= AT_ONCE
        one.server.services["z063"] = info(7)
        await one.pass_interval()
        await one.pass_interval()
    assert one.ports() == [(7,)], "all of them within two lists"


def told_to_administrators(**healthy: bool) -> Record:
    hosts = [
        {"ip": "10.0.0.1", "port": int(port[1:]), "healthy": each} for port, each in healthy.items()
    ]
    return {"data": hosts}


@pytest.mark.asyncio
async def test_under_protection_administrators_are_told_the_truth() -> None:
    server = Server(a=info(1, 2, protected=True))
    server.fetched = told_to_administrators(p1=True, p2=False)
    one = await watched(server, admin=True)
    assert one.health() == [Health.HEALTHY, Health.UNHEALTHY]
    async with one.followed():
        server.fetched = told_to_administrators(p1=False, p2=False)
        await one.push("a", info(1, 2, protected=True))
        assert one.health() == [Health.UNHEALTHY, Health.UNHEALTHY]
        await one.push("a", info(1, 2, 3, protected=True))
        assert one.health() == [Health.UNHEALTHY, Health.UNHEALTHY, Health.DEGRADED]
        await one.push("a", info(1))
        assert one.health() == [Health.HEALTHY]
    assert len(server.fetches) == 3
    assert {each["clusterName"] for each in server.fetches} == {"DEFAULT"}


@pytest.mark.asyncio
async def test_what_is_pushed_while_administrators_are_asked_is_not_lost() -> None:
    server = Server(a=info(1, protected=True))
    server.fetched = told_to_administrators(p1=True)
    server.while_fetching = lambda: server.inbox.put("a", info(2))
    one = await watched(server, admin=True)
    assert one.ports() == [(1,)]
    async with one.followed():
        await settle()
        assert one.ports() == [(2,)]
        await one.push("a", info(1, protected=True))
        assert one.ports() == [(2,)], "pushed meanwhile, it is newer than what was asked"


@pytest.mark.asyncio
async def test_a_service_may_go_while_administrators_are_asked() -> None:
    server = Server(a=info(1))
    server.fetched = told_to_administrators(p1=False)
    one = await watched(server, admin=True)

    def go() -> None:
        server.services.clear()
        one.tick()

    server.while_fetching = go
    async with one.followed():
        await one.push("a", info(1, protected=True))
        await settle()
        assert one.said[-1] == Removed(str(NAME), identity("a"))
        server.inbox.put("a", info(1, protected=True))
        await settle()
    assert one.said[-1] == Removed(str(NAME), identity("a"))


@pytest.mark.asyncio
async def test_a_service_that_is_let_go_while_it_is_asked_for_again_stays_away() -> None:
    """Be its question on its way, or behind those for many others."""
    server = Server(**{f"s{number:03}": info(1) for number in range(AT_ONCE + 1)})
    one = await watched(server)
    first, *others, last = server.services
    server.asked.clear()
    server.answers.clear()
    asking = asyncio.create_task(one.subscriptions.ask(server.services))
    await settle()
    for name in (first, last):
        del one.subscriptions.told[name]
    server.answers.set()
    await asking
    assert list(one.scope.services) == others
    assert server.asked == [first, *others]
    assert server.let_go == [first], "the question has subscribed to it once more"


@pytest.mark.asyncio
async def test_a_service_that_is_gone_is_not_checked() -> None:
    one = await watched(Server(a=info(1)), admin=True)
    await one.subscriptions.check(["gone"])
    assert one.server.fetches == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("refusal", "asked"),
    [(RegistryRejected("no"), 1), (BadData("404"), 4), (RegistryUnavailable("later"), 2)],
)
async def test_without_the_truth_instances_under_protection_are_degraded(
    refusal: Exception, asked: int
) -> None:
    """Who has no right to it once is not asked again."""
    server = Server(a=info(1, protected=True))
    server.fetched = refusal
    one = await watched(server, admin=True)
    async with one.followed():
        await one.push("a", info(1, 2, protected=True))
    assert one.health() == [Health.DEGRADED, Health.DEGRADED]
    assert len(server.fetches) == asked


@pytest.mark.asyncio
async def test_where_administrators_are_not_to_be_asked_they_are_not() -> None:
    server = Server(a=info(1, protected=True))
    one = await watched(server)
    assert one.health() == [Health.DEGRADED]
    assert server.fetches == []
