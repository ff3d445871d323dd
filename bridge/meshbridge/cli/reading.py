"""Reads every registry once, for the commands that look and do not serve."""

import logging
import sys
from datetime import timedelta

import structlog
from structlog.typing import FilteringBoundLogger

from meshbridge.bridge import Bridge, Reading
from meshbridge.cli.assembly import make_bridge
from meshbridge.settings.model import RegistrySettings, Settings
from meshbridge.settings.values import format_duration


async def read_all(settings: Settings, wait: timedelta) -> tuple[Bridge, Reading]:
    """Return what all registries hold now, and the bridge that read it.

    After ``wait`` a registry counts as one that cannot be read. Somebody who looks at a terminal
    is told what is being waited for. Adapters' logs are left out: what went wrong stands in the
    result.
    """
    bridge, within = make_bridge(settings, _silent()), wait.total_seconds()
    if not sys.stderr.isatty():
        return bridge, await bridge.read_once(within)
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

    names = ", ".join(registry.name for registry in settings.registries)
    with Console(stderr=True).status(f"reading {names} (at most {format_duration(wait)})"):
        return bridge, await bridge.read_once(within)


def unread(reading: Reading, registries: tuple[RegistrySettings, ...]) -> list[str]:
    """Return a line for each scope that could not be read."""
    adapters = {registry.name: registry.adapter for registry in registries}
    return [
        f"{each.registry} ({adapters[each.registry]}): "
        f"{f'{each.scope} ' if each.scope else ''}cannot be read: {each.reason}"
        for each in reading.missing
    ]


def _silent() -> FilteringBoundLogger:
    logging.getLogger().addHandler(logging.NullHandler())  # what libraries would print otherwise
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.ReturnLogger(),
        processors=[structlog.processors.KeyValueRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
    )
    return logger
