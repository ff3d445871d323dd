"""Decides who answers to an alias or an address, so that no name stands in two virtual hosts.

The core has settled this before; what reaches this point twice is left out for both, because one
doubled name makes a subscriber refuse all routes.
"""

from collections.abc import Iterable, Mapping

from meshbridge_xds.envoy.endpoint import Omission


class Aliases:
    """Who claims which alias, and which hosts there are."""

    def __init__(self) -> None:
        """Start with none."""
        self._claims: dict[str, set[str]] = {}
        self._of: dict[str, frozenset[str]] = {}

    def change(
        self,
        aliases: Mapping[str, frozenset[str]],
        present: Iterable[str],
        absent: Iterable[str],
    ) -> frozenset[str]:
        """Take in what hosts claim now; return the hosts whose aliases may be others than before.

        ``aliases`` has an entry for each host of ``present`` and ``absent``.
        """
        contested: set[str] = set()
        for host in (*present, *absent):
            old = self._of.pop(host, None)
            contested |= aliases[host] ^ (old or frozenset())
            if old is None:
                contested.add(host)
            for alias in old or ():
                self._claims[alias].discard(host)
        for host in absent:
            contested.add(host)
        for host in present:
            self._of[host] = aliases[host]
            for alias in aliases[host]:
                self._claims.setdefault(alias, set()).add(host)
        concerned = [self._claims.get(name, set()) for name in contested]
        for name in contested:
            if name in self._claims and not self._claims[name]:
                del self._claims[name]
        return frozenset[str]().union(*concerned)

    def granted(
        self, host: str, aliases: Iterable[str]
    ) -> tuple[tuple[str, ...], tuple[Omission, ...]]:
        """Return the aliases that this host alone has, sorted, and those left out."""
        granted: list[str] = []
        omitted: list[Omission] = []
        for alias in sorted(set(aliases)):
            if alias in self._of:
                if alias != host:
                    omitted.append(Omission(alias, "is an alias here and a host elsewhere"))
            elif len(self._claims[alias]) > 1:
                omitted.append(Omission(alias, "is a name of several hosts"))
            else:
                granted.append(alias)
        return tuple(granted), tuple(omitted)
