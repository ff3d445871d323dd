"""A start that waits for its first answer is not silent: it says once what it waits for."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from structlog.typing import EventDict
from unit.runtime.examples import Log, Scripted, bridge, service

from meshbridge import Context, Emit, Listing
from meshbridge.bridge import Bridge, RegistryRuntime, Renewed
from meshbridge.guard import Release
from meshbridge.problems import Problem, ProblemKind
from meshbridge.publish import Registry
from meshbridge.readiness import awaited
from meshbridge.testing import Clock

FULL = Listing("all", (service("orders", 80),))
EMPTY = Listing("all", ())


class Stage:
    """A bridge of one registry that needs 75 s to refill."""

    def __init__(self, *scopes: str, first: Listing | None = None) -> None:
        """Let it say this at first."""
        self.clock, self.log = Clock(), Log()
        self._scopes, self._first = scopes or ("all",), first
        self._adapter: Scripted | None = None
        self.bridge: Bridge

    def play(
        self, scenario: Callable[["Stage"], Awaitable[None]], *, required: bool = True
    ) -> None:
        """Start it and go on with the scenario."""
        self.clock.run(self._play(scenario, required=required))

    async def _play(
        self, scenario: Callable[["Stage"], Awaitable[None]], *, required: bool
    ) -> None:
        optional = frozenset[int]() if required else frozenset({0})
        self.bridge = bridge(self.clock, self.log, self._make, optional=optional)
        running = asyncio.create_task(self.bridge.run())
        await scenario(self)
        running.cancel()
        await asyncio.wait([running])

    def _make(self, context: Context) -> Scripted:
        self._adapter = Scripted(context, self._begin)
        self._adapter.settle, self._adapter.scopes = timedelta(seconds=75), self._scopes
        return self._adapter

    def _begin(self, emit: Emit) -> None:
        if self._first is not None:
            emit(self._first)

    async def renew(self, *names: str) -> None:
        """Let the configuration name these registries."""
        runtimes = [
            RegistryRuntime(Registry(name, order), self._make) for order, name in enumerate(names)
        ]
        assert await self.bridge.reload([*map(Renewed, runtimes)], 1.0) is None

    def say(self, update: Listing) -> None:
        """Let the registry say it."""
        assert self._adapter is not None
        assert self._adapter.emit is not None
        self._adapter.emit(update)

    def said(self) -> list[EventDict]:
        """Return what was logged of the wait."""
        return [each for each in self.log.entries if each["event"] == "waiting"]

    def problems(self) -> list[Problem]:
        """Return what is shown of registries."""
        return [each for each in self.bridge.problems if each.kind is ProblemKind.REGISTRY]


def test_a_registry_that_may_still_be_filling_is_waited_for_aloud_and_once() -> None:
    async def scenario(it: Stage) -> None:
        await it.clock.sleep(2)
        (said,) = it.said()
        assert (said["level"], said["registry"], said["scope"]) == ("info", "r0", "all")
        assert said["reason"] == (
            "it may still be filling: 1 service, 1 instance so far; the first answer waits for it"
        )
        assert said["next"].startswith("`meshbridge release r0 all` accepts it as it is")
        assert it.problems() == []
        await it.clock.sleep(100)
        assert it.bridge.snapshots.newest is not None
        assert len(it.said()) == 1

    Stage(first=FULL).play(scenario)


def test_a_registry_that_says_nothing_is_given_a_moment_first() -> None:
    async def scenario(it: Stage) -> None:
        await it.clock.sleep(4)
        assert it.said() == []
        await it.clock.sleep(2)
        (said,) = it.said()
        assert said["level"] == "warning"
        assert said["reason"].startswith("it was not read yet")
        it.say(FULL)
        await it.clock.sleep(60)
        assert [each["level"] for each in it.said()] == ["warning", "info"], "it is another reason"

    Stage().play(scenario)


def test_an_empty_registry_is_a_problem_until_it_is_accepted() -> None:
    async def scenario(it: Stage) -> None:
        await it.clock.sleep(4)
        assert (it.said(), it.problems()) == ([], []), "perhaps it is being read, one by one"
        await it.clock.sleep(4)
        (said,) = it.said()
        assert said["reason"].startswith("it is empty, which nothing proves to be true")
        await it.clock.sleep(24 * 3600)
        (problem,) = it.problems()
        assert (problem.registry, problem.subject) == ("r0", "all")
        assert problem.reason == (
            "it is empty, which nothing proves to be true, so nothing is answered yet"
        )
        assert problem.remedy.startswith("`meshbridge release r0 all` accepts it")
        assert len(it.said()) == 1
        await it.bridge.lanes["r0"].release(Release("all"))
        await it.clock.sleep(0.1)
        assert it.bridge.snapshots.newest is not None
        assert it.problems() == []

    Stage(first=EMPTY).play(scenario)


def test_an_empty_registry_that_fills_is_no_problem_any_more() -> None:
    async def scenario(it: Stage) -> None:
        await it.clock.sleep(8)
        assert len(it.problems()) == 1
        it.say(FULL)
        await it.clock.sleep(2)
        assert it.problems() == []

    Stage(first=EMPTY).play(scenario)


def test_a_registry_of_which_nothing_serves_is_a_problem_until_something_does() -> None:
    """It is not filling: the guard waits for it as for an empty one, however long."""

    async def scenario(it: Stage) -> None:
        await it.clock.sleep(8)
        (said,) = it.said()
        assert said["level"] == "warning"
        assert said["reason"] == (
            "it holds nothing that serves, which nothing proves to be true: all that it lists "
            "(2 instances) is disabled, draining or of weight 0; the first answer waits for it"
        )
        await it.clock.sleep(24 * 3600)
        assert it.bridge.snapshots.newest is None
        (problem,) = it.problems()
        assert "all that it lists (2 instances) is disabled" in problem.reason
        it.say(EMPTY)
        await it.clock.sleep(2)
        (problem,) = it.problems()
        assert problem.reason.startswith("it is empty"), "as it is now"
        it.say(FULL)
        await it.clock.sleep(2)
        assert it.problems() == []

    Stage(first=Listing("all", (service("orders", 80, 81, weight=0.0),))).play(scenario)


def test_what_is_not_waited_for_is_not_spoken_of() -> None:
    async def scenario(it: Stage) -> None:
        await it.clock.sleep(60)
        assert it.said() == []

    Stage(first=EMPTY).play(scenario, required=False)


def test_a_refused_configuration_is_what_it_waits_for_then() -> None:
    async def scenario(it: Stage) -> None:
        await it.clock.sleep(8)
        assert len(it.problems()) == 1
        it.bridge.configuration.withheld = ("it would take away 12 of 20 hosts",)
        await it.clock.sleep(60)
        assert (len(it.said()), it.problems()) == (1, [])

    Stage(first=EMPTY).play(scenario)


def test_many_scopes_do_not_flood_the_log() -> None:
    async def scenario(it: Stage) -> None:
        await it.clock.sleep(60)
        assert len(it.said()) == 10
        assert it.said()[-1]["next"].endswith("; /readyz names the others")
        assert "others" not in it.said()[-2]["next"]

    Stage(*(f"s{number:02}" for number in range(30))).play(scenario)


def test_an_empty_scope_is_said_beside_many_that_were_not_read() -> None:
    async def scenario(it: Stage) -> None:
        await it.clock.sleep(8)
        assert len(it.said()) == 11
        (said,) = (each for each in it.said() if each["scope"] == "all")
        assert said["reason"].startswith("it is empty, which is believed once another scope")
        assert it.problems() == [], "one of the others may show that it is not"

    Stage("all", *(f"s{number:02}" for number in range(30)), first=EMPTY).play(scenario)


def test_many_empty_scopes_do_not_flood_the_problems() -> None:
    async def scenario(it: Stage) -> None:
        await it.clock.sleep(1)
        for scope in scopes:
            it.say(Listing(scope, ()))
        await it.clock.sleep(8)
        assert len(it.problems()) == 21
        (rest,) = (each for each in it.problems() if each.subject == "all else")
        assert rest.reason == f"9 {more}"
        await it.bridge.lanes["r0"].release(Release("s00"))
        await it.clock.sleep(2)
        (rest,) = (each for each in it.problems() if each.subject == "all else")
        assert rest.reason == f"8 {more}"

    more = "more scopes hold nothing that serves, which nothing proves to be true"
    scopes = ("all", *(f"s{number:02}" for number in range(28)))
    Stage(*scopes, first=EMPTY).play(scenario)


def test_a_scope_that_stands_for_others_is_no_problem_while_they_fill() -> None:
    """Its registry is not empty, and nobody is told to accept that it is."""

    async def scenario(it: Stage) -> None:
        await it.clock.sleep(3)
        it.say(FULL)
        await it.clock.sleep(50)
        assert it.bridge.snapshots.newest is None
        assert it.problems() == []
        (said,) = it.said()
        assert (said["level"], said["scope"]) == ("info", "*")
        assert said["reason"] == (
            "it is empty, which is believed once another scope of the registry has filled: "
            "1 service, 1 instance so far; the first answer waits for it"
        )
        (line,) = awaited(it.bridge.registries(), it.bridge.configuration)
        assert line.startswith("waiting: registry r0, * is empty, which is believed once another")
        await it.clock.sleep(30)
        assert it.bridge.snapshots.newest is not None

    Stage("*", first=Listing("*", ())).play(scenario)


def test_a_registry_that_comes_later_is_given_a_moment_too() -> None:
    async def scenario(it: Stage) -> None:
        await it.clock.sleep(60)
        assert len(it.said()) == 1
        await it.renew("r0", "r1")
        await it.clock.sleep(4)
        assert len(it.said()) == 1
        await it.clock.sleep(4)
        assert [each["registry"] for each in it.said()] == ["r0", "r1"]

    Stage().play(scenario)


def test_a_registry_of_the_same_name_is_spoken_of_anew() -> None:
    async def scenario(it: Stage) -> None:
        await it.clock.sleep(8)
        assert len(it.problems()) == 1
        await it.renew("r1")
        await it.clock.sleep(2)
        assert it.problems() == [], "it is not there any more"
        await it.renew("r0")
        await it.clock.sleep(8)
        assert len(it.problems()) == 1
        assert [each["registry"] for each in it.said()] == ["r0", "r0"]

    Stage(first=EMPTY).play(scenario)
