"""Decides who has a host: no two registrations ever meet in one unnoticed.

The decision looks at the set of claims alone, so it is the same whatever the order of arrival.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from meshbridge.publish.claim import ClaimKey, Published
from meshbridge.publish.hosts import renamed

Claims = Mapping[ClaimKey, Published]


@dataclass(frozen=True, slots=True)
class Holding:
    """Who has one host, and who wanted it."""

    served: tuple[Published, ...] = ()
    """The owner, then those that share the host with it, by the registries' order."""
    moved: tuple[tuple[Published, str, Published], ...] = ()
    """(loser, its new host, the registration of the same registry that keeps this one)."""
    crowded_out: tuple[Published, ...] = ()
    """Lost their own host within their registry, and the new one as well: not served."""
    outranked: tuple[Published, ...] = ()
    """Of registries that come later and share nothing with the owner's: not served."""


def _fitness(claim: Published) -> tuple[int, str, ClaimKey]:
    """Order the claims of one registry: the least changed name, then the smallest raw one."""
    return claim.changes, str(claim.key.id), claim.key


def _by_registry(claims: Claims) -> dict[str, list[Published]]:
    if len(claims) == 1:  # nearly always: there is nothing to put in order
        return {claim.key.registry: [claim] for claim in claims.values()}
    grouped: dict[str, list[Published]] = {}
    for claim in sorted(claims.values(), key=_fitness):
        grouped.setdefault(claim.key.registry, []).append(claim)
    return grouped


def hold(host: str, natives: Claims, arrivals: Claims) -> Holding:
    """Return who has ``host``, of those that want it and those renamed to it.

    A registry enters with its fittest native; with a renamed one only if it has no native. Among
    registries natives are before renamed ones, then the configured order counts.
    """
    entrants: list[tuple[bool, int, str, Published]] = []
    moved: list[tuple[Published, str, Published]] = []
    crowded_out: list[Published] = []
    own = _by_registry(natives)
    for registry, (best, *others) in own.items():
        entrants.append((False, best.order, registry, best))
        moved += ((other, renamed(host, other.key.id), best) for other in others)
    for registry, renamed_here in _by_registry(arrivals).items():
        if registry in own:
            crowded_out += renamed_here
        else:
            entrants.append((True, renamed_here[0].order, registry, renamed_here[0]))
            crowded_out += renamed_here[1:]
    entrants.sort(key=lambda entrant: entrant[:3])
    ranked = [claim for *_, claim in entrants]
    served = tuple(ranked[:1]) + tuple(each for each in ranked[1:] if _share(each, ranked[0]))
    outranked = tuple(each for each in ranked[1:] if not _share(each, ranked[0]))
    return Holding(served, tuple(moved), tuple(crowded_out), outranked)


def _share(claim: Published, owner: Published) -> bool:
    return claim.share is not None and claim.share == owner.share


class Ownership:
    """The claims by host, and which hosts must be looked at again."""

    def __init__(self) -> None:
        """Start without claims."""
        self._claims: dict[ClaimKey, Published] = {}
        self._natives: dict[str, dict[ClaimKey, Published]] = {}
        self._arrivals: dict[str, dict[ClaimKey, Published]] = {}
        self._moved: dict[str, dict[ClaimKey, str]] = {}
        self._touched: set[str] = set()

    def put(self, key: ClaimKey, claim: Published | None) -> None:
        """Let the registration claim this from now on, or nothing."""
        before = self._claims.pop(key, None)
        if before is not None and before.host is not None:
            _drop(self._natives, before.host, key)
            self._touched.add(before.host)
        if claim is None:
            return
        self._claims[key] = claim
        if claim.host is not None:
            self._natives.setdefault(claim.host, {})[key] = claim
            self._touched.add(claim.host)

    def claim(self, key: ClaimKey) -> Published | None:
        """Return what the registration claims."""
        return self._claims.get(key)

    def landed(self, key: ClaimKey) -> str | None:
        """Return the host that it wants, or the one that it was renamed to."""
        claim = self._claims.get(key)
        if claim is None or claim.host is None:
            return None
        return self._moved.get(claim.host, {}).get(key, claim.host)

    def holding(self, host: str) -> Holding:
        """Return who has the host."""
        return hold(host, self._natives.get(host, {}), self._arrivals.get(host, {}))

    def settle(self) -> dict[str, Holding]:
        """Return who has each host that changes since the last call concern."""
        concerned = set(self._touched)
        for host in self._touched:
            concerned |= self._move_losers(host)
        self._touched.clear()
        return {
            host: hold(host, self._natives.get(host, {}), self._arrivals.get(host, {}))
            for host in sorted(concerned)
        }

    def _move_losers(self, host: str) -> set[str]:
        """Send those that lose ``host`` within their registry on; return where they were and are.

        One step is enough: whoever is renamed never displaces a native of its own registry, so
        nobody else has to move because of it.
        """
        before = self._moved.pop(host, {})
        for key, target in before.items():
            _drop(self._arrivals, target, key)
        after = {
            loser.key: renamed(host, loser.key.id)
            for _, *losers in _by_registry(self._natives.get(host, {})).values()
            for loser in losers
        }
        for key, target in after.items():
            self._arrivals.setdefault(target, {})[key] = self._claims[key]
        if after:
            self._moved[host] = after
        return {*before.values(), *after.values()}


def _drop(index: dict[str, dict[ClaimKey, Published]], host: str, key: ClaimKey) -> None:
    claims = index[host]
    del claims[key]
    if not claims:
        del index[host]
