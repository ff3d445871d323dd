"""All registries as another configuration has them: worked out whole before any of it holds."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from meshbridge.change import Change, Wanted
from meshbridge.drafting import CatalogDraft
from meshbridge.service import Service
from meshbridge.store import Stored
from meshbridge.store.store import NOTHING
from meshbridge.tally import Tally
from meshbridge.turns import Turn
from meshbridge.watched import Place, RegistryRuntime, Watched


@dataclass(frozen=True, slots=True)
class Renewed:
    """One registry of the new configuration."""

    runtime: RegistryRuntime
    restart: bool = False
    """Whether it needs another adapter than the one of this name that runs."""


@dataclass(frozen=True, slots=True)
class _Part:
    watched: Watched
    runtime: RegistryRuntime

    def wanted(self) -> Wanted:
        """Return what its lane is to become; every lane must be still."""
        adapter = self.watched.supervisor.adapter
        rules = self.runtime.guard.rules(adapter.settle)
        dropped = self.watched.dropped()
        return Wanted(self.runtime.registry, rules, adapter.scopes, dropped)


class Renewal:
    """What runs now and what shall run, side by side."""

    def __init__(
        self,
        registries: Sequence[Renewed],
        running: Sequence[Watched],
        place: Place,
        stored: Stored | None,
    ) -> None:
        """Make the adapters that are new, which raises what they raise; nothing is read yet.

        What stands in ``running`` and in ``registries`` goes on; but if something is ``stored``
        that nobody was answered from, all begin with that instead.
        """
        before = {each.name: each for each in running}
        self._parts = [_part(each, before, place, stored) for each in registries]
        self._running = tuple(running)
        self._joint = place.joint
        self._changes: list[Change] = []
        self.draft = CatalogDraft()

    @property
    def watched(self) -> tuple[Watched, ...]:
        """What is watched afterwards, in the order of the configuration."""
        return tuple(part.watched for part in self._parts)

    @property
    def ended(self) -> tuple[Watched, ...]:
        """What is watched no more, its adapter least."""
        kept = set(map(id, self.watched))
        return tuple(each for each in self._running if id(each) not in kept)

    @property
    def begun(self) -> tuple[Watched, ...]:
        """What has to be started."""
        before = set(map(id, self._running))
        return tuple(each for each in self.watched if id(each) not in before)

    async def stillness(self, stack: AsyncExitStack) -> None:
        """Let nothing take effect in any lane until the stack ends."""
        lanes = {id(each.lane): each.lane for each in (*self._running, *self.watched)}
        for lane in lanes.values():
            await stack.enter_async_context(lane.still())

    async def work_out(self, turn: Turn) -> None:
        """See what would be served; every lane must be still."""
        for part in self._parts:
            change = await part.watched.lane.change_to(part.wanted(), turn)
            self._changes.append(change)
            await self.draft.claim(change.claims, turn)

    async def compare(self, served: Mapping[str, Service], turn: Turn) -> Tally:
        """Return what would go of what is served."""
        tally = Tally()
        for host, service in served.items():
            tally.compare(host, service, self.draft.services.get(host))
            await turn.breathe()
        return tally

    async def take_effect(self, turn: Turn) -> None:
        """Let it hold; every lane must have been still since :meth:`work_out`."""
        with self._joint.together():
            await self._joint.take_over(self.draft, turn)
            for part, change in zip(self._parts, self._changes, strict=True):
                await part.watched.lane.adopt(change, turn)
                part.watched.runtime = part.runtime
        mine = {id(each.lane) for each in self.watched}
        for each in self.ended:
            if id(each.lane) not in mine:
                each.lane.silence()
        for each in self.begun:
            each.take_over()


def compare_sizes(served: Mapping[str, int], after: Mapping[str, Service]) -> Tally:
    """Return what would go of what was served before the process started."""
    tally = Tally()
    for host, endpoints in served.items():
        tally.compare_sizes(host, endpoints, after.get(host))
    return tally


def _part(
    renewed: Renewed, running: Mapping[str, Watched], place: Place, stored: Stored | None
) -> _Part:
    runtime = renewed.runtime
    before = running.get(runtime.registry.name)
    anew = stored is not None
    if before is not None and not renewed.restart and not anew:
        watched = before
    else:
        watched = Watched(runtime, place, stored or NOTHING, before, anew=anew)
    return _Part(watched, runtime)
