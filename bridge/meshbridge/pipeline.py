"""Turns what registries say into snapshots: published and joined in slices, never partial."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

from meshbridge.adapter import Update
from meshbridge.catalog import Catalog
from meshbridge.intake import Effective, Intake
from meshbridge.memory import LOADED, settle
from meshbridge.problems import Problems
from meshbridge.publish import ClaimKey, Published, Registry, publish
from meshbridge.service import Service
from meshbridge.snapshot import EMPTY, Snapshot, Snapshots
from meshbridge.turns import Turns

BATCH = 8
"""Registrations that are applied before the services that follow are computed: under a slice."""
COALESCE = 0.005
"""Seconds for which changes are gathered before a snapshot is made of them."""


class Lane:
    """One registry's way from its updates to the catalog."""

    def __init__(
        self, registry: Registry, joint: "Joint", turns: Turns, unix: Callable[[], float]
    ) -> None:
        """Begin without registrations; ``unix`` returns the Unix time in seconds."""
        self.registry = registry
        self.intake = Intake()
        """The last good registrations, and the place where safety is decided."""
        self.updated: dict[str, float] = {}
        """Unix time of each scope's last update that was worked off."""
        self._joint = joint
        self._turns = turns
        self._unix = unix

    async def work_off(self, update: Update) -> None:
        """Let the update take effect; what it lists appears in one snapshot or in none.

        Raises whatever a value that is no registration makes publishing raise; nothing of the
        update has taken effect then.
        """
        made: list[tuple[Effective, Published | None]] = []
        async with self._turns.turn() as turn:
            for effective in self.intake.step(update):
                if effective is not None:
                    made.append((effective, self._publish(effective)))
                    if not len(made) % LOADED:
                        settle()
                await turn.breathe()
            with self._joint.together():
                for number, (effective, published) in enumerate(made, start=1):
                    self._apply(effective, published)
                    if not number % LOADED:
                        settle()
                    if not number % BATCH:
                        self._joint.gather()
                        await turn.breathe()
                self._joint.gather()
                self.intake.finish(update)
        self.updated[update.scope] = self._unix()

    def _publish(self, effective: Effective) -> Published | None:
        if effective.service is None:
            return None
        return publish(effective.service, self.registry, effective.scope)

    def _apply(self, effective: Effective, published: Published | None) -> None:
        key = ClaimKey(self.registry.name, effective.scope, effective.service_id)
        self._joint.apply(key, published)
        self.intake.accept(effective)


class Joint:
    """Where the lanes of all registries meet: the catalog, and the snapshots made of it."""

    def __init__(
        self,
        complete: Callable[[], bool],
        problems: Problems,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """Begin without a snapshot; the first is made once ``complete`` says so."""
        self.snapshots = Snapshots()
        self.made = 0
        """How many snapshots were made."""
        self._complete = complete
        self._problems = problems
        self._sleep = sleep
        self.computed = 0
        """How many services were computed: the cost of all changes so far."""
        self._catalog = Catalog()
        self._changed: dict[str, Service | None] = {}
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
        self._catalog.apply(key, published)

    def gather(self) -> None:
        """Compute the services that follow from what was applied; they wait for the snapshot."""
        resolved = self._catalog.take()
        self._changed.update(resolved.services)
        self.computed += resolved.computed
        for owner, problems in resolved.problems.items():
            self._problems.put(owner, problems)

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
            if self._complete():
                self._make()

    def _make(self) -> None:
        newest = self.snapshots.newest
        if self._changed or newest is None:
            changed, self._changed = self._changed, {}
            self.made += 1
            self.snapshots.publish((newest or EMPTY).with_changes(changed))
