"""Reads every registry once, for the commands that look and do not serve."""

import logging
import sys

import structlog
from structlog.typing import FilteringBoundLogger

from meshbridge.bridge import Bridge, Reading
from meshbridge.cli.assembly import make_bridge
from meshbridge.settings.model import RegistrySettings, Settings

WITHIN = 20.0
"""Seconds that the registries get, all together, before they count as not answering."""


async def read_all(settings: Settings) -> tuple[Bridge, Reading]:
    """Return what all registries hold now, and the bridge that read it.

    Somebody who looks at a terminal is told what is being waited for. Adapters' logs are left
    out: what went wrong stands in the result.
    """
    bridge = make_bridge(settings, _silent())
    if not sys.stderr.isatty():
        return bridge, await bridge.read_once(WITHIN)
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

    names = ", ".join(registry.name for registry in settings.registries)
    with Console(stderr=True).status(f"reading {names} (at most {WITHIN:.0f} s)"):
        return bridge, await bridge.read_once(WITHIN)


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
