"""Keeps one service per host out of all registrations, at a cost in proportion to the change."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from meshbridge.catalog.contest import Contest, Verdict
from meshbridge.catalog.direct import Directory
from meshbridge.catalog.merging import Merged, finished, merge, virtual_address
from meshbridge.catalog.ownership import Holding, Ownership
from meshbridge.catalog.reporting import (
    address_problems,
    alias_problems,
    direct_problems,
    host_problems,
)
from meshbridge.problems import Problem
from meshbridge.publish.claim import ClaimKey, Published
from meshbridge.service import Service


@dataclass(frozen=True, slots=True)
class Resolved:
    """What changed since the last :meth:`Catalog.take`."""

    services: Mapping[str, Service | None]
    """The services that are new or differ, by host; ``None`` where a host is gone."""
    problems: Mapping[object, tuple[Problem, ...]]
    """For :meth:`meshbridge.problems.Problems.put`, by owner, empty where all is well again.

    Owners are the :class:`ClaimKey` of each registration that was applied (what publishing
    found) and the hosts, aliases, addresses and places that several wanted.
    """
    computed: int
    """How many services were computed for it: the cost."""


class Catalog:
    """All claims, and the services that follow from them."""

    def __init__(self) -> None:
        """Start empty."""
        self._hosts = Ownership()
        self._aliases: Contest[tuple[int, int]] = Contest()
        self._addresses: Contest[str] = Contest()
        self._direct = Directory()
        self._owners: dict[str, Published] = {}
        self._merged: dict[str, Merged] = {}
        self._services: dict[str, Service] = {}
        self._problems: dict[object, tuple[Problem, ...]] = {}

    def apply(self, key: ClaimKey, published: Published | None) -> None:
        """Let the registration claim this from now on; ``None`` takes it away."""
        self._hosts.put(key, published)
        self._problems[key] = () if published is None else published.problems

    def take(self) -> Resolved:
        """Return what the changes since the last call led to, and forget them.

        The result of all calls together is the same in whatever order claims were applied, and
        however they were spread over calls.
        """
        holdings = self._hosts.settle()
        for host, holding in holdings.items():
            self._enter(host, holding)
        won_or_lost, aliases = self._aliases.settle(self._owners.__contains__)
        changed, addresses = self._addresses.settle(lambda _: False)
        directed, places = self._direct.settle()
        self._report(aliases, addresses, places)
        concerned = sorted(holdings.keys() | won_or_lost | changed | directed)
        problems, self._problems = self._problems, {}
        return Resolved(self._renew(concerned), problems, len(concerned))

    def claim(self, key: ClaimKey) -> Published | None:
        """Return what a registration claims now."""
        return self._hosts.claim(key)

    def landed(self, key: ClaimKey) -> str | None:
        """Return the host that a registration stands for: the one it wants, or its new one."""
        return self._hosts.landed(key)

    def holding(self, host: str) -> Holding:
        """Return who has a host, and who wanted it."""
        return self._hosts.holding(host)

    def claimants(self, name: str) -> tuple[str, ...]:
        """Return the hosts that ask for this name as an alias or a virtual address, sorted."""
        return tuple(sorted({*self._aliases.claimants(name), *self._addresses.claimants(name)}))

    def service(self, host: str) -> Service | None:
        """Return what follows of a host from all claims that were applied."""
        return self._services.get(host)

    def _enter(self, host: str, holding: Holding) -> None:
        """Take in who has the host now, and with it the further names that the host asks for."""
        owner = self._owners.pop(host, None)
        self._problems["host", host] = host_problems(host, holding)
        if not holding.served:
            self._merged.pop(host, None)
            self._aliases.put(host, {})
            self._addresses.put(host, {})
            self._direct.put(host, ())
            self._aliases.look_again(host)
            return
        merged = merge(host, holding.served)
        self._problems["host", host] += merged.problems
        self._owners[host] = holding.served[0]
        self._merged[host] = merged
        self._aliases.put(host, _aliases(host, holding.served))
        self._addresses.put(host, dict([virtual_address(host)]) if merged.virtual else {})
        self._direct.put(host, merged.at)
        if owner is None:
            self._aliases.look_again(host)
        elif owner.source != holding.served[0].source:
            self._aliases.name_again(host)
            self._addresses.name_again(host)
            self._direct.name_again(host)

    def _report(
        self,
        aliases: Mapping[str, Verdict],
        addresses: Mapping[str, Verdict],
        places: Mapping[str, Verdict],
    ) -> None:
        for name, verdict in aliases.items():
            self._problems["alias", name] = alias_problems(name, verdict, self._owners)
        for address, verdict in addresses.items():
            self._problems["address", address] = address_problems(address, verdict, self._owners)
        for place, verdict in places.items():
            self._problems["place", place] = direct_problems(place, verdict, self._owners)

    def _renew(self, hosts: Iterable[str]) -> dict[str, Service | None]:
        """Compute the services of these hosts and return those that differ from before."""
        changed: dict[str, Service | None] = {}
        for host in hosts:
            before = self._services.pop(host, None)
            merged = self._merged.get(host)
            after = None
            if merged is not None:
                after = finished(
                    merged.service,
                    self._aliases.won(host),
                    self._addresses.won(host),
                    self._direct.won(host),
                )
                self._services[host] = after
            if after != before:
                changed[host] = after
        return changed


def _aliases(host: str, claims: Iterable[Published]) -> dict[str, tuple[int, int]]:
    """Return the aliases of all that share a host, each with the best rank that one of them has.

    A renamed registration stands behind the one that kept its host, or anyone could take an alias
    from a service by registering its name in capitals.
    """
    ranks: dict[str, tuple[int, int]] = {}
    for claim in claims:
        rank = (claim.optional_parts + (claim.host != host), claim.order)
        for alias in claim.aliases:
            ranks[alias] = min(rank, ranks.get(alias, rank))
    return ranks
