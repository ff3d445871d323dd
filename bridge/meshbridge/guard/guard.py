"""Decides what a registry's word may take away: an outage must never empty the mesh.

A registry that stumbles looks like one whose services are gone. So nothing that vanishes goes
unless it is proven harmless: few of many, replaced, withdrawn by name, or accepted by a person.
What is not proven is *held*: served on, counted and explained. Adding is never held.

The rules are those of ``docs/guard.md``; ``tests/unit/guard/oracle.py`` states them again, slowly
and in another way, and both must always agree. Nothing here does I/O or looks at a clock.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from math import inf

from meshbridge.adapter import Update
from meshbridge.guard.entry import listed
from meshbridge.guard.places import Places
from meshbridge.guard.rules import GuardRules
from meshbridge.guard.scope import Scope
from meshbridge.guard.selection import Selection
from meshbridge.guard.step import Release, Step
from meshbridge.registration import RegisteredService


class Guard:
    """What is believed of one registry, by scope and service."""

    def __init__(
        self,
        rules: GuardRules,
        scopes: Iterable[str] = (),
        belief: Mapping[str, Iterable[RegisteredService]] | None = None,
        announced: Iterable[Release] = (),
        now: float = 0.0,
    ) -> None:
        """Believe what was served before, as the store kept it.

        ``scopes`` are those that the configuration names; ``announced`` the losses that were
        announced and are not over, each with its ``until`` in the seconds of ``now``.
        """
        self.rules = rules
        self._scopes: dict[str, Scope] = {name: Scope(name) for name in scopes}
        self._places = Places()
        self._counting = 0
        """How many scopes are ready and serve something."""
        self._wakes: dict[str, float] = {}
        """When time changes something of a scope that waits; inf where only others do."""
        for name, services in (belief or {}).items():
            self._believe(name, services, now)
        for each in announced:
            if each.scope is not None and each.until is not None:
                scope = self._scopes.setdefault(each.scope, Scope(each.scope))
                scope.announced[each.service_id] = each.until
        self._note(self._scopes, 0)

    def _believe(self, name: str, services: Iterable[RegisteredService], now: float) -> None:
        scope = self._scopes.setdefault(name, Scope(name))
        for service in services:
            entry = listed((name, service.id), service)
            scope.put(service.id, entry)
            self._places.move(entry.owner, (), entry.places())
        scope.keep()
        scope.peaks, scope.ready = ((now, scope.size),), True
        self._places.keep()

    def step(self, update: Update | Release | None, now: float) -> Generator[None, None, Step]:
        """Work out what the update leads to; ``None``: only that time has passed.

        Yields between short pieces of work, so that a long listing need not hold up the loop, and
        returns the whole. Nothing has changed before that is handed to :meth:`keep`.
        """
        step = Step(self.rules, self._scopes, self._places, now)
        yield from step.take(update)
        yield from step.judge(self._wakes, beside_others=self._counting > 0)
        return step

    def select(
        self, selection: Selection, rules: GuardRules, now: float
    ) -> Generator[None, None, Step]:
        """Work out what other rules lead to, of selection and of the guard; as :meth:`step` does.

        The guard's own hold from :meth:`go_by` on.
        """
        step = Step(rules, self._scopes, self._places, now)
        yield from step.select(selection)
        yield from step.judge(self._wakes, beside_others=self._counting > 0)
        return step

    def go_by(self, rules: GuardRules, scopes: Iterable[str] = ()) -> None:
        """Go by other rules from now on; ``scopes`` are those that the configuration names."""
        self.rules = rules
        for name in scopes:
            self._scopes.setdefault(name, Scope(name))
        counted = sum(scope.counts for scope in self._scopes.values())
        self._note(self._scopes, counted)

    def keep(self, step: Step) -> tuple[str, ...]:
        """Let the step hold; it must be the newest. Returns the scopes that it may have changed."""
        drafts = step.drafts
        counted = sum(self._scopes[name].counts for name in drafts if name in self._scopes)
        self._scopes.update(step.keep())
        self._note(drafts, counted)
        return tuple(drafts)

    def _note(self, changed: Iterable[str], counted: int) -> None:
        """Note when the changed scopes wake; so many of them counted before."""
        changed = list(changed)
        before = self._counting
        self._counting += sum(self._scopes[name].counts for name in changed) - counted
        if bool(before) != bool(self._counting):  # that may make any empty scope ready
            changed += [name for name in self._wakes if not self._scopes[name].ready]
        for name in changed:
            wakes = self._scopes[name].wakes(self.rules, beside_others=self._counting > 0)
            if wakes is None:
                self._wakes.pop(name, None)
            else:
                self._wakes[name] = wakes

    def wake_at(self) -> float | None:
        """Return when :meth:`step` must be called at the latest; ``None``: with the next update."""
        soon = min(self._wakes.values(), default=inf)
        return None if soon == inf else soon

    def scopes(self) -> tuple[str, ...]:
        """Return the scopes that the configuration names or of which anything was said."""
        return tuple(self._scopes)

    def scope(self, name: str) -> Scope:
        """Return how a scope stands, for reading only; an unknown one is empty."""
        return self._scopes.get(name) or Scope(name)

    def served(self, scope: str) -> Iterator[RegisteredService]:
        """Yield all that is served of a scope: what is listed and what is held."""
        yield from filter(None, (each.served for each in self.scope(scope).entries.values()))
