"""Reads a side whole, whatever it is, and says what it cannot say of services."""

import asyncio
import gc
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

from meshbridge.cli.assembly import read_settings
from meshbridge.cli.diff.dumped import is_istios, read_dump
from meshbridge.cli.diff.fetching import fetch
from meshbridge.cli.diff.sources import (
    NotComparable,
    RunningBridge,
    RunningIstiod,
    SavedFile,
    StandardInput,
    read_file,
    read_stdin,
    shown,
    source_of,
)
from meshbridge.cli.ending import complain
from meshbridge.cli.reading import read_all, unread
from meshbridge.difference import Facet
from meshbridge.errors import BadData
from meshbridge.memory import settle
from meshbridge.mirror import Mirror
from meshbridge.outlet import OutletType
from meshbridge.plugins import installed, load
from meshbridge.service import Service
from meshbridge.settings.values import format_duration

_ISTIOD = "istiod"
_NO_BRIDGE = (
    "is it a bridge's status server? An istiod is named by http://HOST:PORT/debug/configz, "
    "or istiod+http://HOST:PORT"
)
_NO_ISTIOD = "is it istiod's debug port, and does it let you read /debug/configz?"


@dataclass(frozen=True, slots=True)
class Side:
    """All that one side holds."""

    name: str
    """What the user typed."""
    services: dict[str, Service]
    unsaid: frozenset[Facet] = frozenset()
    """What it does not say of its services."""
    mirror: Mirror | None = None
    """Whose subscriber holds it; ``None`` for what a bridge says itself."""
    foreign: int = 0
    """How many resources from elsewhere were left out."""


def read_side(typed: str, wait: timedelta) -> Side:
    """Return what is there now.

    Raises NotComparable when it cannot be read whole, ConfigurationError for a wrong
    configuration.
    """
    name, source = shown(typed), source_of(typed)
    match source:
        case SavedFile(path):
            text = read_file(path, name)
            return _read_registries(path, name, wait) if text is None else _answer(name, text)
        case StandardInput():
            return _answer(name, read_stdin(name))
        case RunningBridge(url):
            with _shown_on_terminal(name, wait):
                text = fetch(url, name, wait, _NO_BRIDGE)
            return _bridges(name, text)
        case RunningIstiod(url):
            with _shown_on_terminal(name, wait):
                text = fetch(url, name, wait, _NO_ISTIOD)
            return _istios(name, text)


def _read_registries(path: Path, name: str, wait: timedelta) -> Side:
    """Read each registry once, like `dump`: a part of the services must not look like all."""
    settings = read_settings(path, serving=False)
    _, reading = asyncio.run(read_all(settings, wait))
    lines = unread(reading, settings.registries)
    required = {registry.name for registry in settings.registries if registry.required}
    if required & {each.registry for each in reading.missing}:
        raise NotComparable(*(f"{name}: {line}" for line in lines))
    for line in lines:
        complain(f"{name}: {line}; compared without it (`required: false`)", kind="note")
    return Side(name, dict(reading.snapshot.services))


def _answer(name: str, text: bytes) -> Side:
    return _istios(name, text) if is_istios(text) else _bridges(name, text)


def _bridges(name: str, text: bytes) -> Side:
    try:
        with _uncollected():
            dumped = read_dump(text)
    except BadData as error:
        raise NotComparable(f"{name}: {error}") from None
    return Side(name, dumped.services, dumped.unsaid)


def _istios(name: str, text: bytes) -> Side:
    mirror = _mirror(name)
    try:
        with _uncollected():
            held = mirror.held(text)
    except BadData as error:
        raise NotComparable(f"{name}: {error}") from None
    services = {service.host: service for service in held.services}
    return Side(name, services, mirror=mirror, foreign=held.foreign)


def _mirror(name: str) -> Mirror:
    """Return the outlet that knows what istiod holds; the core knows none itself."""
    for plugin in installed("outlets"):
        kind = cast("OutletType", load(plugin))
        outlet = kind(kind.Options())
        if isinstance(outlet, Mirror) and outlet.mirrors == _ISTIOD:
            return outlet
    raise NotComparable(f"{name}: no installed outlet can read an istiod; reinstall meshbridge")


@contextmanager
def _uncollected() -> Generator[None]:
    """Keep the garbage collector out while values are made of which none is garbage.

    It would look at all of them again and again, which takes longer than reading them.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
            settle()


@contextmanager
def _shown_on_terminal(name: str, wait: timedelta) -> Generator[None]:
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.markup import escape  # noqa: PLC0415 - see above

    text = escape(f"reading {name} (at most {format_duration(wait)})")
    with Console(stderr=True).status(text):
        yield
