"""Puts the values of ``${env:NAME}`` and ``${file:/path}`` in their places, and nothing else."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from meshbridge.settings.document import Document, Place, Plain
from meshbridge.settings.faults import show_value

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_MOST_BYTES = 64 * 1024


_ALLOWED = "; allowed: "
"""What follows it in a message of ours says what would be right, and nothing of what was found."""


@dataclass(frozen=True, slots=True)
class PutIn:
    """What came from outside at one place."""

    shown: str
    """The value as it stands in the file, for a message."""
    texts: dict[str, str] = field(default_factory=dict[str, str])
    """What is shown for each text from outside, and for the whole value, the longest first."""


@dataclass(slots=True)
class Interpolated:
    """A document's values after interpolation, and what went wrong on the way."""

    root: Plain = None
    places: dict[Place, PutIn] = field(default_factory=dict[Place, PutIn])
    """Where a value, or a part of it, came from outside the file."""
    faults: dict[Place, str] = field(default_factory=dict[Place, str])
    """What to say of a place whose reference has no value; it keeps its text."""
    files: set[Path] = field(default_factory=set[Path])
    """The files that were referred to."""

    def hide(self, message: str, place: Place) -> str:
        """Return a message about a place with references where it quotes what they stand for."""
        own = self.places.get(place)
        before, _, allowed = message.rpartition(_ALLOWED)
        if own and before.startswith("found ") and "found " not in before[1:]:
            return f"found {own.shown}{_ALLOWED}{allowed}"  # it may quote any part of the value
        for where, put_in in self.places.items():
            if where[: len(place)] == place:
                for text, shown in put_in.texts.items():
                    message = _replaced(message, text, shown)
        return message


def _replaced(message: str, text: str, shown: str) -> str:
    """Replace a text where it stands as a word, also as Python and JSON spell it."""
    spellings = dict.fromkeys((text, repr(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]))
    for spelt in spellings:
        begin = r"(?<!\w)" if spelt[0].isalnum() else ""
        end = r"(?!\w)" if spelt[-1].isalnum() else ""
        message = re.sub(begin + re.escape(spelt) + end, lambda _: shown, message)
    return message


class _Unresolved(Exception):  # noqa: N818 - never leaves this module
    """A reference that has no value."""


def interpolate(document: Document, environ: Mapping[str, str], folder: Path) -> Interpolated:
    """Return the document's values with every reference resolved.

    A relative ``${file:…}`` starts at ``folder``; the last line end of a file is left out, since
    editors add it. ``$${`` stands for a literal ``${``. What was put in is always text here.
    """
    result = Interpolated()

    def walk(value: Plain, place: Place) -> Plain:
        if isinstance(value, dict):
            return {key: walk(each, (*place, key)) for key, each in value.items()}
        if isinstance(value, list):
            return [walk(each, (*place, index)) for index, each in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        shown = show_value(value, place)
        texts: dict[str, str] = {}
        try:
            value = _filled(value, place, environ, (folder, result.files), texts)
        except _Unresolved as error:
            result.faults[place] = str(error)
        texts[value] = shown.strip('"')
        by_length = sorted(filter(None, texts), key=len, reverse=True)
        result.places[place] = PutIn(shown, {text: texts[text] for text in by_length})
        return value

    result.root = walk(document.root, ())
    return result


_Files = tuple[Path, set[Path]]
"""The folder at which relative paths start, and where the files that were read are noted."""


def _filled(
    value: str, place: Place, environ: Mapping[str, str], files: _Files, texts: dict[str, str]
) -> str:
    """Return the value with its references resolved; ``texts`` gets what was put in for which."""

    def resolve(found: re.Match[str]) -> str:
        if found[1] is None:
            return "${"
        if not found[0].endswith("}"):
            message = 'found "${" without a closing brace; a literal ${ is written $${'
            raise _Unresolved(message)
        text = _lookup(found[1], show_value(found[0], place), environ, files)
        texts[text] = found[0]
        return text

    return _REFERENCE.sub(resolve, value)


def _lookup(reference: str, shown: str, environ: Mapping[str, str], files: _Files) -> str:
    kind, _, name = reference.partition(":")
    if kind == "env" and name:
        if name not in environ:
            message = f"the environment variable {name} is not set"
            raise _Unresolved(message)
        return environ[name]
    if kind == "file" and name:
        folder, noted = files
        path = folder / Path(name).expanduser()
        noted.add(path)
        return _contents(path)
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
