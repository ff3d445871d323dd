"""The values that YAML has no type for: durations, shares, and paths beside the configuration."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h)", re.ASCII)
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%", re.ASCII)
_WHOLE = 100.0
_MOST_BYTES = 1024 * 1024
"""Of a file's content that tells it from another one: a certificate, never a data set."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What validation needs to know besides the values: pydantic's validation context."""

    folder: Path
    """Where the configuration file stands: relative paths start there."""
    read: dict[Path, str] = field(default_factory=dict[Path, str])
    """A digest of each file that was found readable: another content is another configuration."""


def parse_duration(value: object) -> timedelta:
    """Return the duration written as ``500ms``, ``10s``, ``5m`` or ``2h``.

    Raises PydanticCustomError for anything else, a bare number included: its unit would be a guess.
    """
    if isinstance(value, timedelta):
        return value
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        kind, message = "duration", "must be a duration like 500ms, 10s, 5m or 2h"
        raise PydanticCustomError(kind, message)
    return float(found[1]) * _UNITS[found[2]]


def format_duration(value: timedelta) -> str:
    """Return a duration the way it is written in YAML."""
    for unit in ("h", "m", "s"):
        if value and not value % _UNITS[unit]:
            return f"{value // _UNITS[unit]}{unit}"
    milliseconds = f"{value / _UNITS['ms']:.3f}".rstrip("0").rstrip(".")
    return f"{milliseconds}ms" if value else "0s"


def parse_share(value: object) -> float:
    """Return the share written as ``50%`` as a number from 0 to 1.

    Raises PydanticCustomError for anything else.
    """
    if isinstance(value, float) and 0 <= value <= 1:
        return value
    found = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if found is None or float(found[1]) > _WHOLE:
        kind, message = "share", "must be a share from 0% to 100%, like 50%"
        raise PydanticCustomError(kind, message)
    return float(found[1]) / _WHOLE


def _format_share(value: float) -> str:
    return f"{value * _WHOLE:g}%"


def _parse_path(value: object, info: ValidationInfo) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        kind, message = "path", "must be the path of a file"
        raise PydanticCustomError(kind, message)
    context: object = info.context
    folder = context.folder if isinstance(context, Surroundings) else Path()
    return folder / Path(value).expanduser()


def _parse_file(value: object, info: ValidationInfo) -> Path:
    path = _parse_path(value, info)
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read(_MOST_BYTES)).hexdigest()
    except OSError as error:
        kind, message = "file", "no readable file at {path}: {reason}"
        context = {"path": str(path), "reason": error.strerror or str(error)}
        raise PydanticCustomError(kind, message, context) from None
    surroundings: object = info.context
    if isinstance(surroundings, Surroundings):
        surroundings.read[path] = digest
    return path


Duration = Annotated[
    timedelta,
    PlainValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "format": "duration"}),
]
"""A length of time, written with its unit: ``500ms``, ``10s``, ``5m``, ``2h``."""

Share = Annotated[
    float,
    PlainValidator(parse_share),
    PlainSerializer(_format_share, return_type=str),
    WithJsonSchema({"type": "string", "format": "share"}),
]
"""A part of the whole, written ``50%``; held as a number from 0 to 1."""

ConfigPath = Annotated[
    Path,
    PlainValidator(_parse_path),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "format": "path"}),
]
"""A path; a relative one is taken from the folder of the configuration file."""

ReadableFile = Annotated[
    Path,
    PlainValidator(_parse_file),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "format": "path"}),
]
"""A :data:`ConfigPath` of a file that can be read when the configuration is."""
