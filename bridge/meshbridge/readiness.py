"""Whether the bridge can answer completely, and what a person should know about it: pure."""

from meshbridge.bridge import RegistryState
from meshbridge.snapshot import Snapshot

DRAINING = "draining: the bridge is about to end; whoever connects anew shall go elsewhere"
"""The first line of ``/readyz`` from the signal to stop until the end."""


def ready(newest: Snapshot | None, states: tuple[RegistryState, ...]) -> tuple[bool, list[str]]:
    """Return whether subscribers get answers, and the lines of ``/readyz``.

    Once ready it stays so: a registry's outage must not take the bridge, which still serves what
    the registry held, out of service. What is stale stands in the lines.
    """
    lines: list[str] = []
    if newest is not None:
        served = len(newest.services)
        lines.append(f"ready: {served} {'service is' if served == 1 else 'services are'} served")
    for state in states:
        for scope in state.scopes:
            what = f"registry {state.name}, {scope.scope}"
            if scope.stale is not None:
                held = "what it held is served" if scope.listed else "nothing of it is known"
                lines.append(
                    f"stale: {what}: {scope.stale}; for {scope.stale_seconds:.0f} s; {held}"
                )
            if not scope.listed and newest is None:
                lines.append(_waiting(what, state.required))
    if newest is None:
        lines.insert(0, "not ready: the first answer waits until everything required was read")
    return newest is not None, lines


def _waiting(what: str, required: bool) -> str:  # noqa: FBT001 - it is the registry's setting
    if required:
        return f"waiting: {what} was not read yet; `required: false` would not wait for it"
    return f"not waiting: {what} was not read yet and is not required"
