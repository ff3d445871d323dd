"""Makes the running parts of a configuration: what each command then does with them is its own."""

import asyncio
import os
import time
from functools import partial
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from meshbridge.adapter import Adapter, Context
from meshbridge.bridge import Bridge, RegistryRuntime
from meshbridge.errors import ConfigurationError
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
    return Bridge(
        [
            RegistryRuntime(
                registry.publish,
                partial(_make_adapter, registry),
                registry.required,
                registry.guard,
            )
            for registry in settings.registries
        ],
        time.monotonic,
        asyncio.sleep,
        logger,
        store=store,
    )


def _make_adapter(registry: RegistrySettings, context: Context) -> Adapter:
    try:
        return registry.adapter_type(registry.name, registry.options, context)
    except Exception as error:
        error.add_note(f'Adapter "{registry.adapter}" raised it for registry "{registry.name}".')
        raise
