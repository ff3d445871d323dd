"""Where the lanes of all registries meet: services joined in slices, snapshots never partial."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

from meshbridge.catalog import Catalog
from meshbridge.drafting import CatalogDraft, changes
from meshbridge.problems import Problem, Problems
from meshbridge.publish import ClaimKey, Published
from meshbridge.service import Service
from meshbridge.snapshot import EMPTY, Snapshot, Snapshots
from meshbridge.store import Store
from meshbridge.turns import Turn

BATCH = 8
"""Registrations that are applied before the services that follow are computed: under a slice."""
COALESCE = 0.005
"""Seconds for which changes are gathered before a snapshot is made of them."""


class Joint:
    """Where the lanes of all registries meet: the catalog, and the snapshots made of it."""

    def __init__(
        self,
        complete: Callable[[], bool],
        problems: Problems,
        sleep: Callable[[float], Awaitable[None]],
        store: Store | None = None,
    ) -> None:
        """Begin without a snapshot; the first is made once ``complete`` says so.

        ``store`` hears how large each host is that is served.
        """
        self._store = store
        self.snapshots = Snapshots()
        self.made = 0
        """How many snapshots were made."""
        self._complete = complete
        self._problems = problems
        self._sleep = sleep
        self.computed = 0
        """How many services were computed: the cost of all changes so far."""
        self.catalog = Catalog()
        """All claims of hosts; changed through :meth:`apply` only."""
        self._changed: dict[str, Service | None] = {}
        self._owners: set[object] = set()
        """Whose problems the catalog has said."""
        self._unfinished = 0
        self._touched = asyncio.Event()
        self._whole = asyncio.Event()
        self._whole.set()

    @contextmanager
    def together(self) -> Generator[None]:
        """Let no snapshot be made before all that is applied inside is applied."""
        self._unfinished += 1
        self._whole.clear()
        try:
            yield
        finally:
            self._unfinished -= 1
            if not self._unfinished:
                self._whole.set()
            self._touched.set()

    def apply(self, key: ClaimKey, published: Published | None) -> None:
        """Let a registration claim what it publishes; ``None``: it claims nothing any more."""
        self.catalog.apply(key, published)

    def gather(self) -> None:
        """Compute the services that follow from what was applied; they wait for the snapshot."""
        resolved = self.catalog.take()
        self._changed.update(resolved.services)
        self.computed += resolved.computed
        for owner, problems in resolved.problems.items():
            self._say(owner, problems)

    def _say(self, owner: object, problems: tuple[Problem, ...]) -> None:
        self._problems.put(owner, problems)
        if problems:
            self._owners.add(owner)
        else:
            self._owners.discard(owner)

    async def take_over(self, draft: CatalogDraft, turn: Turn) -> None:
        """Let another catalog have all claims; only what then differs is in the next snapshot.

        To be called inside :meth:`together`, while every lane is still.
        """
        before = (self.snapshots.newest or EMPTY).services
        self.catalog = draft.catalog
        self.computed += draft.computed
        self._changed = dict(changes(before, draft.services))
        for owner in [each for each in self._owners if each not in draft.problems]:
            self._say(owner, ())
            await turn.breathe()
        for owner, problems in draft.problems.items():
            self._say(owner, problems)
            await turn.breathe()

    async def caught_up(self) -> None:
        """Wait until what was applied is in a snapshot, where there is one already."""
        newest = self.snapshots.newest
        if newest is not None and self._changed:
            await self.snapshots.after(newest)

    def snapshot(self) -> Snapshot:
        """Return what is known so far, complete or not, and make no snapshot of it."""
        return (self.snapshots.newest or EMPTY).with_changes(self._changed)

    async def run(self) -> None:
        """Make snapshots until cancelled."""
        while True:
            await self._touched.wait()
            await self._sleep(COALESCE)
            # It may have been whole when this task was woken, and the next update have begun since.
            while self._unfinished:
                await self._whole.wait()
            self._touched.clear()
            # Once something was answered nothing waits any more, a registry added later least.
            if self.snapshots.newest is not None or self._complete():
                self._make()

    def _make(self) -> None:
        newest = self.snapshots.newest
        if self._changed or newest is None:
            changed, self._changed = self._changed, {}
            self.made += 1
            if self._store is not None:
                sizes = {
                    host: None if each is None else len(each.endpoints)
                    for host, each in changed.items()
                }
                self._store.serve(sizes)
            self.snapshots.publish((newest or EMPTY).with_changes(changed))
