"""A scope is listed whole first, then each change is told, and nothing else."""

import asyncio
from collections.abc import Iterable

import pytest
import structlog

from meshbridge import (
    BadData,
    Changed,
    Context,
    Listing,
    RegistryUnavailable,
    Removed,
    ServiceId,
    Update,
)
from meshbridge_nacos.inbox import Inbox
from meshbridge_nacos.parse import Record
from meshbridge_nacos.scope import AT_ONCE, Scope, ScopeName

NAME = ScopeName("public", "DEFAULT_GROUP")


def info(*ports: object) -> Record:
    return {"hosts": [{"ip": "10.0.0.1", "port": port} for port in ports]}


def identity(name: str) -> ServiceId:
    return ServiceId("", "", name)


class Server:
    """Answers as a session does, from a dictionary."""

    def __init__(self, **services: Record | Exception) -> None:
        self.services: dict[str, Record | Exception] = dict(services)
        self.asked: list[str] = []
        self.let_go: list[str] = []
        self.busy = self.busiest = 0
        self.meanwhile: dict[str, Record] = {}
        """Pushed between the question and its answer."""
        self.answers = asyncio.Event()
        """Set while questions are answered."""
        self.answers.set()
        self.inbox = Inbox()

    async def list_services(self, group: str) -> frozenset[str]:
        assert group == NAME.group
        return frozenset(self.services)

    async def subscribe(self, group: str, service: str) -> Record:
        assert group == NAME.group
        self.asked.append(service)
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        await asyncio.sleep(0)
        self.busy -= 1
        if service in self.meanwhile:
            self.inbox.put(service, self.meanwhile[service])
            await settle()
        await self.answers.wait()
        answer = self.services[service]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def unsubscribe(self, group: str, service: str) -> None:
        assert group == NAME.group
        self.let_go.append(service)
        if service == "stubborn":
            raise BadData("no")


class Watched:
    """A scope with what it said; time passes only by :meth:`pass_interval`."""

    def __init__(self, server: Server) -> None:
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
            self.pauses.append(seconds)
            self._waiting.set()
            await self._ticks.get()

        logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
        context = Context(lambda: 0.0, sleep, report, logger)
        self.scope = Scope(NAME, server, server.inbox, context, self.said.append)

    def tick(self) -> None:
        """Let one list begin."""
        self._ticks.put_nowait(None)

    async def pass_interval(self) -> None:
        """Let one list be made and worked off."""
        await self._waiting.wait()
        self._waiting.clear()
        self.tick()
        await self._waiting.wait()

    def ports(self) -> list[tuple[int, ...]]:
        """Return the ports of each service in the listing or change said last."""
        last = self.said[-1]
        services = last.services if isinstance(last, Listing) else ()
        if isinstance(last, Changed):
            services = (last.service,)
        return [tuple(each.ports[0].number for each in one.instances) for one in services]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def names(services: Iterable[object]) -> list[str]:
    return [str(each) for each in services]


@pytest.mark.asyncio
async def test_everything_is_listed_at_once_and_sorted() -> None:
    watched = Watched(Server(b=info(2), a=info(1), empty=info()))
    await watched.scope.list_all(after_gap=True)
    (listing,) = watched.said
    assert isinstance(listing, Listing)
    assert listing.after_gap
    assert names(each.id for each in listing.services) == ["a", "b", "empty"]
    assert watched.ports() == [(1,), (2,), ()]


@pytest.mark.asyncio
async def test_a_scope_that_cannot_be_read_whole_is_not_listed_at_all() -> None:
    watched = Watched(Server(a=info(1), b=RegistryUnavailable("gone")))
    with pytest.raises(ExceptionGroup) as failed:
        await watched.scope.list_all(after_gap=False)
    assert failed.group_contains(RegistryUnavailable, match="gone")
    assert watched.said == []


@pytest.mark.asyncio
async def test_subscriptions_are_asked_for_many_at_a_time_but_not_all() -> None:
    services = {f"s{number}": info(number + 1) for number in range(4 * AT_ONCE)}
    watched = Watched(Server(**services))
    await watched.scope.list_all(after_gap=False)
    assert watched.server.busiest == AT_ONCE
    assert sorted(watched.server.asked) == sorted(services)


@pytest.mark.asyncio
async def test_a_refused_service_is_named_and_spoils_itself_only() -> None:
    watched = Watched(Server(a=info(1), bad=BadData("no right"), worse={"hosts": None}))
    await watched.scope.list_all(after_gap=False)
    (listing,) = watched.said
    assert isinstance(listing, Listing)
    assert names(each.id for each in listing.services) == ["a"]
    assert listing.unreadable == (identity("bad"), identity("worse"))
    assert [subject for subject, _ in watched.reports] == [identity("bad"), identity("worse")]


@pytest.mark.asyncio
async def test_an_unreadable_instance_is_named_beside_its_service() -> None:
    watched = Watched(Server(a=info(1, "two")))
    await watched.scope.list_all(after_gap=False)
    (listing,) = watched.said
    assert isinstance(listing, Listing)
    assert watched.ports() == [(1,)]
    assert listing.unreadable == ((identity("a"), "hosts[1]"),)
    assert watched.reports == [((identity("a"), "hosts[1]"), "its port is 'two'")]


@pytest.mark.asyncio
async def test_a_push_that_overtakes_the_answer_wins() -> None:
    server = Server(a=info(1))
    server.meanwhile["a"] = info(2)
    watched = Watched(server)
    await watched.scope.list_all(after_gap=False)
    assert watched.ports() == [(2,)]


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [info(2), BadData("it is not described")])
async def test_a_push_for_a_service_that_is_being_asked_for_waits_for_the_answer(
    answer: Record | Exception,
) -> None:
    """Pushes are followed meanwhile; one that is dropped leaves the older answer in force."""
    server = Server(a=info(1))
    watched = Watched(server)
    await watched.scope.list_all(after_gap=False)
    async with asyncio.TaskGroup() as tasks:
        pushes = tasks.create_task(watched.scope.follow_pushes())
        lists = tasks.create_task(watched.scope.follow_lists(10))
        server.services["b"], server.meanwhile["b"] = answer, info(3)
        await watched.pass_interval()
        await watched.pass_interval()
        assert watched.ports() == [(3,)]
        assert server.inbox.take_one("b") is None
        server.inbox.put("b", info(4))
        await settle()
        assert watched.ports() == [(4,)]
        pushes.cancel()
        lists.cancel()
    assert watched.reports == []


@pytest.mark.asyncio
async def test_a_push_from_before_the_question_does_not_outdo_the_answer() -> None:
    """It belongs to an earlier subscription, and nothing says what changed since."""
    server = Server(a=info(2))
    server.inbox.put("a", info(1))
    watched = Watched(server)
    await watched.scope.list_all(after_gap=False)
    assert watched.ports() == [(2,)]


@pytest.mark.asyncio
async def test_other_services_are_followed_while_one_is_being_asked_for() -> None:
    server = Server(a=info(1))
    watched = Watched(server)
    await watched.scope.list_all(after_gap=False)
    server.answers.clear()
    server.meanwhile["b"] = info(3)
    async with asyncio.TaskGroup() as tasks:
        pushes = tasks.create_task(watched.scope.follow_pushes())
        server.services["b"] = info(2)
        lists = tasks.create_task(watched.scope.follow_lists(0))
        watched.tick()
        await settle()
        server.inbox.put("a", info(9))
        await settle()
        assert watched.ports() == [(9,)]
        server.answers.set()
        await settle()
        assert watched.ports() == [(3,)]
        pushes.cancel()
        lists.cancel()
    assert len(watched.said) == 3


@pytest.mark.asyncio
async def test_a_push_is_told_once_and_its_repetition_is_not() -> None:
    watched = Watched(Server(a=info(1)))
    await watched.scope.list_all(after_gap=False)
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(watched.scope.follow_pushes())
        for pushed in (info(1), info(2), info(2), info()):
            watched.server.inbox.put("a", pushed)
            await settle()
        following.cancel()
    told = [update.service for update in watched.said if isinstance(update, Changed)]
    assert [[each.ports[0].number for each in one.instances] for one in told] == [[2], []]


@pytest.mark.asyncio
async def test_a_push_of_an_unknown_service_is_not_told() -> None:
    watched = Watched(Server(a=info(1)))
    await watched.scope.list_all(after_gap=False)
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(watched.scope.follow_pushes())
        watched.server.inbox.put("stranger", info(2))
        await settle()
        following.cancel()
    assert len(watched.said) == 1


@pytest.mark.asyncio
async def test_an_unreadable_push_keeps_the_service_and_names_it() -> None:
    watched = Watched(Server(a=info(1)))
    await watched.scope.list_all(after_gap=False)
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(watched.scope.follow_pushes())
        watched.server.inbox.put("a", {"hosts": None})
        await settle()
        following.cancel()
    changed = watched.said[-1]
    assert isinstance(changed, Changed)
    assert changed.unreadable == (identity("a"),)


@pytest.mark.asyncio
async def test_a_new_service_is_found_by_the_next_list() -> None:
    watched = Watched(Server(a=info(1)))
    await watched.scope.list_all(after_gap=False)
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(watched.scope.follow_lists(10))
        watched.server.services["b"] = info(2)
        await watched.pass_interval()
        await watched.pass_interval()
        following.cancel()
    assert len(watched.said) == 2
    assert watched.ports() == [(2,)]
    assert set(watched.server.asked) == {"a", "b"}


@pytest.mark.asyncio
async def test_a_service_is_gone_when_two_lists_in_a_row_lack_it() -> None:
    watched = Watched(Server(a=info(1), stubborn=info(2)))
    await watched.scope.list_all(after_gap=False)
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(watched.scope.follow_lists(10))
        kept = watched.server.services.pop("a")
        del watched.server.services["stubborn"]
        await watched.pass_interval()
        assert len(watched.said) == 1, "one list may be made while it changes"
        watched.server.services["a"] = kept
        await watched.pass_interval()
        assert watched.said[1:] == [Removed(str(NAME), identity("stubborn"))]
        del watched.server.services["a"]
        await watched.pass_interval()
        assert len(watched.said) == 2, "its count begins anew"
        await watched.pass_interval()
        following.cancel()
    assert watched.said[2:] == [Removed(str(NAME), identity("a"))]
    assert watched.server.let_go == ["stubborn", "a"]


@pytest.mark.asyncio
async def test_after_a_gap_it_is_listed_every_second_for_a_minute() -> None:
    """A server that has restarted knows no service until its registrants are back."""
    watched = Watched(Server())
    await watched.scope.list_all(after_gap=True)
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(watched.scope.follow_lists(10))
        watched.server.services["a"] = info(2)
        for _ in range(62):
            await watched.pass_interval()
        following.cancel()
    assert watched.ports() == [(2,)]
    assert watched.pauses[:62] == [*[1.0] * 60, 10, 10]


@pytest.mark.asyncio
async def test_lists_that_follow_each_other_fast_do_not_make_a_service_gone_sooner() -> None:
    """Its absence counts once in each interval, also after a gap."""
    watched = Watched(Server(a=info(1)))
    await watched.scope.list_all(after_gap=True)
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(watched.scope.follow_lists(10))
        del watched.server.services["a"]
        for _ in range(19):
            await watched.pass_interval()
        assert len(watched.said) == 1
        await watched.pass_interval()
        following.cancel()
    assert watched.said[1:] == [Removed(str(NAME), identity("a"))]


@pytest.mark.asyncio
async def test_what_was_never_pushed_is_seen_all_the_same() -> None:
    """Pushes get lost: every few seconds some services are asked for again."""
    watched = Watched(Server(a=info(1), b=info(2)))
    await watched.scope.list_all(after_gap=False)
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(watched.scope.follow_lists(10))
        await watched.pass_interval()
        assert len(watched.said) == 1, "all is as it was"
        watched.server.services["b"] = info(3)
        await watched.pass_interval()
        await settle()
        following.cancel()
    assert len(watched.said) == 2
    assert watched.ports() == [(3,)]


@pytest.mark.asyncio
async def test_many_services_are_asked_for_again_in_turn_and_after_a_gap_first_the_empty() -> None:
    many = {f"s{number:03}": info(1) for number in range(2 * AT_ONCE)}
    watched = Watched(Server(**many, z1=info(), z2=info()))
    await watched.scope.list_all(after_gap=True)
    watched.server.asked.clear()
    rounds = list[list[str]]()
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(watched.scope.follow_lists(10))
        for _ in range(3):
            await watched.pass_interval()
            await settle()
            rounds.append(sorted(watched.server.asked))
            watched.server.asked.clear()
        following.cancel()
    assert all({"z1", "z2"} <= set(each) for each in rounds)
    assert all(len(each) <= AT_ONCE for each in rounds)
    assert {name for each in rounds for name in each} == {*many, "z1", "z2"}
