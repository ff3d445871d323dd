"""One step of a guard: what an update, or the passing of time, makes of a registry."""

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from meshbridge.adapter import Changed, Gone, Listing, Removed, Stale, Update
from meshbridge.guard.draft import Draft, Effective
from meshbridge.guard.entry import Entry, Moment, compare, place
from meshbridge.guard.loss import Losses, Vanished, takes_too_much
from meshbridge.guard.places import Places
from meshbridge.guard.rules import GuardRules
from meshbridge.guard.sayings import Saying, sayings
from meshbridge.guard.scope import Scope
from meshbridge.guard.selection import Selection, apply_selection
from meshbridge.registration import Instance, RegisteredService, ServiceId


@dataclass(frozen=True, slots=True)
class Release:
    """A person accepts what is missing: of a service, of a scope, of the whole registry."""

    scope: str | None = None
    service_id: ServiceId | None = None
    until: float | None = None
    """Until when further losses are wanted too, in the guard's seconds."""


class Step:
    """One step, worked out on a draft, so that it can be dropped whole."""

    def __init__(
        self, rules: GuardRules, scopes: Mapping[str, Scope], places: Places, now: float
    ) -> None:
        """Begin with everything as it is."""
        self._draft = Draft(scopes, places, now, rules.window)
        self._losses = Losses(self._draft.all, rules, now)
        self._rules, self._now = rules, now

    @property
    def drafts(self) -> Collection[str]:
        """The names of the scopes that it may change."""
        return self._draft.touched.keys()

    def effective(self) -> Iterator[Effective]:
        """Yield what this step changes of what is served, and of what of it is held."""
        return self._draft.effective()

    def keep(self) -> Mapping[str, Scope]:
        """Make it last; return the scopes that changed."""
        return self._draft.keep()

    def take(self, update: Update | Release | None) -> Generator[None]:
        """Take in an update; yields between short pieces of work."""
        match update:
            case None:
                return
            case Release(scope):
                for name in self._draft.names() if scope is None else [scope]:
                    yield from self._release(self._draft.change(name), update)
            case Stale(name):
                changed = self._draft.change(name)
                changed.note(self._now, self._rules.window)
                changed.stale = self._now if changed.stale is None else changed.stale
            case Listing() | Changed() | Removed() | Gone():
                yield from self._said(update)
            case _:
                assert_never(update)

    def select(self, selection: Selection) -> Generator[None]:
        """Take in that something else of the registry counts from now on."""
        yield from apply_selection(self._draft, selection, self._now, self._rules.window)

    def served(self) -> Iterator[tuple[str, RegisteredService]]:
        """Yield all that will be served, each with its scope."""
        for scope in self._draft.all():
            served = filter(None, (entry.served for entry in scope.entries.values()))
            yield from ((scope.name, service) for service in served)

    # --- what the registry says

    def _said(self, update: Listing | Changed | Removed | Gone) -> Generator[None]:
        scope = self._draft.change(update.scope)
        scope.note(self._now, self._rules.window)
        first = not scope.read
        gap = first and isinstance(update, Gone)
        if isinstance(update, Listing):
            gap = first or update.after_gap
        if isinstance(update, (Listing, Gone)):
            self._note_whole(scope, gap=gap)
        vanished: dict[ServiceId, frozenset[str]] = {}
        new: list[tuple[ServiceId, Instance]] = []
        for saying in sayings(update, scope):
            self._compare(scope, saying, vanished, new, first=first)
            yield
        self._reuse(scope.name, new)
        scope.note(self._now, self._rules.window)
        if not gap:
            self._judge_vanished(scope, _still_held(scope, vanished))
            self._losses.note(scope)
        elif scope.missing.instances:  # what was served before a gap is believed for a while
            scope.unsettled = scope.since = self._now

    def _note_whole(self, scope: Scope, *, gap: bool) -> None:
        """Note that the registry spoke of the scope as a whole, be it that it was deleted."""
        if scope.stale is not None:
            if scope.served_since is not None:  # the time of an outage does not count
                scope.served_since += self._now - scope.stale
            scope.stale = None
        if gap:
            scope.growth = (self._now, scope.growth[1])
        scope.read = True

    def _compare(
        self,
        scope: Scope,
        saying: Saying,
        vanished: dict[ServiceId, frozenset[str]],
        new: list[tuple[ServiceId, Instance]],
        *,
        first: bool,
    ) -> None:
        """Put what the registry says; what vanished without a stand-in is held, for now."""
        service, said = saying
        known = scope.entries.get(service)
        if known is None and said is None:
            return
        if known and known.listed and known.service == said and not known.held and not known.fresh:
            return  # nothing new: most of a listing that is read again
        owner = (scope.name, service)
        before = known or Entry(owner, RegisteredService(service), listed=False)
        outcome = compare(before, said, self._moment(scope, first=first))
        if outcome.returned:
            scope.returned = self._now
        scope.lower(outcome.no_loss, int(outcome.closed))
        self._draft.put(scope, service, outcome.entry)
        if outcome.vanished:
            vanished[service] = outcome.vanished
        new += ((service, each) for each in outcome.new)

    def _moment(self, scope: Scope, *, first: bool) -> Moment:
        since, spare = None, 0
        if scope.unsettled is not None:
            since = scope.since
            peak = scope.peak(self._now, self._rules.window).instances
            there = scope.size.instances + scope.missing.instances
            spare = int(there - (1 - self._rules.max_loss) * peak)
        return Moment(self._now, self._rules.window, first, since, spare)

    def _reuse(self, name: str, new: Sequence[tuple[ServiceId, Instance]]) -> None:
        """Let go of what is held where another service is newly listed.

        Not where several services were served: Dubbo's interfaces share one address and port.
        """
        more = len(new) > len(self._draft)  # else it would take longer to look through all scopes
        if more and not any(scope.missing.instances for scope in self._draft.all()):
            return
        taken: dict[tuple[str, int], set[tuple[str, ServiceId]]] = {}
        for service, instance in new:
            taken.setdefault(place(instance), set()).add((name, service))
        for at, takers in taken.items():
            others = [each for each in self._draft.places.users(at) if each not in takers]
            if len(others) != 1:
                continue
            other, service = others[0]
            entry = self._draft.look(other).entries.get(service)
            held = entry.held if entry else ()
            ids = frozenset(each.instance.id for each in held if place(each.instance) == at)
            if ids:
                self._draft.drop_as_no_loss(self._draft.change(other), service, ids)

    def _judge_vanished(self, scope: Scope, vanished: dict[ServiceId, frozenset[str]]) -> None:
        """Let go of few; hold all in a loss, and the last ones of a service for a while."""
        for service in [each for each in vanished if scope.is_announced(self._now, each)]:
            self._draft.drop_as_no_loss(scope, service, vanished.pop(service))
        if not vanished:
            return
        settled = scope.unsettled is None
        if settled and takes_too_much(scope, vanished, self._rules, self._now):
            scope.unsettled = self._now
        if self._losses.in_loss(scope):
            scope.unsettled = self._now
            scope.since = self._now if settled else scope.since
            return
        for service, ids in vanished.items():
            entry = scope.entries.get(service)
            if entry is not None and entry.serving:
                self._draft.drop(scope, service, ids)
            elif settled:
                scope.leave_at(service, self._now + self._rules.hold_service, ids)

    # --- what a person says

    def _release(self, scope: Scope, release: Release) -> Generator[None]:
        for service in list(scope.holding):
            if release.service_id in {None, service}:
                self._draft.drop_as_no_loss(scope, service)
                yield
        if release.until is not None:
            scope.announced = {**scope.announced, release.service_id: release.until}
        if release.service_id is None:
            scope.peaks = ((self._now, scope.size),)
            scope.unsettled = scope.in_loss = None
            scope.ready = True

    # --- what time brings

    def judge(self, wakes: Mapping[str, float], *, beside_others: bool) -> Generator[None]:
        """Let go of what is due, and see which scopes settle or become ready.

        Yields between short pieces of work: much may go at once, and many scopes be concerned.
        ``wakes`` says when time changes something of the scopes that wait; ``beside_others``
        whether, before this step, any scope was ready and served something.
        """
        touched = self._draft.touched
        concerned = touched.keys() | {
            name for name, at in wakes.items() if at <= self._now or self._has_held(name)
        }
        for name in self._draft.in_order(concerned):
            scope = self._draft.change(name)
            if scope.stale is None:
                yield from self._settle(scope)
                self._losses.note(scope)
                self._see_ready(scope, beside_others=beside_others)
            yield

    def _has_held(self, name: str) -> bool:
        """Whether what happens to others may change it: small scopes are judged together."""
        return self._draft.look(name).missing.instances > 0

    def _settle(self, scope: Scope) -> Generator[None]:
        rules, now = self._rules, self._now
        if scope.missing.instances and self._losses.in_loss(scope):
            scope.in_loss = now if scope.in_loss is None else scope.in_loss
            scope.unsettled = now
            if rules.hold is not None and now >= max(scope.in_loss, scope.returned) + rules.hold:
                yield from self._release(scope, Release(scope.name))
            return
        if scope.in_loss is not None:
            scope.in_loss, scope.unsettled = None, now
        if scope.unsettled is not None and now >= scope.settles_at(rules):
            scope.unsettled = None
            for service, entry in scope.held():
                if entry.serving:
                    self._draft.drop(scope, service)
                else:
                    scope.leave_at(service, now + rules.window)
                yield
        if scope.unsettled is None:
            for service, ids in list(scope.due(now)):
                self._draft.drop(scope, service, ids)
                yield

    def _see_ready(self, scope: Scope, *, beside_others: bool) -> None:
        if scope.ready or not scope.read:
            return
        scope.note_growth(self._now)
        scope.ready = self._now >= scope.ready_at(self._rules, beside_others=beside_others)


def _still_held(scope: Scope, vanished: Vanished) -> dict[ServiceId, frozenset[str]]:
    """Leave out what another service has taken over since."""
    found: dict[ServiceId, frozenset[str]] = {}
    for service, ids in vanished.items():
        entry = scope.entries.get(service)
        if left := ids & {each.instance.id for each in (entry.held if entry else ())}:
            found[service] = left
    return found
