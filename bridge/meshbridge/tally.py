"""What a change of the configuration would take away of what is served: pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from meshbridge.service import Service

LEAST: Final = 10
"""Hosts, or endpoints, below which a share says nothing: nothing is refused for their loss."""
SHOWN: Final = 50
"""Hosts that are named one by one."""

End = tuple[str, int]
"""(name of the service's port, the endpoint's own number)"""


@dataclass(slots=True)
class Tally:
    """Counts host by host; each that was served is counted once."""

    hosts: int = 0
    """Hosts that were served."""
    endpoints: int = 0
    """Endpoints that were served."""
    gone: list[str] = field(default_factory=list[str])
    """Hosts that would not be served any more."""
    fewer: Counter[str] = field(default_factory=Counter[str])
    """How many endpoints each host that stays would lose."""
    lost: int = 0
    """Endpoints that would go, those of lost hosts included."""

    def compare(self, host: str, before: Service, after: Service | None) -> None:
        """Count a host by its endpoints; one that lacks a port of the service is another one.

        A host that fewer namespaces see counts as gone: to some callers it is.
        """
        narrower = after is not None and _is_narrower(before.export_to, after.export_to)
        total, gone = len(before.endpoints), after is None or narrower
        self._add(host, total, total if narrower else _lost(before, after), gone=gone)

    def compare_sizes(self, host: str, before: int, after: Service | None) -> None:
        """Count a host of which only the number of endpoints is known that it had."""
        lost = max(0, before - (len(after.endpoints) if after is not None else 0))
        self._add(host, before, lost, gone=after is None)

    def _add(self, host: str, endpoints: int, lost: int, *, gone: bool) -> None:
        self.hosts += 1
        self.endpoints += endpoints
        self.lost += lost
        if gone:
            self.gone.append(host)
        elif lost:
            self.fewer[host] = lost

    def beyond(self, max_loss: float) -> bool:
        """Whether more than this share of the hosts, or of the endpoints, would go."""
        return _beyond(len(self.gone), self.hosts, max_loss) or _beyond(
            self.lost, self.endpoints, max_loss
        )

    @property
    def summary(self) -> str:
        """How much would go, in a few words."""
        return (
            f"{len(self.gone)} of {self.hosts} hosts and {self.lost} of {self.endpoints} endpoints"
        )

    def listed(self) -> tuple[str, ...]:
        """Return what would go, a line for each host, no more than 50."""
        lines = [f"{host}: gone" for host in sorted(self.gone)[:SHOWN]]
        most = sorted(self.fewer.items(), key=lambda each: (-each[1], each[0]))
        lines += [f"{host}: {_counted(lost)} gone" for host, lost in most[: SHOWN - len(lines)]]
        more = len(self.gone) + len(self.fewer) - len(lines)
        return (*lines, f"and {more} more hosts") if more else tuple(lines)


def _beyond(lost: int, total: int, max_loss: float) -> bool:
    return total >= LEAST and lost > max_loss * total


def _counted(endpoints: int) -> str:
    return f"{endpoints} {'endpoint' if endpoints == 1 else 'endpoints'}"


def _lost(before: Service, after: Service | None) -> int:
    """Return how many endpoints are not there any more, or lack a port that they had."""
    still: dict[str, list[frozenset[End]]] = {}
    for each in after.endpoints if after else ():
        still.setdefault(each.address, []).append(frozenset(each.ports))
    return sum(
        not any(set(each.ports) <= ports for ports in still.get(each.address, ()))
        for each in before.endpoints
    )


def _is_narrower(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    """Whether a namespace that sees the host now would not; none named means all of them."""
    if not after or "*" in after:
        return False
    return not before or "*" in before or not set(before) <= set(after)


def refusal(tally: Tally, max_loss: float) -> str:
    """Return in one line why the configuration is refused."""
    return f"it would take away {tally.summary} of what is served, and max-loss is {max_loss:.0%}"
