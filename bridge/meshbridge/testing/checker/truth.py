"""What the registry had at a time, as far as its writes tell: surely, or possibly.

A write takes effect at some moment between its begin and its end. In between, an endpoint may be
there or not, and nobody is blamed for either. After one whose outcome nobody knows that is so until
the first later write of the endpoint is done whose outcome is known: what that did is the truth.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import inf

from meshbridge.testing.checker.run import Look
from meshbridge.testing.history import Endpoint, Write

Span = tuple[float, float]
"""Begin and end of a write."""


@dataclass
class _Record:
    """The writes of one endpoint."""

    added: list[Span] = field(default_factory=list[Span])
    removed: list[Span] = field(default_factory=list[Span])
    perhaps_added: list[Span] = field(default_factory=list[Span])
    perhaps_removed: list[Span] = field(default_factory=list[Span])

    def until_known(self, begun: float) -> Span:
        """Return when a write of unknown outcome took effect, if it did.

        It is over when the next one begins, although it may come while that is going on: who sees
        the two in the other order sees what that one alone did.
        """
        later = (span for span in (*self.added, *self.removed) if span[0] >= begun)
        first = min(later, key=lambda span: span[1], default=(inf, inf))
        return begun, first[0]


class Truth:
    """The model that everything shown is compared with."""

    def __init__(self, writes: Iterable[Write]) -> None:
        """Take the writes, in any order."""
        self._records: dict[Endpoint, _Record] = {}
        self._hosts: dict[str, set[Endpoint]] = {}
        moments = set[float]()
        unknown = list[Write]()
        for write in writes:
            moments.add(write.begun)
            if write.done is None:
                unknown.append(write)
                continue
            moments.add(write.done)
            for endpoint in write.added:
                self._record(endpoint).added.append((write.begun, write.done))
            for endpoint in write.removed - write.added:
                self._record(endpoint).removed.append((write.begun, write.done))
        for write in unknown:
            for endpoint in write.added:
                record = self._record(endpoint)
                record.perhaps_added.append(record.until_known(write.begun))
            for endpoint in write.removed - write.added:
                record = self._record(endpoint)
                record.perhaps_removed.append(record.until_known(write.begun))
        self._moments = sorted(moments)
        """When the truth may have changed; it was the same in between."""

    def surely(self, endpoint: Endpoint, start: float, end: float) -> bool:
        """Whether the registry had the endpoint at each moment from ``start`` to ``end``."""
        record = self._records.get(endpoint)
        if record is None:
            return False
        added = max((span for span in record.added if span[1] <= start), default=None)
        return added is not None and not any(
            gone[0] <= end and not _before(gone, added)
            for gone in (*record.removed, *record.perhaps_removed)
        )

    def possibly(self, endpoint: Endpoint, start: float, end: float) -> bool:
        """Whether it may have had the endpoint at some moment from ``start`` to ``end``."""
        record = self._records.get(endpoint)
        if record is None:
            return False
        return any(
            added[0] <= end
            and not any(gone[1] <= start and _after(gone, added) for gone in record.removed)
            for added in (*record.added, *record.perhaps_added)
        )

    def surely_all(
        self, start: float, end: float, hosts: Iterable[str] | None = None
    ) -> set[Endpoint]:
        """Return what it surely had all the time, of some hosts or of all."""
        return {each for each in self._of(hosts) if self.surely(each, start, end)}

    def possibly_all(self, start: float, end: float) -> set[Endpoint]:
        """Return what it may have had at some moment."""
        return {each for each in self._records if self.possibly(each, start, end)}

    def ever(self, endpoint: Endpoint, before: float) -> bool:
        """Whether it may have had the endpoint at any time until then."""
        return self.possibly(endpoint, -inf, before)

    def agrees(self, look: Look, since: float, hosts: frozenset[str] | None = None) -> bool:
        """Whether a look shows of some hosts, or of all, just what there was from ``since`` on.

        What there was at one moment is enough, even if it was overtaken by the next write: who
        follows a registry at a distance shows the one after the other.
        """
        shown = {each for each in look.shown if hosts is None or each.host in hosts}
        start = max(since, look.asked)
        first, last = bisect_left(self._moments, since), bisect_left(self._moments, start)
        earlier = (since, *self._moments[first:last]) if since < start else ()
        return any(
            self.surely_all(begin, end, hosts) <= shown
            and all(self.possibly(each, begin, end) for each in shown)
            for begin, end in ((start, look.at), *((each, each) for each in earlier))
        )

    def _of(self, hosts: Iterable[str] | None) -> Iterator[Endpoint]:
        if hosts is None:
            yield from self._records
            return
        for host in hosts:
            yield from self._hosts.get(host, ())

    def _record(self, endpoint: Endpoint) -> _Record:
        self._hosts.setdefault(endpoint.host, set()).add(endpoint)
        return self._records.setdefault(endpoint, _Record())


def _before(one: Span, other: Span) -> bool:
    """Whether one was over before the other began, and not both in the same instant."""
    return one[1] <= other[0] and not one[0] >= other[1]


def _after(one: Span, other: Span) -> bool:
    return _before(other, one)
