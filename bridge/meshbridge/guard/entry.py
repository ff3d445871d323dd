"""One service under guard: what of it is listed, what is held, and what an update makes of both."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import inf

from meshbridge.registration import Health, Instance, RegisteredService, ServiceId

Place = tuple[str, int]
"""An address with the instance's first port: two instances there are the same one."""
Owner = tuple[str, ServiceId]
"""A scope and a service of it."""

_WITHDRAWN = (Health.DRAINING, Health.DISABLED)


def serving(instance: Instance) -> bool:
    """Whether it was not withdrawn by name; being UNHEALTHY is no withdrawal."""
    return instance.health not in _WITHDRAWN and instance.weight > 0


def place(instance: Instance) -> Place:
    """Return where it listens."""
    return instance.address, instance.ports[0].number if instance.ports else 0


@dataclass(frozen=True, slots=True)
class Held:
    """An instance that is no longer listed and is served all the same."""

    instance: Instance
    since: float
    """When it vanished."""
    due: float = inf
    """When it goes, in a scope that is settled."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one service."""

    owner: Owner
    service: RegisteredService
    """As it was listed last."""
    listed: bool = True
    """Whether it still is; if not, only what is held of it is served."""
    held: tuple[Held, ...] = ()
    """Oldest first; none of them is listed."""
    fresh: tuple[tuple[str, float], ...] = ()
    """(id, when it came) of new instances that stand in for nobody yet, oldest first."""
    serving: int = 0
    """How many listed instances serve."""

    @property
    def instances(self) -> tuple[Instance, ...]:
        """The instances that are listed."""
        return self.service.instances if self.listed else ()

    @property
    def emptied(self) -> bool:
        """Whether only held instances keep it from having none."""
        return bool(self.held) and not self.serving

    @property
    def served(self) -> RegisteredService | None:
        """The registration that holds: what is listed and what is held; ``None``: nothing."""
        if not self.held:
            return self.service if self.listed else None
        kept = tuple(each.instance for each in self.held)
        return replace(self.service, instances=self.instances + kept)

    def places(self) -> Iterator[Place]:
        """Yield where its instances listen, held ones too."""
        yield from map(place, self.instances)
        yield from (place(each.instance) for each in self.held)

    def without(self, ids: Iterable[str] | None = None) -> "Entry | None":
        """Return it without these that are held, or without any; ``None`` if nothing is left."""
        gone = None if ids is None else set(ids)
        held = tuple(
            each for each in self.held if gone is not None and each.instance.id not in gone
        )
        return replace(self, held=held) if held or self.listed else None

    def due(self, when: float, ids: Iterable[str] | None = None) -> "Entry":
        """Return it with these, or all, of the held instances leaving at ``when``."""
        held = tuple(
            replace(each, due=when) if ids is None or each.instance.id in ids else each
            for each in self.held
        )
        return replace(self, held=held)


def listed(owner: Owner, service: RegisteredService) -> Entry:
    """Return the entry of a service that is listed so, with nothing held."""
    return Entry(owner, service, serving=sum(map(serving, service.instances)))


@dataclass(frozen=True, slots=True)
class Moment:
    """What one comparison needs to know beside the service itself."""

    now: float
    window: float
    first: bool
    """Whether the scope was never read before: then everything is new, and nothing is fresh."""
    unsettled_since: float | None
    """Since when the scope is unsettled; ``None`` if it is not."""
    spare: int
    """Instances that came since then which the scope can lose and still be above its floor."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an update makes of a service."""

    entry: Entry | None
    """All that vanished is held in it, for now; ``None``: nothing is left."""
    vanished: frozenset[str] = frozenset()
    """Ids of instances that are gone and were not replaced."""
    new: tuple[Instance, ...] = ()
    """Serving instances that were neither listed nor held."""
    no_loss: int = 0
    """Instances that went and are no loss: withdrawn by name, or replaced one for one."""
    closed: bool = False
    """Whether the service stopped serving, and none of it is held for that."""
    returned: bool = False
    """Whether a held instance came back."""


class _Known:
    """Instances, found by their id, else by their place."""

    def __init__(self, instances: Iterable[Instance]) -> None:
        self._by_id: dict[str, Instance] = {}
        self._by_place: dict[Place, Instance] = {}
        for each in instances:
            self._by_id.setdefault(each.id, each)
            self._by_place.setdefault(place(each), each)

    def find(self, instance: Instance) -> Instance | None:
        """Return the same instance as it is here."""
        if not self._by_id:
            return None
        return self._by_id.get(instance.id) or self._by_place.get(place(instance))


def compare(before: Entry, said: RegisteredService | None, moment: Moment) -> Outcome:
    """Return what becomes of the service when the registry says ``said``; ``None``: unlisted.

    A held instance that is listed again has returned, or, if it was withdrawn by name, has left in
    order. New instances stand in one for one: for the oldest that are held, then for those that
    vanish now; one that finds nobody may yet let one older instance go within the window.
    """
    sought = before.held or before.instances
    now_listed = _Known(said.instances if said and sought else ())
    held: list[Held] = []
    returned, no_loss = False, 0
    for each in before.held:
        back = now_listed.find(each.instance)
        if back is None:
            held.append(each)
        elif serving(back):
            returned = True
        else:
            no_loss += 1
    known, kept = _Known(before.instances), _Known(each.instance for each in before.held)
    new = tuple(
        each
        for each in (said.instances if said else ())
        if serving(each) and not known.find(each) and not kept.find(each)
    )
    vanished: list[Instance] = []
    for was in filter(serving, before.instances):
        now = now_listed.find(was)
        if now is None:
            vanished.append(was)
        elif not serving(now):
            no_loss += 1
    vanished.sort(key=lambda each: each.id)
    vanished = _without_newcomers(before, vanished, moment)
    surplus = list(new)
    for waiting in (held, vanished):
        matched = min(len(surplus), len(waiting))
        del surplus[:matched], waiting[:matched]
    fresh = _still_fresh(before, said, moment)
    if not moment.first:
        fresh += [(each.id, moment.now) for each in surplus]
    replaced = _let_go(before, vanished, fresh)
    no_loss += replaced
    entry = Entry(
        before.owner,
        said or before.service,
        said is not None,
        (*held, *(Held(each, moment.now) for each in vanished)),
        tuple(fresh),
        sum(map(serving, said.instances)) if said else 0,
    )
    return Outcome(
        entry if entry.listed or entry.held else None,
        frozenset(each.id for each in vanished),
        new,
        no_loss,
        closed=before.serving > 0 and not entry.serving and not vanished,
        returned=returned,
    )


def _without_newcomers(before: Entry, vanished: list[Instance], moment: Moment) -> list[Instance]:
    """Leave out those that came since the scope is unsettled, while it has enough without them."""
    if moment.unsettled_since is None or moment.spare <= 0:
        return vanished
    late = {each for each, came in before.fresh if came >= moment.unsettled_since}
    going = {each.id for each in [each for each in vanished if each.id in late][: moment.spare]}
    return [each for each in vanished if each.id not in going]


def _still_fresh(
    before: Entry, said: RegisteredService | None, moment: Moment
) -> list[tuple[str, float]]:
    """Return the fresh ones that are still listed and not too old; they age in settled scopes."""
    if not before.fresh:
        return []
    ids = {each.id for each in said.instances} if said else set[str]()
    settled = moment.unsettled_since is None
    return [
        (each, came)
        for each, came in before.fresh
        if each in ids and not (settled and moment.now - came >= moment.window)
    ]


def _let_go(before: Entry, vanished: list[Instance], fresh: list[tuple[str, float]]) -> int:
    """Let each fresh instance stand in for one that vanished and was there before it."""
    was_fresh = {each for each, _ in before.fresh}
    gone = 0
    for each in list(vanished):
        if fresh and each.id not in was_fresh:
            del fresh[0]
            vanished.remove(each)
            gone += 1
    return gone
