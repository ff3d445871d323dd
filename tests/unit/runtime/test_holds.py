"""What the guard holds is shown in the registry's words, said once, and let go in its time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

from unit.runtime.examples import Log, Scripted, bridge, service

from meshbridge import Changed, Context, Listing, RegisteredService
from meshbridge.bridge import Bridge
from meshbridge.guard import Release
from meshbridge.problems import Problem, ProblemKind
from meshbridge.testing import Clock

NAMES = tuple(f"s{number:02}" for number in range(20))


def listed(*names: str, gap: bool = False) -> Listing:
    """List services with an instance each, at an address of its own."""
    return Listing("all", tuple(map(alone, names)), after_gap=gap)


def alone(name: str) -> RegisteredService:
    """Return a service with one instance, which shares its place with no other."""
    return service(name, 8000 + int(name[1:]))


class Stage:
    """A bridge of one registry that needs 20 s to refill and says what the test wants."""

    def __init__(self) -> None:
        self.clock, self.log = Clock(), Log()
        self.bridge: Bridge | None = None
        self.adapter: Scripted | None = None

    def play(self, scenario: Callable[["Stage"], Awaitable[None]]) -> None:
        """Let the registry list all services at first, and go on with the scenario."""
        self.clock.run(self._play(scenario))

    async def _play(self, scenario: Callable[["Stage"], Awaitable[None]]) -> None:
        def make(context: Context) -> Scripted:
            adapter = Scripted(context, lambda emit: emit(listed(*NAMES)))
            adapter.settle = timedelta(seconds=20)
            self.adapter = adapter
            return adapter

        self.bridge = bridge(self.clock, self.log, make)
        running = asyncio.create_task(self.bridge.run())
        await self.bridge.snapshots.after(None)
        await scenario(self)
        running.cancel()
        await asyncio.wait([running])

    async def say(self, update: Listing | Changed) -> None:
        """Let the registry say it, and have it worked off."""
        assert self.adapter is not None
        assert self.adapter.emit is not None
        self.adapter.emit(update)
        await self.clock.sleep(0.1)

    def held(self) -> list[Problem]:
        """Return what is shown as held."""
        assert self.bridge is not None
        return [each for each in self.bridge.problems if each.kind is ProblemKind.HELD]

    def hosts(self) -> int:
        """Return how many hosts are served that have an endpoint."""
        assert self.bridge is not None
        newest = self.bridge.snapshots.newest
        assert newest is not None
        return sum(bool(each.endpoints) for each in newest.services.values())

    def said(self) -> list[str]:
        """Return what was logged of holds."""
        return [each for each in self.log.events() if each in SAID]


SAID = (
    "loss held",
    "registry lists less than was served",
    "settled",
    "nothing is held any more",
    "released",
)


def test_a_loss_is_held_until_a_person_releases_it() -> None:
    async def scenario(it: Stage) -> None:
        await it.say(listed())
        await it.clock.sleep(7 * 24 * 3600)
        assert it.hosts() == 20
        whole = next(each for each in it.held() if each.subject == "all")
        assert "20 instances are held since 20" in whole.reason
        assert "more than max-loss (50%)" in whole.reason
        assert whole.remedy.endswith("if it was wanted: meshbridge release r0 all")
        assert len(it.held()) == 21
        assert it.said() == ["loss held"]
        assert it.bridge is not None
        await it.bridge.lanes["r0"].release(Release("all"))
        await it.clock.sleep(0.1)
        assert it.hosts() == 0
        assert it.held() == []
        assert it.said() == ["loss held", "nothing is held any more", "released"]
        (said,) = [each for each in it.log.entries if each["event"] == "released"]
        assert (said["registry"], said["scope"], said["instances"]) == ("r0", "all", 20)
        assert said["losses_wanted_until"] is None

    Stage().play(scenario)


def test_without_an_admin_socket_the_command_is_named_with_what_it_needs() -> None:
    async def scenario(it: Stage) -> None:
        assert it.bridge is not None
        it.bridge.configuration.admin = False
        await it.say(listed())
        needs = (
            "meshbridge release r0 all (needs `admin` in the configuration, from the next start on)"
        )
        assert next(each for each in it.held() if each.subject == "all").remedy.endswith(needs)
        (said,) = [each for each in it.log.entries if each["event"] == "loss held"]
        assert said["next"] == f"if it was wanted: {needs}"

    Stage().play(scenario)


def test_what_a_restarted_registry_does_not_list_yet_is_held_until_it_has_settled() -> None:
    async def scenario(it: Stage) -> None:
        await it.say(listed(*NAMES[:15], gap=True))
        assert it.hosts() == 20
        whole = next(each for each in it.held() if each.subject == "all")
        assert "5 instances that were served are not listed since" in whole.reason
        assert "quiet for 20 s" in whole.reason
        assert it.said() == ["registry lists less than was served"]
        await it.say(Changed("all", alone(NAMES[15])))
        assert len(it.held()) == 5, "one came back"
        await it.clock.sleep(30)
        assert it.hosts() == 20, "services that list nobody are held for one more window"
        assert it.said() == ["registry lists less than was served", "settled"]
        (said,) = [each for each in it.log.entries if each["event"] == "settled"]
        assert (said["scope"], said["instances"]) == ("all", 4)
        until = datetime.fromisoformat(said["until"]).timestamp() - time.time()
        assert 290 < until < 310
        await it.say(Changed("all", alone(NAMES[0])))
        await it.clock.sleep(300)
        assert it.hosts() == 16
        assert it.held() == []
        assert it.said() == [
            "registry lists less than was served",
            "settled",
            "nothing is held any more",
        ]

    Stage().play(scenario)


def test_what_goes_as_the_registry_settles_is_said_to_be_gone_and_no_more() -> None:
    async def scenario(it: Stage) -> None:
        two = replace(alone("s00"), instances=service("s00", 8000, 8100).instances)
        await it.say(Changed("all", two))
        rest = tuple(alone(each) for each in NAMES[1:])
        await it.say(Listing("all", (alone("s00"), *rest), after_gap=True))
        assert it.said() == ["registry lists less than was served"]
        await it.clock.sleep(30)
        assert it.said() == ["registry lists less than was served", "nothing is held any more"]

    Stage().play(scenario)


def test_a_held_service_is_explained_with_the_command_that_lets_it_go() -> None:
    async def scenario(it: Stage) -> None:
        large = service("s00", *range(8100, 8108))
        await it.say(Changed("all", large))
        await it.say(Changed("all", replace(large, instances=())))
        (one,) = it.held()
        assert one.registry == "r0"
        assert one.subject == "s00"
        assert one.reason.startswith("the registry no longer lists 8 of its 8 instances (10.0.0.1:")
        assert "and 3 more), since 20" in one.reason
        assert one.remedy == "if they are gone for good: meshbridge release r0 all s00"
        assert it.said() == [], "the last instances of one service are no accident"
        await it.clock.sleep(31)
        assert it.held() == []

    Stage().play(scenario)
