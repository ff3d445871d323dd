"""The guard's rules once more, slowly: what the product must always agree with.

It copies everything at each step and counts everything anew, so that it needs none of the care by
which :mod:`meshbridge.guard` costs only what changes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import inf

from meshbridge.adapter import Changed, Gone, Listing, Removed, Stale, Update
from meshbridge.guard import GuardRules, Release
from meshbridge.registration import Health, Instance, RegisteredService, ServiceId

Key = ServiceId
Place = tuple[str, int]
View = tuple[tuple[Instance, ...] | None, tuple[str, ...]]
"""What is served of a service, and the ids of what of it is held."""


def serves(instance: Instance) -> bool:
    return instance.health not in {Health.DRAINING, Health.DISABLED} and instance.weight > 0


def place(instance: Instance) -> Place:
    return instance.address, instance.ports[0].number if instance.ports else 0


def same(instance: Instance, among: Iterable[Instance]) -> Instance | None:
    by_id = [each for each in among if each.id == instance.id]
    by_place = [each for each in among if place(each) == place(instance)]
    return (by_id + by_place + [None])[0]


@dataclass(frozen=True)
class Kept:
    """A held instance."""

    instance: Instance
    since: float
    due: float = inf


@dataclass(frozen=True)
class Known:
    """A service."""

    said: tuple[Instance, ...] | None = None
    kept: tuple[Kept, ...] = ()
    fresh: tuple[tuple[str, float], ...] = ()

    @property
    def serving(self) -> int:
        return sum(serves(each) for each in self.said or ())

    @property
    def view(self) -> View:
        if self.said is None and not self.kept:
            return None, ()
        all_of_it = (*(self.said or ()), *(each.instance for each in self.kept))
        return by_id(all_of_it), tuple(sorted(each.instance.id for each in self.kept))


def by_id(instances: Iterable[Instance]) -> tuple[Instance, ...]:
    return tuple(sorted(instances, key=lambda each: each.id))


@dataclass
class Part:
    """A scope."""

    known: dict[Key, Known] = field(default_factory=dict[Key, Known])
    peaks: list[tuple[float, int, int]] = field(default_factory=list[tuple[float, int, int]])
    read: bool = False
    stale: float | None = None
    unsettled: float | None = None
    since: float = -inf
    returned: float = -inf
    in_loss: float | None = None
    announced: dict[Key | None, float] = field(default_factory=dict[Key | None, float])
    ready: bool = False
    first: float | None = None
    mark: tuple[float, int] = (0.0, 0)
    harmless: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    """When how many instances went that are no loss."""

    @property
    def size(self) -> tuple[int, int]:
        serving = [each.serving for each in self.known.values()]
        return sum(serving), sum(each > 0 for each in serving)

    @property
    def missing(self) -> tuple[int, int]:
        held = [each for each in self.known.values() if each.kept]
        return sum(len(each.kept) for each in held), sum(not each.serving for each in held)

    @property
    def peak(self) -> tuple[int, int]:
        instances = max((each[1] for each in self.peaks), default=0)
        return instances, max((each[2] for each in self.peaks), default=0)


class Oracle:
    """A guard that takes its time."""

    def __init__(
        self,
        rules: GuardRules,
        scopes: Iterable[str] = (),
        belief: Mapping[str, Iterable[RegisteredService]] | None = None,
        announced: Iterable[Release] = (),
        now: float = 0.0,
    ) -> None:
        self.rules = rules
        self.parts = {name: Part() for name in (*scopes, *(belief or {}))}
        for name, services in (belief or {}).items():
            part = self.parts[name]
            part.known = {each.id: Known(each.instances) for each in services}
            part.peaks, part.ready = [(now, *part.size)], True
        self.counting = any(part.ready and part.size[1] for part in self.parts.values())
        for each in announced:
            if each.scope is not None and each.until is not None:
                self.parts.setdefault(each.scope, Part()).announced[each.service_id] = each.until

    def step(self, update: Update | Release | None, now: float) -> dict[tuple[str, Key], View]:
        """Take the update; return what it changes of what is served or held."""
        self.now = now
        before = {name: dict(part.known) for name, part in self.parts.items()}
        self.forget()
        self.take(update)
        self.judge()
        views = {
            (name, key): (
                before.get(name, {}).get(key, Known()).view,
                part.known.get(key, Known()).view,
            )
            for name, part in self.parts.items()
            for key in {*part.known, *before.get(name, {})}
        }
        return {which: after for which, (was, after) in views.items() if was != after}

    def forget(self) -> None:
        for part in self.parts.values():
            part.announced = {key: t for key, t in part.announced.items() if t > self.now}
            if part.unsettled is not None or part.stale is not None:
                part.peaks = [(self.now, *part.peak)]
            else:
                oldest = self.now - self.rules.window
                part.peaks = [each for each in part.peaks if each[0] > oldest]
            part.peaks = part.peaks or [(self.now, *part.size)]

    def put(self, name: str, key: Key, known: Known) -> None:
        self.parts[name].known.pop(key, None)
        if known.said is not None or known.kept:
            self.parts[name].known[key] = known

    def no_loss(self, part: Part, instances: int, services: int) -> None:
        if instances:
            part.harmless.append((self.now, instances))
        part.peaks = [
            (t, max(0, some - instances), max(0, of - services)) for t, some, of in part.peaks
        ]

    def note(self, part: Part) -> None:
        if part.peaks and self.now - part.peaks[-1][0] < self.rules.window / 10:
            t, instances, services = part.peaks.pop()
            now = part.size
            part.peaks.append((t, max(instances, now[0]), max(services, now[1])))
        else:
            part.peaks.append((self.now, *part.size))
        if part.unsettled is not None:
            part.peaks = [(self.now, *part.peak)]

    def lossy(self, name: str) -> bool:
        part = self.parts[name]
        if None in part.announced:
            return False
        group = [part]
        if part.peak[0] < self.rules.min_size:
            group = [
                each
                for each in self.parts.values()
                if each.peak[0] < self.rules.min_size and None not in each.announced
            ]
        for which in (0, 1):
            peak = sum(each.peak[which] for each in group)
            lost = peak - sum(each.size[which] for each in group)
            missing = sum(each.missing[which] for each in group if each.unsettled is not None)
            if self.too_much(max(lost, missing), peak):
                return True
        return False

    def too_much(self, lost: float, peak: float) -> bool:
        return peak >= self.rules.min_size and lost > self.rules.max_loss * peak

    # --- updates

    def take(self, update: Update | Release | None) -> None:
        match update:
            case None:
                return
            case Release(scope, service_id, until):
                for name in [scope] if scope is not None else list(self.parts):
                    self.release(name, service_id, until)
                return
            case Stale(scope):
                part = self.parts.setdefault(scope, Part())
                self.note(part)
                part.stale = self.now if part.stale is None else part.stale
            case _:
                self.hear(update)

    def hear(self, update: Listing | Changed | Removed | Gone) -> None:
        name = update.scope
        part = self.parts.setdefault(name, Part())
        self.note(part)
        first = not part.read
        gap = first and isinstance(update, Gone)
        if isinstance(update, Listing):
            gap = first or update.after_gap
        if isinstance(update, (Listing, Gone)):
            if part.stale is not None and part.first is not None:
                part.first += self.now - part.stale
            part.stale = None
            if gap:
                part.mark = (self.now, part.mark[1])
            part.read = True
        vanished: dict[Key, set[str]] = {}
        new: list[tuple[Place, Key]] = []
        for key, said in sorted(self.sayings(part, update).items()):
            vanished[key], came = self.compare(name, key, said, first=first)
            new += ((place(each), key) for each in came)
        self.reuse(name, new)
        self.note(part)
        for key, ids in vanished.items():
            ids &= {each.instance.id for each in part.known.get(key, Known()).kept}
        vanished = {key: ids for key, ids in vanished.items() if ids}
        if not gap:
            self.judge_vanished(name, part, vanished)
        elif part.missing[0]:
            part.unsettled = part.since = self.now

    def sayings(
        self, part: Part, update: Listing | Changed | Removed | Gone
    ) -> dict[Key, tuple[Instance, ...] | None]:
        said: dict[Key, tuple[Instance, ...] | None]
        match update:
            case Removed(_, service_id):
                return {service_id: None}
            case Gone():
                return dict.fromkeys(part.known)
            case Changed(_, service):
                said = {service.id: service.instances}
            case Listing(_, services):
                said = {key: None for key, known in part.known.items() if known.said is not None}
                said |= {each.id: each.instances for each in services}
        for subject in update.unreadable:
            self.keep_previous(part, said, subject)
        return said

    def judge_vanished(self, name: str, part: Part, vanished: dict[Key, set[str]]) -> None:
        settled = part.unsettled is None
        for key in [each for each in vanished if {None, each} & part.announced.keys()]:
            self.drop(name, key, vanished.pop(key), loss=False)
        if vanished and settled and None not in part.announced:
            emptied = sum(not part.known[key].serving for key in vanished)
            lost = sum(map(len, vanished.values())), emptied
            if any(self.too_much(lost[which], part.peak[which]) for which in (0, 1)):
                part.unsettled = self.now
        if self.lossy(name):
            if vanished:
                part.unsettled = self.now
                part.since = self.now if settled else part.since
            return
        for key, ids in vanished.items():
            if part.known[key].serving:
                self.drop(name, key, ids)
            elif settled:
                self.due(name, key, self.now + self.rules.hold_service, ids)

    @staticmethod
    def keep_previous(
        part: Part,
        said: dict[Key, tuple[Instance, ...] | None],
        subject: ServiceId | tuple[ServiceId, str],
    ) -> None:
        key, name = (subject, None) if isinstance(subject, ServiceId) else subject
        before = part.known.get(key, Known()).view[0]
        if name is None:
            said[key] = before
            return
        there = said.get(key)
        kept = [each for each in before or () if each.id == name]
        if kept and not any(each.id == name for each in there or ()):
            said[key] = (*(there or ()), *kept)

    def compare(
        self, name: str, key: Key, now_said: tuple[Instance, ...] | None, *, first: bool
    ) -> tuple[set[str], list[Instance]]:
        part = self.parts[name]
        known = part.known.get(key, Known())
        said, was = now_said or (), known.said or ()
        kept: list[Kept] = []
        no_loss = 0
        for each in known.kept:
            back = same(each.instance, said)
            if back is None:
                kept.append(each)
            elif serves(back):
                part.returned = self.now
            else:
                no_loss += 1
        held = [each.instance for each in known.kept]
        new = [x for x in said if serves(x) and not same(x, was) and not same(x, held)]
        vanished = [x for x in by_id(was) if serves(x) and same(x, said) is None]
        marked = [x for x in was if serves(x) and (now := same(x, said)) and not serves(now)]
        no_loss += len(marked)
        fresh = [
            (each, t)
            for each, t in known.fresh
            if any(x.id == each for x in said)
            and (part.unsettled is not None or self.now - t < self.rules.window)
        ]
        if part.unsettled is not None:
            late = {each for each, t in known.fresh if t >= part.since}
            floor = (1 - self.rules.max_loss) * part.peak[0]
            spare = max(0, int(part.size[0] + part.missing[0] - floor))
            going = [x.id for x in vanished if x.id in late][:spare]
            vanished = [x for x in vanished if x.id not in going]
        surplus = list(new)
        while surplus and kept:
            kept.pop(0)
            surplus.pop(0)
        while surplus and vanished:
            vanished.pop(0)
            surplus.pop(0)
        if not first:
            fresh += [(x.id, self.now) for x in surplus]
        for old in list(vanished):
            if fresh and old.id not in {fresh_id for fresh_id, _ in known.fresh}:
                fresh.pop(0)
                vanished.remove(old)
                no_loss += 1
        serving = any(serves(x) for x in said)
        self.no_loss(part, no_loss, int(known.serving > 0 and not serving and not vanished))
        all_kept = (*kept, *(Kept(x, self.now) for x in vanished))
        self.put(name, key, Known(now_said, all_kept, tuple(fresh)))
        return {x.id for x in vanished}, new

    def reuse(self, name: str, new: Iterable[tuple[Place, Key]]) -> None:
        takers: dict[Place, set[tuple[str, Key]]] = {}
        for at, key in new:
            takers.setdefault(at, set()).add((name, key))
        for at, taking in takers.items():
            users = {
                (scope, key)
                for scope, part in self.parts.items()
                for key, known in part.known.items()
                if (scope, key) not in taking and at in map(place, known.view[0] or ())
            }
            if len(users) == 1:
                (scope, key) = users.pop()
                kept = self.parts[scope].known[key].kept
                ids = {each.instance.id for each in kept if place(each.instance) == at}
                if ids:
                    self.drop(scope, key, ids, loss=False)

    def drop(self, name: str, key: Key, ids: set[str], *, loss: bool = True) -> None:
        part = self.parts[name]
        known = part.known[key]
        kept = tuple(each for each in known.kept if each.instance.id not in ids)
        if not loss:
            gone = len(known.kept) - len(kept)
            self.no_loss(part, gone, int(bool(known.kept) and not kept and not known.serving))
        self.put(name, key, replace(known, kept=kept))

    def due(self, name: str, key: Key, when: float, ids: set[str] | None = None) -> None:
        known = self.parts[name].known[key]
        kept = tuple(
            replace(each, due=when) if ids is None or each.instance.id in ids else each
            for each in known.kept
        )
        self.put(name, key, replace(known, kept=kept))

    def release(self, name: str, key: Key | None, until: float | None) -> None:
        part = self.parts.setdefault(name, Part())
        for each, known in list(part.known.items()):
            if known.kept and key in {None, each}:
                self.drop(name, each, {kept.instance.id for kept in known.kept}, loss=False)
        if until is not None:
            part.announced.pop(key, None)
            if until > self.now:
                part.announced[key] = until
        if key is None:
            part.peaks = [(self.now, *part.size)]
            part.unsettled, part.in_loss, part.ready = None, None, True

    # --- time

    def judge(self) -> None:
        self.beside = self.counting  # as it was before this step
        for name, part in self.parts.items():
            if part.stale is None:
                self.settle(name, part)
                self.see_ready(part)
        self.counting = any(part.ready and part.size[1] for part in self.parts.values())
        self.beside = self.counting

    def settle(self, name: str, part: Part) -> None:
        if part.missing[0] and self.lossy(name):
            part.in_loss = self.now if part.in_loss is None else part.in_loss
            part.unsettled = self.now
            hold = self.rules.hold
            if hold is not None and self.now >= max(part.in_loss, part.returned) + hold:
                self.release(name, None, None)
            return
        if part.in_loss is not None:
            part.in_loss, part.unsettled = None, self.now
        if part.unsettled is not None and self.now >= self.settles_at(part):
            part.unsettled = None
            self.let_settled_go(name, part)
        if part.unsettled is None:
            for key, known in list(part.known.items()):
                if due := {each.instance.id for each in known.kept if each.due <= self.now}:
                    self.drop(name, key, due)

    def let_settled_go(self, name: str, part: Part) -> None:
        for key, known in list(part.known.items()):
            if known.kept and known.serving:
                self.drop(name, key, {each.instance.id for each in known.kept})
            elif known.kept:
                self.due(name, key, self.now + self.rules.window)

    def settles_at(self, part: Part) -> float:
        if part.unsettled is None or not part.missing[0]:
            return self.now
        quiet = max(part.unsettled, part.returned) + self.rules.settle
        return min(quiet, part.unsettled + 10 * self.rules.settle)

    def see_ready(self, part: Part) -> None:
        if part.ready or not part.read:
            return
        services = part.size[1]
        if services and part.first is None:
            part.first = self.now
        if services > part.mark[1] * 1.01:
            part.mark = (self.now, services)
        part.ready = self.now >= self.ready_at(part)

    def ready_at(self, part: Part) -> float:
        quiet = part.mark[0] + self.rules.settle
        services = part.size[1]
        if not services or part.first is None:
            return quiet if self.rules.allow_empty or self.beside else inf
        listed = sum(each.said is not None for each in part.known.values())
        last = part.first + 5 * self.rules.settle
        return last if listed - services > listed / 10 else min(quiet, last)

    def wake_at(self) -> float | None:
        times: list[float] = []
        for part in self.parts.values():
            if part.stale is not None:
                continue
            if part.in_loss is not None:
                hold = inf if self.rules.hold is None else self.rules.hold
                times.append(max(part.in_loss, part.returned) + hold)
            elif part.unsettled is not None:
                times.append(self.settles_at(part))
            else:
                times += [kept.due for known in part.known.values() for kept in known.kept]
            if part.read and not part.ready:
                times.append(self.ready_at(part))
        soon = min(times, default=inf)
        return None if soon == inf else soon
