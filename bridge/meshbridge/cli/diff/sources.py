"""Where the two sides of a comparison come from, told apart by how they are written."""

import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult, urlsplit, urlunsplit

from meshbridge.errors import MeshbridgeError

LARGEST = 256 * 2**20
"""Bytes of a dump or an answer; ten thousand services of ten endpoints are about 20 MB."""
TOO_LARGE = f"it is larger than {LARGEST // 2**20} MB"

_SERVICES = "/api/services"
_CONFIGZ = "/debug/configz"
_ISTIOD = "istiod+"


class NotComparable(MeshbridgeError):  # noqa: N818 - it says what follows
    """A side cannot be read whole, so that nothing can be said; a line says why."""


@dataclass(frozen=True, slots=True)
class RunningBridge:
    """The status server of a bridge."""

    url: str
    """Where its services are listed."""


@dataclass(frozen=True, slots=True)
class RunningIstiod:
    """The debug interface of an istiod."""

    url: str
    """Where its store is shown."""


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file: what begins with ``[`` is what a bridge or an istiod answered, else a configuration.

    By content and not by name, so that ``<(...)`` of a shell and files of any name will do.
    """

    path: Path


@dataclass(frozen=True, slots=True)
class StandardInput:
    """What is piped in: an answer, as in a file."""


Source = RunningBridge | RunningIstiod | SavedFile | StandardInput


def source_of(typed: str) -> Source:
    """Return what was meant; raises NotComparable for what means nothing."""
    if typed == "-":
        return StandardInput()
    if "://" not in typed:
        return SavedFile(Path(typed))
    parts = _split(typed)
    if parts.scheme.startswith(_ISTIOD):
        plain = parts._replace(scheme=parts.scheme.removeprefix(_ISTIOD))
        return RunningIstiod(_ending_in(plain, _CONFIGZ))
    if parts.path.rstrip("/").endswith(_CONFIGZ):
        return RunningIstiod(urlunsplit(parts))
    return RunningBridge(_ending_in(parts, _SERVICES))


def shown(typed: str) -> str:
    """Return what a side is called: as it was typed, but for a password in it."""
    user, at, rest = typed.partition("://")[2].rpartition("@")
    if not at or "/" in user:
        return typed
    return f"{typed.partition('://')[0]}://***@{rest}"


def _split(typed: str) -> SplitResult:
    allowed = "allowed: http, https, istiod+http, istiod+https"
    try:
        parts = urlsplit(typed)
        _ = parts.port
    except ValueError as error:
        raise NotComparable(f"{shown(typed)}: is no URL: {error}") from None
    if parts.scheme.removeprefix(_ISTIOD) not in {"http", "https"}:
        raise NotComparable(f'{shown(typed)}: found scheme "{parts.scheme}"; {allowed}')
    if not parts.hostname:
        raise NotComparable(
            f"{shown(typed)}: names no host; a running bridge is named like http://127.0.0.1:15014"
        )
    return parts


def _ending_in(parts: SplitResult, path: str) -> str:
    given = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=given if given.endswith(path) else given + path))


def read_file(path: Path, name: str) -> bytes | None:
    """Return what an answer's file holds, and ``None`` for a configuration.

    Raises NotComparable.
    """
    try:
        if stat.S_ISSOCK(path.stat().st_mode):
            raise NotComparable(
                f"{name}: is a socket; name the bridge's status server, "
                "like http://127.0.0.1:15014 (`status.listen`)"
            )
        with path.open("rb") as file:
            text = _bounded(file, name)
    except OSError as error:
        hint = (
            "; a running bridge is named like http://127.0.0.1:15014"
            if isinstance(error, FileNotFoundError)
            else ""
        )
        reason = error.strerror or str(error)
        raise NotComparable(f"{name}: cannot be read: {reason}{hint}") from None
    text = text.removeprefix(b"\xef\xbb\xbf").strip()
    return text if text.startswith(b"[") or text == b"null" else None


def read_stdin(name: str) -> bytes:
    """Return what is piped in, to its end; raises NotComparable."""
    try:
        return _bounded(sys.stdin.buffer, name)
    except OSError as error:
        raise NotComparable(f"{name}: cannot be read: {error.strerror or error}") from None


def _bounded(file: BinaryIO, name: str) -> bytes:
    text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise NotComparable(f"{name}: cannot be read: {TOO_LARGE}; narrow it before it is saved")
    return text
