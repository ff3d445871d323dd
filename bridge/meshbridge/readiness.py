"""Whether the bridge can answer completely, and what a person should know about it: pure."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass, replace

from meshbridge.commands import accept_loss_command, release_command
from meshbridge.configuration import Configuration
from meshbridge.looking import counted
from meshbridge.snapshot import Snapshot
from meshbridge.standing import RegistryState, ScopeState, Together

_WAITING = "not ready: the first answer waits until everything required was read"
DRAINING = "draining: the bridge is about to end; whoever connects anew shall go elsewhere"
"""The first line of ``/readyz`` from the signal to stop until the end."""


class Lack(enum.StrEnum):
    """What a scope lacks for the first answer."""

    UNREAD = "unread"
    EMPTY = "empty"
    """It is empty, or all that it lists was withdrawn."""
    BESIDE = "beside"
    """The same, and what else the registry has will show whether that is true."""
    FILLING = "filling"


@dataclass(frozen=True, slots=True)
class Wait:
    """Why the first answer waits for a scope, and what a person can do about it."""

    lack: Lack
    reason: str
    """What the scope is or does."""
    way_out: str

    def __str__(self) -> str:
        """Return both, as they stand in a line."""
        return f"{self.reason}; {self.way_out}"


def ready(
    newest: Snapshot | None,
    states: tuple[RegistryState, ...],
    configuration: Configuration | None = None,
) -> tuple[bool, list[str]]:
    """Return whether subscribers get answers, and the lines of ``/readyz``.

    Once ready it stays so: a registry's outage must not take the bridge, which still serves what
    the registry held, out of service. What is stale stands in the lines.
    """
    configuration = configuration or Configuration()
    lines: list[str] = []
    if newest is not None:
        served = len(newest.services)
        lines.append(f"ready: {served} {'service is' if served == 1 else 'services are'} served")
    else:
        lines += _withheld(configuration) if configuration.withheld else [_WAITING]
    if configuration.refused not in {(), configuration.withheld}:
        lines += _refused(configuration.refused)
    for state in states:
        together = state.together
        for scope in state.scopes:
            lines += _lines(state, scope, configuration)
            if newest is None and not scope.ready:
                lines.append(_waits(state, scope, together, configuration))
    return newest is not None, lines


def awaited(states: tuple[RegistryState, ...], configuration: Configuration) -> tuple[str, ...]:
    """Return what the first answer waits for, each as a line that begins with ``waiting:``."""
    refused = [
        f"waiting: the configuration is refused: {why}; mend the file, or if it is meant: "
        f"{accept_loss_command(configuration)}"
        for why in configuration.withheld[:1]
    ]
    _, lines = ready(None, states, replace(configuration, withheld=(), refused=()))
    return (*refused, *(each for each in lines if each.startswith("waiting: ")))


def _withheld(configuration: Configuration) -> Iterator[str]:
    why = configuration.withheld
    yield f"not ready: the configuration is refused: {why[0]}; nothing is answered"
    yield "refused: mend the file, which is read again when it changes, and on SIGHUP"
    yield f"refused: if it is meant: {accept_loss_command(configuration)}"
    yield from (f"refused: {each}" for each in why[1:])


def _refused(why: tuple[str, ...]) -> Iterator[str]:
    yield "configuration: the file was refused when it was read again; what was in force stays so"
    yield from (f"configuration: {each}" for each in why)


def _lines(state: RegistryState, scope: ScopeState, configuration: Configuration) -> Iterator[str]:
    what = f"registry {state.name}, {scope.scope}"
    if scope.stale is not None:
        held = "what it held is served" if scope.services else "nothing of it is known"
        yield f"stale: {what}: {scope.stale}; for {scope.stale_seconds:.0f} s; {held}"
    elif scope.services and not scope.listed:
        yield f"stored: {what}: served from stored state, not read yet"
    if scope.held:
        way_out = release_command(configuration, state.name, scope.scope, quote="`")
        yield (
            f"held: {what}: {scope.held} of {scope.instances} instances are no longer listed; "
            f"{scope.guard}; {way_out} lets them go"
        )


def _waits(
    state: RegistryState, scope: ScopeState, together: Together, configuration: Configuration
) -> str:
    what = f"registry {state.name}, {scope.scope}"
    if not state.required:
        return f"not waiting: {what} is not required"
    return f"waiting: {what} {wait(configuration, state.name, scope, together)}"


def lack_of(scope: ScopeState, together: Together) -> Lack:
    """Return what a scope that is not ready lacks; ``together`` is its whole registry."""
    if not scope.listed:
        return Lack.UNREAD
    if scope.serving:
        return Lack.FILLING
    # A scope may stand for a list of others, and hold nothing ever.
    return Lack.BESIDE if together.serving or not together.read else Lack.EMPTY


def wait(
    configuration: Configuration, registry: str, scope: ScopeState, together: Together
) -> Wait:
    """Return why the first answer waits for a scope that is not ready."""
    lack = lack_of(scope, together)
    if lack is Lack.BESIDE:
        return Wait(
            lack,
            f"{_hollow(scope)}, which is believed once another scope of the registry has filled: "
            f"{_many(together)} so far",
            f"{release_command(configuration, registry, quote='`')} accepts the registry as it "
            "is: then proxies lose what is not there yet",
        )
    way_out = release_command(configuration, registry, scope.scope, quote="`")
    if lack is Lack.UNREAD:
        return Wait(
            lack,
            "was not read yet",
            f"`required: false` would not wait for it, {way_out} goes on without it: "
            "either way proxies lose all its hosts until it is read",
        )
    if lack is Lack.EMPTY:
        return _empty(scope, way_out)
    return Wait(
        lack,
        f"may still be filling: {_many(scope)} so far",
        f"{way_out} accepts it as it is: then proxies lose what is not there yet",
    )


def _empty(scope: ScopeState, way_out: str) -> Wait:
    reason = f"{_hollow(scope)}, which nothing proves to be true"
    price = "proxies lose all its hosts"
    if withdrawn := _withdrawn(scope):
        listed = counted(withdrawn, "instance")
        reason += f": all that it lists ({listed}) is disabled, draining or of weight 0"
        price = "its hosts have no endpoints"
    accepts = f"{way_out} accepts it, and so does `guard: {{allow-empty: true}}`"
    return Wait(Lack.EMPTY, reason, f"{accepts}: either way {price}")


def _hollow(scope: ScopeState) -> str:
    return "holds nothing that serves" if _withdrawn(scope) else "is empty"


def _withdrawn(scope: ScopeState) -> int:
    """Return how many instances are listed where none of those that are serves."""
    return scope.instances - scope.held


def _many(of: ScopeState | Together) -> str:
    return f"{counted(of.services, 'service')}, {counted(of.instances, 'instance')}"
