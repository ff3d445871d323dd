"""``meshbridge check``: is the configuration right, and can every registry be read?"""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path

from meshbridge.bridge import RegistryState
from meshbridge.cli.assembly import read_settings
from meshbridge.cli.ending import Exit, printable, say
from meshbridge.cli.reading import read_all, unread
from meshbridge.guard.entry import place
from meshbridge.lane import Lane
from meshbridge.problems import Problem, ProblemKind
from meshbridge.settings.model import RegistrySettings

_MOST_PROBLEMS = 20


def check_configuration(path: Path, wait: timedelta, *, offline: bool) -> Exit:
    """Print what was found; the answer is no when a registry cannot be read.

    Raises ConfigurationError.
    """
    settings = read_settings(path, serving=True)
    registries = _count(len(settings.registries), "registry", "registries")
    outlets = ", ".join(outlet.name for outlet in settings.outlets)
    say(f"{path}: valid: {registries}; outlets: {outlets}")
    if offline:
        return Exit.FINE
    bridge, reading = asyncio.run(read_all(settings, wait))
    problems = [each for each in bridge.problems if each.kind is not ProblemKind.REGISTRY]
    counted = Counter(problem.registry for problem in problems)
    lines = unread(reading, settings.registries)
    silent = {each.registry for each in reading.missing}
    for registry, state in zip(settings.registries, bridge.registries(), strict=True):
        if registry.name not in silent:
            places = _places(bridge.lanes[registry.name])
            lines.append(_holds(registry, state, places, counted[registry.name]))
    say("\n".join(map(printable, lines)))
    _show(problems)
    return Exit.NO if reading.missing else Exit.FINE


def _places(lane: Lane) -> int:
    """Return at how many places its instances are: one may be in several services."""
    served = (service for scope in lane.guard.scopes() for service in lane.guard.served(scope))
    return len({place(instance) for service in served for instance in service.instances})


def _holds(registry: RegistrySettings, state: RegistryState, places: int, problems: int) -> str:
    services = sum(scope.services for scope in state.scopes)
    instances = sum(scope.instances for scope in state.scopes)
    at = f" at {_count(places, 'place')} (address and port)" if places < instances else ""
    return (
        f"{registry.name} ({registry.adapter}): {_count(services, 'service')}, "
        f"{_count(instances, 'instance')}{at}, {_count(problems, 'problem')}"
    )


def _show(problems: list[Problem]) -> None:
    for problem in problems[:_MOST_PROBLEMS]:
        say(f"  {printable(str(problem))}")
    if len(problems) > _MOST_PROBLEMS:
        say(f"  and {len(problems) - _MOST_PROBLEMS} more: meshbridge dump shows them all")


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"
