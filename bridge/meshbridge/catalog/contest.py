"""Decides who has a name of which only one host can be the owner: an alias, a virtual address."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

RankT = TypeVar("RankT", tuple[int, int], str)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who has one name."""

    winner: str | None
    claimants: tuple[str, ...]
    """The hosts that claim it, the best first."""
    taken: bool
    """Whether it goes to nobody here, because it is somebody's by other means."""


class Contest(Generic[RankT]):
    """Claims on names by hosts; the lowest rank has a name, and a tie goes to neither."""

    def __init__(self) -> None:
        """Start without claims."""
        self._claims: dict[str, dict[str, RankT]] = {}
        self._by_host: dict[str, dict[str, RankT]] = {}
        self._won: dict[str, set[str]] = {}
        self._winner: dict[str, str] = {}
        self._touched: set[str] = set()

    def put(self, host: str, claims: Mapping[str, RankT]) -> None:
        """Let the host claim exactly these names, each with a rank."""
        before = self._by_host.get(host, {})
        differing = {name for name, _ in before.items() ^ claims.items()}
        if not differing:
            return
        for name in differing:
            if name in claims:
                self._claims.setdefault(name, {})[host] = claims[name]
            else:
                del self._claims[name][host]
        self._touched |= differing
        self._by_host.pop(host, None)
        if claims:
            self._by_host[host] = dict(claims)

    def look_again(self, name: str) -> None:
        """Decide about the name anew, because it was or is taken by other means."""
        if name in self._claims:
            self._touched.add(name)

    def name_again(self, host: str) -> None:
        """Decide about all names that the host claims anew, because it is called otherwise."""
        self._touched.update(self._by_host.get(host, ()))

    def claimants(self, name: str) -> tuple[str, ...]:
        """Return the hosts that claim the name."""
        return tuple(self._claims.get(name, ()))

    def won(self, host: str) -> tuple[str, ...]:
        """Return the names that the host has, sorted."""
        return tuple(sorted(self._won.get(host, ())))

    def settle(self, taken: Callable[[str], bool]) -> tuple[set[str], dict[str, Verdict]]:
        """Return the hosts that won or lost something, and the verdicts on the names touched."""
        changed: set[str] = set()
        verdicts: dict[str, Verdict] = {}
        for name in sorted(self._touched):
            verdict = _judge(self._claims[name], taken=taken(name))
            changed |= self._award(name, verdict.winner)
            verdicts[name] = verdict
            if not self._claims[name]:
                del self._claims[name]
        self._touched.clear()
        return changed, verdicts

    def _award(self, name: str, winner: str | None) -> set[str]:
        before = self._winner.pop(name, None)
        if winner is not None:
            self._winner[name] = winner
        if before == winner:
            return set()
        if before is not None:
            self._won[before].remove(name)
            if not self._won[before]:
                del self._won[before]
        if winner is not None:
            self._won.setdefault(winner, set()).add(name)
        return {host for host in (before, winner) if host is not None}


def _judge(claims: Mapping[str, RankT], *, taken: bool) -> Verdict:
    ranked = sorted((rank, host) for host, rank in claims.items())
    claimants = tuple(host for _, host in ranked)
    tie = len(ranked) > 1 and ranked[0][0] == ranked[1][0]
    winner = None if taken or tie or not ranked else claimants[0]
    return Verdict(winner, claimants, taken)
