"""One list of all that happened in a run, on one clock: what a checker needs to judge it.

A test that breaks something while requests flow is easily wrong about what it proved. So it does
not judge while it runs; it only notes, and :mod:`meshbridge.testing.checker` judges afterwards::

    history = History(Rules(grace=1.0, away=frozenset({"bridge"})))
    history.begins_with([Endpoint.of("orders.file", "10.1.0.1", 8080)])
    ...  # observers call history.sample, the load's answers are added as Request
    with history.writing(adds=[Endpoint.of("orders.file", "10.1.0.2", 8080)]):
        ...  # make the registry say so, with what it takes to be sure: repeat it in here
    fault = history.begin("kill -9 of the bridge")
    ...  # break it
    history.saw(fault, "port 18848 refuses")  # the fault took place: say how that was seen
    ...  # repair it
    history.end(fault)
    ...
    assert_holds(history)

What a run must hold (:class:`Rules`) is said before it begins. Observers are any names: "bridge",
"envoy", "istiod"; each says which endpoints it shows, as :class:`Endpoint` pairs, so that all of
them compare with the registry and with each other. An observer that cannot be asked is noted as
unreachable, never as one that shows nothing. So is one that is itself started anew, until it says
that it is ready. It keeps its name, and stands in ``Rules.away``: what it shows first is compared
with what it showed last, and whatever the registry had all the time and it lacks is lost.
"""

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from itertools import chain, count
from typing import NamedTuple, Self, TypeAlias


class Endpoint(NamedTuple):
    """An address that a host's requests may go to, written as every observer's are."""

    host: str
    address: str
    """``address:port``, an IPv6 address in brackets."""

    @classmethod
    def of(cls, host: str, address: str, port: int) -> Self:
        """Return it with host and address in their one form; an address may be a name."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return cls(host.lower(), f"{address.lower()}:{port}")
        written = f"[{parsed}]" if isinstance(parsed, IPv6Address) else str(parsed)
        return cls(host.lower(), f"{written}:{port}")

    def __str__(self) -> str:
        """Return it as people read it."""
        return f"{self.host} {self.address}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a run must hold, and how much of it must have happened for it to count at all."""

    rate: float = 200.0
    """Requests a second to be sent before the first fault and after the last; 0 asks for none."""
    span: float = 1.0
    """Seconds of such load that there must be on either side."""
    pause: float = 1.0
    """Seconds without a request in which something may be missed, unless ``rate`` is 0."""
    patience: float = 10.0
    """Seconds that an answer may take; a request that takes longer has failed."""
    faults: int = 1
    """How many faults must have been at least; each must have been seen, too."""
    observers: frozenset[str] = frozenset()
    """Who must have looked, besides those who did."""
    gap: float = 0.5
    """Seconds between two looks of an observer at which something may have been missed."""
    away: frozenset[str] = frozenset()
    """The observers that a fault takes away: to find them unreachable is a look, too."""
    grace: float = 0.0
    """Seconds after a registration in which an endpoint may still go and come back."""
    converge: float = 5.0
    """Seconds without a fault after which all show what the registry has."""
    same_versions: tuple[frozenset[str], ...] = ()
    """Groups of observers that must show the same version of each host at the end."""


@dataclass(frozen=True, slots=True)
class View:
    """What an observer shows at one moment."""

    endpoints: frozenset[Endpoint]
    resting: frozenset[Endpoint] = frozenset()
    """Those of them that get no requests, because they count as unhealthy there."""
    versions: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    """The version of each host, where the observer has one."""


@dataclass(frozen=True, slots=True)
class Write:
    """A change of the registry, which took effect between its begin and its end."""

    begun: float
    done: float | None
    """None: it failed, and nobody knows whether it took effect, or when."""
    added: frozenset[Endpoint] = frozenset()
    removed: frozenset[Endpoint] = frozenset()
    changed: frozenset[str] = frozenset()
    """The hosts of which something else changed that is to be seen: a weight, or metadata."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class FaultBegan:
    """Something is being broken."""

    at: float
    fault: str
    """Its name, unlike that of any other fault of the run."""


@dataclass(frozen=True, slots=True)
class FaultSeen:
    """The fault took place: the evidence."""

    at: float
    fault: str
    how: str


@dataclass(frozen=True, slots=True)
class FaultEnded:
    """It is repaired: from now on all must get well."""

    at: float
    fault: str


@dataclass(frozen=True, slots=True)
class Sample:
    """An observer was asked and shows something else than before."""

    asked: float
    at: float
    """When its answer was there; it is of some moment since it was asked."""
    observer: str
    view: View


@dataclass(frozen=True, slots=True)
class Same:
    """An observer was asked and shows the same as in its last sample."""

    asked: float
    at: float
    observer: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """An observer was asked and did not answer: what it would show is not known."""

    asked: float
    at: float
    observer: str
    why: str


@dataclass(frozen=True, slots=True)
class Request:
    """A request of a client, and what came of it."""

    host: str
    sent: float
    done: float
    by: str
    """``address:port`` of who answered; empty when it failed, or the answer did not say."""
    failure: str = ""
    """Why it failed; empty when it was answered."""


Event: TypeAlias = (
    Write | FaultBegan | FaultSeen | FaultEnded | Sample | Same | Unreachable | Request
)


def moment(event: Event) -> float:
    """Return when an event was over."""
    match event:
        case Write(begun, done):
            return begun if done is None else done
        case Request():
            return event.done
        case _:
            return event.at


class History:
    """Takes note of events; nothing noted is ever changed."""

    def __init__(
        self, rules: Rules | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin without events; all times are the clock's seconds, those of others' too."""
        self.rules = rules or Rules()
        self.now = clock
        self._events: list[Event] = []
        self._shown: dict[str, View | None] = {}
        self._faults: dict[str, bool] = {}

    @property
    def events(self) -> Sequence[Event]:
        """All events, in the order in which they were noted."""
        return self._events

    def add(self, event: Event) -> None:
        """Note an event that is already described."""
        self._events.append(event)
        match event:
            case Sample():
                self._shown[event.observer] = event.view
            case Unreachable():
                self._shown[event.observer] = None
            case FaultBegan():
                self._faults[event.fault] = True
            case FaultEnded():
                self._faults[event.fault] = False
            case _:
                pass

    def begins_with(self, endpoints: Iterable[Endpoint]) -> None:
        """Note what the registry has before anything else is noted."""
        now = self.now()
        self.add(Write(now, now, frozenset(endpoints), note="the first contents"))

    @contextmanager
    def writing(
        self,
        *,
        adds: Iterable[Endpoint] = (),
        removes: Iterable[Endpoint] = (),
        changes: Iterable[str] = (),
        note: str = "",
    ) -> Generator[None]:
        """Change the registry inside the block; if that fails, the outcome is noted as unknown.

        Then nobody is blamed for showing these endpoints or not, until a later write that adds or
        removes them succeeds: from its end on they are what that made them. So write them again.
        """
        begun, done = self.now(), None
        try:
            yield
            done = self.now()
        finally:
            sets = frozenset(adds), frozenset(removes), frozenset(changes)
            self.add(Write(begun, done, *sets, note))

    def begin(self, fault: str) -> str:
        """Note that something is broken now.

        Returns the name to go on with: further faults of the same one get a number.
        """
        numbered = (f"{fault} #{number}" for number in count(2))
        name = next(each for each in chain([fault], numbered) if each not in self._faults)
        self.add(FaultBegan(self.now(), name))
        return name

    def saw(self, fault: str, how: str) -> None:
        """Note the evidence that the fault took place; raises ValueError if it is not going on."""
        self._must_go_on(fault)
        self.add(FaultSeen(self.now(), fault, how))

    def end(self, fault: str) -> None:
        """Note that it is repaired; raises ValueError if it is not going on."""
        self._must_go_on(fault)
        self.add(FaultEnded(self.now(), fault))

    def sample(self, observer: str, view: View, *, asked: float | None = None) -> None:
        """Note what an observer shows, in few bytes if that is what it showed before."""
        at = self.now()
        began = at if asked is None else asked
        same = self._shown.get(observer) == view
        self.add(Same(began, at, observer) if same else Sample(began, at, observer, view))

    def unreachable(self, observer: str, why: str, *, asked: float | None = None) -> None:
        """Note that an observer could not be asked."""
        at = self.now()
        self.add(Unreachable(at if asked is None else asked, at, observer, why))

    def _must_go_on(self, fault: str) -> None:
        if not self._faults.get(fault):
            raise ValueError(f"fault {fault!r} is not going on; begin() returned {[*self._faults]}")
