"""The operation that lists what the guard holds, lets go of it, and announces planned losses."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from meshbridge.admin.operation import AdminRefusal, Operation, operation
from meshbridge.bridge import Bridge
from meshbridge.commands import release_command
from meshbridge.configuration import Configuration
from meshbridge.guard import Release
from meshbridge.lane import Lane
from meshbridge.looking import Slices, nearest
from meshbridge.publish.findings import printable, quoted
from meshbridge.registration import ServiceId
from meshbridge.releasing import Held, Released, Target, awaited_of, held, let_go, remembered

RELEASE: Final = "release"
_LONGEST: Final = 365 * 24 * 3600.0
_NAMED: Final = 5
_T = TypeVar("_T")


class Which(msgspec.Struct, forbid_unknown_fields=True):
    """What to let go of; nothing: only say what is held."""

    registry: str | None = None
    scope: str | None = None
    service: str | None = None
    seconds: float | None = None
    """For how long further losses are wanted, too."""


class Answer(msgspec.Struct):
    """What was let go of, or else what is held."""

    held: Held | None = None
    released: Released | None = None


def releasing(bridge: Bridge) -> Operation:
    """Return the operation."""

    async def work(which: Which) -> Answer:
        slices = Slices()
        if which.registry is None:
            if which.scope is not None or which.service is not None or which.seconds is not None:
                raise AdminRefusal("release: a scope, a service or --for needs a registry", 2)
            return Answer(held=await held(bridge, slices))
        return Answer(released=await _release(bridge, which.registry, which, slices))

    return operation(Which, work)


async def _release(bridge: Bridge, registry: str, which: Which, slices: Slices) -> Released:
    find = _Names(bridge.configuration, slices)
    lane = await find.named(registry, bridge.lanes, "registry of this bridge")
    scope = service = None
    if which.scope is not None:
        scopes = {each: each for each in lane.guard.scopes()}
        scope = await find.named(which.scope, scopes, f"scope of {registry}")
    if which.service is not None:
        if scope is None:
            raise AdminRefusal("release: a service needs its scope", 2)
        service = await find.service(which.service, lane, scope)
    if which.seconds is not None and not 0 < which.seconds <= _LONGEST:
        raise AdminRefusal("release: --for takes a duration up to 8760h", 2)
    until = None if which.seconds is None else lane.now + which.seconds
    target = Target(registry, scope, service)
    before = remembered(lane, target, awaited_of(bridge, registry))
    await lane.release(Release(scope, service, until))
    at = None if until is None else lane.unix_of(until)
    return await let_go(lane, target, before, at, slices)


@dataclass(frozen=True, slots=True)
class _Names:
    """Finds what somebody named; raises AdminRefusal with the nearest name that there is."""

    configuration: Configuration
    slices: Slices

    async def named(self, name: str, known: Mapping[str, _T], what: str) -> _T:
        """Return what has the name."""
        if name in known:
            return known[name]
        shown = {printable(each): each for each in known}
        if name in shown:
            return known[shown[name]]
        raise await self._unknown(name, shown, what)

    async def service(self, name: str, lane: Lane, scope: str) -> ServiceId:
        """Return the service: by its whole name, or by the plain one if only one has it."""
        plain: list[ServiceId] = []
        names: list[str] = []
        for each in list(lane.guard.scope(scope).entries):
            identity = str(each)
            if name in {identity, printable(identity)}:
                return each
            if each.name == name:
                plain.append(each)
            names.append(printable(identity))
            await self.slices.breathe()
        if len(plain) == 1:
            return plain[0]
        where = f"of {lane.registry.name}, {quoted(scope)},"
        if plain:
            some = ", ".join(quoted(str(each)) for each in sorted(plain)[:_NAMED])
            called = f"{len(plain)} services {where} are called {quoted(name)}"
            raise AdminRefusal(f"{called}; name one whole: {some}", 2)
        raise await self._unknown(name, names, f"service {where}")

    async def _unknown(self, name: str, known: Iterable[str], what: str) -> AdminRefusal:
        if like := await nearest(name, known, self.slices, 1):
            hint = f"did you mean {quoted(like[0])}?"
        else:
            hint = f"{release_command(self.configuration, quote='`')} lists all held"
        return AdminRefusal(f"no {what} is called {quoted(name)}; {hint}", 2)
