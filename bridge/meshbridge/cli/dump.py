"""``meshbridge dump``: what would be served of the registries as they are now."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from meshbridge.bridge import RegistryState
from meshbridge.cli.assembly import read_settings
from meshbridge.cli.ending import Exit, complain, printable, say
from meshbridge.cli.reading import read_all, unread
from meshbridge.cli.selecting import called_like
from meshbridge.cli.table import show_table
from meshbridge.dump import service_object
from meshbridge.errors import ConfigurationError
from meshbridge.explaining.fate import sent_as_healthy
from meshbridge.outlet import Outlet
from meshbridge.plugins import installed, load_outlet
from meshbridge.settings.model import Settings
from meshbridge.snapshot import Snapshot

_OWN_FORMATS = ("table", "json")


def dump_services(path: Path, form: str, pattern: str, wait: timedelta) -> Exit:
    """Print the services; problems and what cannot be read go to stderr.

    Nothing is printed when a required registry cannot be read: a part of the services must not
    look like all of them. Raises ConfigurationError.
    """
    settings = read_settings(path, serving=False)
    outlet = None if form in _OWN_FORMATS else _outlet_for(form, settings)
    bridge, reading = asyncio.run(read_all(settings, wait))
    for line in unread(reading, settings.registries):
        complain(line)
    required = {registry.name for registry in settings.registries if registry.required}
    if required & {each.registry for each in reading.missing}:
        return Exit.NO
    chosen = _select(reading.snapshot, pattern)
    if outlet is not None:
        say(outlet.render(chosen, form).rstrip("\n"))
    elif form == "json":
        objects = [service_object(chosen.services[host]) for host in sorted(chosen.services)]
        say(json.dumps(objects, indent=2, ensure_ascii=False))
    else:
        say(_read(bridge.registries()))
        show_table(chosen, lambda each: sent_as_healthy(bridge.catalog.holding(each.host), each))
    for problem in bridge.problems:
        complain(str(problem), kind="problem")
    if not chosen.services and pattern != "*":
        complain(f'--service: no service is called like "{pattern}"')
        return Exit.NO
    return Exit.FINE


def _read(states: tuple[RegistryState, ...]) -> str:
    """Return the first line of a table: what it was made of, and what could not be read."""
    return printable("# " + "; ".join(f"{each.name}: {_how(each)}" for each in states))


def _how(state: RegistryState) -> str:
    services = sum(scope.services for scope in state.scopes)
    instances = sum(scope.instances for scope in state.scopes)
    away = [each for each in state.scopes if each.stale is not None or not each.listed]
    said = [f"{services} services, {instances} instances"]
    said += [f"{each.scope} not read: {each.stale or 'no answer in time'}" for each in away]
    return ", ".join(said)


def _select(snapshot: Snapshot, pattern: str) -> Snapshot:
    if pattern == "*":
        return snapshot
    matches = called_like(pattern)
    chosen = {host: service for host, service in snapshot.services.items() if matches(service)}
    return Snapshot(MappingProxyType(chosen), snapshot.number)


def _outlet_for(form: str, settings: Settings) -> Outlet:
    """Return the outlet that renders a format: a configured one, else any that is installed.

    Raises ConfigurationError when there is none.
    """
    known = set(_OWN_FORMATS)
    configured = {each.name: each.options for each in settings.outlets}
    names = [*configured, *(plugin.name for plugin in installed("outlets"))]
    for name in dict.fromkeys(names):
        kind = load_outlet(name)
        options = configured[name] if name in configured else kind.Options()
        outlet = kind(options)
        if form in outlet.formats:
            return outlet
        known |= set(outlet.formats)
    raise ConfigurationError(f'--format: found "{form}"; allowed: {", ".join(sorted(known))}')
