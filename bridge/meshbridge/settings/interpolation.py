"""Puts the values of ``${env:NAME}`` and ``${file:/path}`` in their places, and nothing else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from meshbridge.settings.document import Document, Place, Plain
from meshbridge.settings.faults import show_value

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_MOST_BYTES = 64 * 1024


@dataclass(slots=True)
class Interpolated:
    """A document's values after interpolation, and what went wrong on the way."""

    root: Plain = None
    places: set[Place] = field(default_factory=set[Place])
    """Where a value, or a part of it, came from outside the file."""
    faults: dict[Place, str] = field(default_factory=dict[Place, str])
    """What to say of a place whose reference has no value; it keeps its text."""


class _Unresolved(Exception):  # noqa: N818 - never leaves this module
    """A reference that has no value."""


def interpolate(document: Document, environ: Mapping[str, str], folder: Path) -> Interpolated:
    """Return the document's values with every reference resolved.

    A relative ``${file:…}`` starts at ``folder``; the last line end of a file is left out, since
    editors add it. ``$${`` stands for a literal ``${``. What was put in is always text here.
    """
    result = Interpolated()

    def resolve(found: re.Match[str], place: Place) -> str:
        if found[1] is None:
            return "${"
        if not found[0].endswith("}"):
            message = 'found "${" without a closing brace; a literal ${ is written $${'
            raise _Unresolved(message)
        return _lookup(found[1], show_value(found[0], place), environ, folder)

    def walk(value: Plain, place: Place) -> Plain:
        if isinstance(value, dict):
            return {key: walk(each, (*place, key)) for key, each in value.items()}
        if isinstance(value, list):
            return [walk(each, (*place, index)) for index, each in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        result.places.add(place)
        try:
            return _REFERENCE.sub(lambda found: resolve(found, place), value)
        except _Unresolved as error:
            result.faults[place] = str(error)
            return value

    result.root = walk(document.root, ())
    return result


def _lookup(reference: str, shown: str, environ: Mapping[str, str], folder: Path) -> str:
    kind, _, name = reference.partition(":")
    if kind == "env" and name:
        if name not in environ:
            message = f"the environment variable {name} is not set"
            raise _Unresolved(message)
        return environ[name]
    if kind == "file" and name:
        return _contents(folder / Path(name).expanduser())
    message = f"found {shown}; write ${{env:NAME}} or ${{file:/path}}, or $${{ for a ${{"
    raise _Unresolved(message)


def _contents(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except OSError as error:
        message = f"the file {path} cannot be read: {error.strerror or error}"
        raise _Unresolved(message) from None
    if len(raw) > _MOST_BYTES:
        message = f"the file {path} is larger than {_MOST_BYTES // 1024} KiB"
        raise _Unresolved(message)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        message = f"the file {path} is not UTF-8 text"
        raise _Unresolved(message) from None
    return text.removesuffix("\n").removesuffix("\r")
