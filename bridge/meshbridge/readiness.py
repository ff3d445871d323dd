"""Whether the bridge can answer completely, and what a person should know about it: pure."""

import shlex
from collections.abc import Iterator

from meshbridge.configuration import Configuration
from meshbridge.snapshot import Snapshot
from meshbridge.standing import RegistryState, ScopeState

_WAITING = "not ready: the first answer waits until everything required was read"
DRAINING = "draining: the bridge is about to end; whoever connects anew shall go elsewhere"
"""The first line of ``/readyz`` from the signal to stop until the end."""


def ready(
    newest: Snapshot | None,
    states: tuple[RegistryState, ...],
    configuration: Configuration | None = None,
) -> tuple[bool, list[str]]:
    """Return whether subscribers get answers, and the lines of ``/readyz``.

    Once ready it stays so: a registry's outage must not take the bridge, which still serves what
    the registry held, out of service. What is stale stands in the lines.
    """
    lines: list[str] = []
    if newest is not None:
        served = len(newest.services)
        lines.append(f"ready: {served} {'service is' if served == 1 else 'services are'} served")
    else:
        withheld = configuration.withheld if configuration else ()
        lines += _withheld(withheld) if withheld else [_WAITING]
    if configuration is not None and configuration.refused not in {(), configuration.withheld}:
        lines += _refused(configuration.refused)
    for state in states:
        for scope in state.scopes:
            lines += _lines(state, scope, waiting=newest is None)
    return newest is not None, lines


def awaited(states: tuple[RegistryState, ...], configuration: Configuration) -> tuple[str, ...]:
    """Return what the first answer waits for, each as a line that begins with ``waiting:``."""
    refused = [
        f"waiting: the configuration is refused: {why}; mend the file, or if it is meant: "
        "meshbridge reload --accept-loss"
        for why in configuration.withheld[:1]
    ]
    _, lines = ready(None, states)
    return (*refused, *(each for each in lines if each.startswith("waiting: ")))


def _withheld(why: tuple[str, ...]) -> Iterator[str]:
    yield f"not ready: the configuration is refused: {why[0]}; nothing is answered"
    yield "refused: mend the file, which is read again when it changes, and on SIGHUP"
    yield (
        "refused: if it is meant: `meshbridge reload --accept-loss`, or start with "
        "`meshbridge run --accept-loss`"
    )
    yield from (f"refused: {each}" for each in why[1:])


def _refused(why: tuple[str, ...]) -> Iterator[str]:
    yield "configuration: the file was refused when it was read again; what was in force stays so"
    yield from (f"configuration: {each}" for each in why)


def _lines(state: RegistryState, scope: ScopeState, *, waiting: bool) -> Iterator[str]:
    what = f"registry {state.name}, {scope.scope}"
    if scope.stale is not None:
        held = "what it held is served" if scope.services else "nothing of it is known"
        yield f"stale: {what}: {scope.stale}; for {scope.stale_seconds:.0f} s; {held}"
    elif scope.services and not scope.listed:
        yield f"stored: {what}: served from stored state, not read yet"
    if scope.held:
        way_out = f"meshbridge release {state.name} {shlex.quote(scope.scope)}"
        yield (
            f"held: {what}: {scope.held} of {scope.instances} instances are no longer listed; "
            f"{scope.guard}; `{way_out}` lets them go"
        )
    if waiting and not scope.ready:
        yield _waiting(what, state, scope)


def _waiting(what: str, state: RegistryState, scope: ScopeState) -> str:
    if not state.required:
        return f"not waiting: {what} is not required"
    way_out = f"`meshbridge release {state.name} {shlex.quote(scope.scope)}`"
    if not scope.listed:
        return (
            f"waiting: {what} was not read yet; `required: false` would not wait for it, "
            f"{way_out} goes on without it"
        )
    if not scope.instances:
        return (
            f"waiting: {what} is empty, which nothing proves to be true; {way_out} accepts it, "
            "and so does `guard: {allow-empty: true}`"
        )
    return (
        f"waiting: {what} may still be filling: {scope.services} services, {scope.instances} "
        f"instances so far; {way_out} accepts it as it is"
    )
