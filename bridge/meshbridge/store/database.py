"""The file itself: made, opened, checked, read where it may not be written.

WAL with ``synchronous=NORMAL``: whoever kills the process loses nothing that was committed, since
the operating system has it; a power cut may lose the last batches but breaks nothing. More would
cost a wait for the disk every second, for what a registry can be asked again.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from meshbridge.store import rows
from meshbridge.store.pending import Batch
from meshbridge.store.rows import TABLES, Contents, Left, Unreadable
from meshbridge.store.trouble import Broken

SCHEMA: Final = 1
"""The version of the tables; a file with a newer one was written by a newer meshbridge."""
_OURS: Final = 0x6D657368
_HEAD: Final = 100
_BUSY: Final = 1.0
"""Seconds to wait for another program that looks into the file."""
_LARGEST_LOG: Final = 4 * 1024 * 1024
"""Bytes of the write-ahead log that are kept after a large batch."""


class Database:
    """An open file; every method blocks, and raises Broken or one of SQLITE."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Own the connection; :func:`opened` makes one."""
        connection.text_factory = bytes  # what is no UTF-8 spoils its row, not the reading
        self._connection = connection

    def check(self) -> None:
        """Raise Broken unless the file is whole and has our tables; of its head see check_head."""
        tables = self._connection.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
        )
        if [row[0] for row in tables] != [table.encode() for table in TABLES]:
            raise Broken("its tables are not those of meshbridge")
        (found,) = self._one("PRAGMA integrity_check(1)")
        if found != b"ok":
            raise Broken(found.decode(errors="replace") if isinstance(found, bytes) else "damaged")

    def load(self) -> Contents:
        """Return all that can be read."""
        return rows.load(self._connection)

    def drop(self, unreadable: Iterable[Unreadable]) -> None:
        """Delete what cannot be read."""
        rows.drop(self._connection, unreadable)

    def write(self, batch: Batch) -> list[Left]:
        """Write the batch, or raise and have written nothing; return what cannot be stored."""
        return rows.write(self._connection, batch)

    def close(self) -> None:
        """Close; what was committed stays."""
        with suppress(sqlite3.Error):  # nothing can be lost by it
            self._connection.close()

    def _one(self, sql: str) -> tuple[object, ...]:
        row: tuple[object, ...] | None = self._connection.execute(sql).fetchone()
        return row or (None,)


def check_head(path: Path) -> None:
    """Raise Broken unless the file begins as ours do, FileNotFoundError if there is none.

    To look is left to us, because SQLite begins anew, silently, in a file that is empty, and
    throws the log of a broken one away. The offsets are those of SQLite's file format.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise Broken("it is empty")
    if len(head) < _HEAD or not head.startswith(b"SQLite format 3\0"):
        raise Broken("it is no SQLite database")
    schema, ours = int.from_bytes(head[60:64], "big"), int.from_bytes(head[68:72], "big")
    if ours != _OURS:
        raise Broken("it is no file of meshbridge")
    if schema != SCHEMA:
        writer = "a newer meshbridge" if schema > SCHEMA else "no meshbridge"
        raise Broken(f"{writer} wrote it: it has schema {schema}, this one reads {SCHEMA}")


def create(path: Path) -> None:
    """Make an empty file that only we may read; it has its name only when it is whole."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    try:
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            connection.execute(f"PRAGMA application_id = {_OURS}")
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
            for table in TABLES:
                connection.execute(table)
            connection.execute("COMMIT")
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    new.rename(path)


def opened(path: Path, most_pages: int | None = None) -> Database:
    """Open a file that is there, to be written; ``most_pages`` bounds its size.

    Raises Broken or one of SQLITE.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=_BUSY,
        isolation_level=None,
        check_same_thread=False,  # one thread at a time: at the start the loop's, then the store's
    )
    database = Database(connection)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_LOG}")
        if most_pages is not None:
            connection.execute(f"PRAGMA max_page_count = {most_pages}")
        database.check()
    except BaseException:
        database.close()
        raise
    return database


def read(path: Path) -> Contents:
    """Read a file that is not ours to write; raises OSError, Broken or one of SQLITE.

    SQLite needs to write beside a file even to read it; where it may not, a copy is read.
    """
    check_head(path)
    try:
        return _read(f"{path.absolute().as_uri()}?mode=ro")
    except sqlite3.OperationalError:
        with tempfile.TemporaryDirectory(prefix="meshbridge-") as copies:
            for name in (path.name, f"{path.name}-wal"):
                with suppress(FileNotFoundError):  # the log is there only after a crash
                    shutil.copyfile(path.with_name(name), Path(copies, name))
            return _read(f"{Path(copies, path.name).as_uri()}?mode=rw")


def _read(uri: str) -> Contents:
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY, isolation_level=None)
    with closing(connection):
        database = Database(connection)
        database.check()
        return database.load()
