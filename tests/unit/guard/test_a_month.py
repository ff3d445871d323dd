"""A month of ordinary work on thousands of services: nothing is held that should not be."""

import random
from collections.abc import Callable, Iterable

import pytest
from unit.guard.registry import Told, name, with_instances

from meshbridge.adapter import Changed, Listing, Removed, Stale, Update
from meshbridge.guard import Release
from meshbridge.registration import Instance, InstancePort, RegisteredService

pytestmark = pytest.mark.slow

DAY = 86_400.0
OPEN, NIGHTLY, LEAVING = "shop", "staging", "legacy"
SIZES = [1] * 8 + [2] * 12 + [3] * 8 + [8] * 4 + [20] * 2


class Month:
    """A registry that people work on, and the guard before it."""

    def __init__(self) -> None:
        self.random = random.Random(7)  # noqa: S311  the same month each time
        self.made = 0
        self.live: dict[str, dict[str, list[Instance]]] = {
            scope: {
                f"{scope}-{each}": self.instances(self.random.choice(SIZES))
                for each in range(services)
            }
            for scope, services in ((OPEN, 2_000), (NIGHTLY, 300), (LEAVING, 60))
        }
        self.told = Told(scopes=tuple(self.live), checked=False)
        self.gap = 0.0
        """When a registry was last away."""
        for scope in self.live:
            self.list_all(0, scope)

    def instances(self, count: int) -> list[Instance]:
        """Return new ones: no id and no address twice."""
        self.made += count
        return [
            Instance(f"i{each}", f"10.{each >> 16}.{each >> 8 & 255}.{each & 255}", _PORT)
            for each in range(self.made - count, self.made)
        ]

    def say(self, at: float, update: Update | Release) -> None:
        """Say it, and look that the guard does no more than it should."""
        self.told.tell(at, update)
        for scope in self.live:
            known = self.told.scope(scope)
            assert known.in_loss is None, "no scope is held"
            if known.unsettled is not None:
                assert at <= self.gap + 10 * self.told.rules.settle
                continue
            for service, entry in known.held():
                for held in entry.held:
                    assert at <= held.since + self.told.rules.hold_service, service
                    assert held.due < at + self.told.rules.hold_service + 1, "it is known when"

    def change(self, at: float, scope: str, service: str) -> None:
        """Say what a service is now."""
        self.say(at, Changed(scope, with_instances(service, self.live[scope][service])))

    def list_all(self, at: float, scope: str, *, after_gap: bool = False) -> None:
        """List a scope whole."""
        listed = tuple(with_instances(*each) for each in self.live[scope].items())
        self.say(at, Listing(scope, listed, after_gap=after_gap))

    # --- what people do; each returns the seconds it took

    def restart(self, at: float, service: str) -> float:
        """Restart it instance by instance, the new one first or the old one."""
        live, begun = self.live[OPEN][service], at
        new_first = self.random.random() < 0.5
        for leaving in list(live):
            if not new_first:
                live.remove(leaving)
                self.change(at, OPEN, service)
                at += self.random.uniform(1, 25)
            live += self.instances(1)
            self.change(at, OPEN, service)
            at += self.random.uniform(1, 25)
            if new_first:
                live.remove(leaving)
                self.change(at, OPEN, service)
        return at - begun

    def redeploy(self, at: float) -> float:
        """Restart everything within some minutes."""
        begun = at
        for service, live in self.live[OPEN].items():
            for leaving in list(live):
                live.remove(leaving)
                self.change(at, OPEN, service)
                live.extend(self.instances(1))
                self.change(at + 0.01, OPEN, service)
                at += 0.05
        return at - begun

    def scale(self, at: float, service: str) -> float:
        """Halve it, and give it back after a while."""
        live = self.live[OPEN][service]
        gone = len(live) // 2
        del live[:gone]
        self.change(at, OPEN, service)
        live += self.instances(gone)
        self.change(at + 600, OPEN, service)
        return 600

    def switch(self, at: float, service: str) -> float:
        """Put green beside blue, and take blue away."""
        blue = self.live[OPEN][service]
        green = self.instances(len(blue))
        self.live[OPEN][service] = blue + green
        self.change(at, OPEN, service)
        self.live[OPEN][service] = green
        self.change(at + 120, OPEN, service)
        return 120

    def rename(self, at: float, service: str) -> float:
        """Register the same processes by another name, or new ones."""
        moved = self.live[OPEN].pop(service)
        new = f"renamed-{self.made}-{service[:20]}"
        same = self.random.random() < 0.5
        self.live[OPEN][new] = (
            [Instance(f"n{each.id}", each.address, each.ports) for each in moved]
            if same
            else self.instances(len(moved))
        )
        self.change(at, OPEN, new)
        self.say(at + 5, Removed(OPEN, name(service)))
        return 60

    def stop_one(self, at: float, service: str) -> float:
        """Stop one instance; a new one comes later."""
        live = self.live[OPEN][service]
        del live[:1]
        self.change(at, OPEN, service)
        live += self.instances(1)
        self.change(at + 300, OPEN, service)
        return 300

    def nightly(self, at: float) -> float:
        """Scale most of one scope away, as it was announced, and bring it back."""
        self.say(at, Release(NIGHTLY, until=at + 600))
        for service, live in self.live[NIGHTLY].items():
            del live[max(1, len(live) // 5) :]
            self.change(at, NIGHTLY, service)
            at += 1
        at += 3_600
        for service, live in self.live[NIGHTLY].items():
            live.extend(self.instances(self.random.choice(SIZES)))
            self.change(at, NIGHTLY, service)
        return 3_600 + len(self.live[NIGHTLY])

    def outage(self, at: float) -> float:
        """Cut the bridge off for an hour, in which something small went."""
        self.say(at, Stale(OPEN, "refused"))
        del self.live[OPEN][self.random.choice(list(self.live[OPEN]))][:1]
        self.gap = at + 3_600
        self.list_all(self.gap, OPEN, after_gap=True)
        return 4_200


_PORT = (InstancePort(8080),)


def test_a_month_of_ordinary_work_is_never_held() -> None:
    """No loss is held, no service longer than ``hold-service``, and the end is the truth."""
    month = Month()
    work: Iterable[Callable[[float, str], float]] = (
        *[month.restart] * 6,
        month.scale,
        month.switch,
        month.rename,
        month.stop_one,
    )
    assert month.told.until(60).is_ready()
    at = 0.0
    for day in range(30):
        at = max(at, day * DAY + 1_000)
        at += month.outage(at)
        for _ in range(120):
            service = month.random.choice(list(month.live[OPEN]))
            at += month.random.choice(tuple(work))(at, service)
        if day == 10:
            at += month.redeploy(at)
        at += month.nightly(at)
        month.list_all(at, OPEN)
        if day == 20:
            month.say(at, Release(LEAVING, until=at + 7_200))
            month.live[LEAVING].clear()
            month.list_all(at + 1, LEAVING)
    told = month.told.until(31 * DAY)
    for scope, services in month.live.items():
        assert told.is_quiet(scope)
        assert told.ids(scope) == {each.id for some in services.values() for each in some}
    assert told.steps > 20_000
    assert counted(told.guard.served(LEAVING)) == 0


def counted(services: Iterable[RegisteredService]) -> int:
    """Return how many instances there are."""
    return sum(len(each.instances) for each in services)
