"""A catalog made beside the one that is served, to see what another configuration amounts to."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from meshbridge.catalog import Catalog
from meshbridge.problems import Problem
from meshbridge.publish import ClaimKey, Published
from meshbridge.service import Service
from meshbridge.turns import Turn

_BATCH: Final = 8
"""Claims that are applied before the services that follow are computed: under a slice."""


class CatalogDraft:
    """All claims as they would be, with the services and the problems that follow."""

    def __init__(self) -> None:
        """Start empty."""
        self.catalog = Catalog()
        self.services: dict[str, Service] = {}
        self.problems: dict[object, tuple[Problem, ...]] = {}
        self.computed = 0

    async def claim(self, claims: Iterable[tuple[ClaimKey, Published]], turn: Turn) -> None:
        """Let these be claimed, too."""
        for number, (key, published) in enumerate(claims, start=1):
            self.catalog.apply(key, published)
            if not number % _BATCH:
                self._gather()
                await turn.breathe()
        self._gather()

    def _gather(self) -> None:
        resolved = self.catalog.take()
        self.computed += resolved.computed
        self.problems.update(resolved.problems)
        for host, service in resolved.services.items():
            if service is None:
                self.services.pop(host, None)
            else:
                self.services[host] = service


def changes(
    before: Mapping[str, Service], after: Mapping[str, Service]
) -> Iterator[tuple[str, Service | None]]:
    """Yield the hosts that differ, with what they become; ``None`` where one goes."""
    for host in before:
        if host not in after:
            yield host, None
    for host, service in after.items():
        known = before.get(host)
        if known is None or known.version != service.version:
            yield host, service
