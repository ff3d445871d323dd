"""What a disk can do to the store, in words for people: the reason and the remedy."""

import errno
import os
import sqlite3
from pathlib import Path
from typing import Final

_FULL: Final = "the disk is full", "make room"
_READ_ONLY: Final = (
    "it cannot be written",
    "let the bridge's user write to it, or name another `state` directory",
)


class Broken(Exception):  # noqa: N818 - what it is, and the reason
    """The file is not, or no longer, one of ours."""


class Unwritable(Exception):  # noqa: N818 - what the directory is
    """Nothing can be written now; holds the reason and the remedy."""

    def __init__(self, reason: str, remedy: str) -> None:
        """Keep both; who says them names the directory."""
        super().__init__(f"{reason}; {remedy}")
        self.reason = reason
        self.remedy = remedy


ANOTHER: Final = (
    "another running bridge uses it",
    "give each bridge a `state` directory of its own, or stop the other one",
)


def of_the_system(error: OSError) -> Unwritable:
    """Return what an error of the operating system means."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Unwritable(*_FULL)
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return Unwritable(*_READ_ONLY)
    if error.errno in {errno.EEXIST, errno.ENOTDIR}:
        return Unwritable("it is no directory", "name another `state` directory")
    reason = error.strerror or str(error) or type(error).__name__
    return Unwritable(f"the system says: {reason}", "look at the disk")


SQLITE: Final = (sqlite3.Error, MemoryError, UnicodeDecodeError)
"""What its module raises for what a file holds; the last for an error that quotes it."""


def of_sqlite(error: Exception, path: Path) -> Unwritable | Broken:
    """Tell what speaks against the file at ``path`` from what may pass."""
    if isinstance(error, Broken):
        return error
    if not isinstance(error, sqlite3.Error):
        return Broken("a length in it is absurd" if isinstance(error, MemoryError) else str(error))
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    match code:
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM if _writable(path):
            verdict: Unwritable | Broken = Broken("it calls itself read-only, and is not")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            verdict = Unwritable(*_READ_ONLY)
        case sqlite3.SQLITE_FULL:
            verdict = Unwritable(*_FULL)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            verdict = Unwritable("another program locked it", f"end what looks into {path.name}")
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_NOMEM:
            verdict = Unwritable(f"SQLite says: {error}", "look at the disk and at who may write")
        case _:
            verdict = Broken(str(error) or type(error).__name__)
    return verdict


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
