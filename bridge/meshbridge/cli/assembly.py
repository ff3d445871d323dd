"""Makes the running parts of a configuration: what each command then does with them is its own."""

import asyncio
import os
import time
from functools import partial
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from meshbridge.adapter import Adapter, Context
from meshbridge.bridge import Bridge, RegistryRuntime, Renewed
from meshbridge.cli.options import unusual
from meshbridge.errors import ConfigurationError
from meshbridge.settings.comparing import Fate, Plan
from meshbridge.settings.loading import load_settings
from meshbridge.settings.model import RegistrySettings, Settings
from meshbridge.store import Store

NO_OUTLETS = (
    "outlets: missing; say who is to be served: outlets: {xds: {}} for Envoy, {mcp: {}} for istiod"
)


def read_settings(path: Path, *, serving: bool) -> Settings:
    """Return the configuration of the file; ``serving`` asks for at least one outlet.

    Raises ConfigurationError.
    """
    settings = load_settings(path, os.environ)
    if serving and not settings.outlets:
        raise ConfigurationError(f"{path}: {NO_OUTLETS}")
    return settings


def make_bridge(
    settings: Settings, logger: FilteringBoundLogger, store: Store | None = None
) -> Bridge:
    """Return the core with an adapter for each registry; nothing is read yet."""
    runtimes = [_runtime(registry) for registry in settings.registries]
    bridge = Bridge(runtimes, time.monotonic, asyncio.sleep, logger, store=store)
    admin = settings.keeping.admin
    bridge.configuration.admin = admin is not None
    if admin is not None:
        bridge.configuration.socket = unusual(admin)
    return bridge


def renewed(settings: Settings, plan: Plan) -> list[Renewed]:
    """Return the registries of the configuration as what becomes of those that run."""
    fates = {each.name: each.fate for each in plan.registries}
    return [
        Renewed(_runtime(each), restart=fates[each.name] is Fate.RESTARTED)
        for each in settings.registries
    ]


def _runtime(registry: RegistrySettings) -> RegistryRuntime:
    make = partial(_make_adapter, registry)
    return RegistryRuntime(registry.publish, make, registry.required, registry.guard)


def _make_adapter(registry: RegistrySettings, context: Context) -> Adapter:
    try:
        return registry.adapter_type(registry.name, registry.options, context)
    except Exception as error:
        error.add_note(f'Adapter "{registry.adapter}" raised it for registry "{registry.name}".')
        raise
