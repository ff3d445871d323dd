"""What stands in the tables: read row by row, so that one spoils itself only; written whole."""

import sqlite3
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from meshbridge import repeated
from meshbridge.errors import BadData
from meshbridge.registration import RegisteredService
from meshbridge.store import record
from meshbridge.store.pending import Batch, Key
from meshbridge.store.record import Announcement

TABLES: Final = (
    "CREATE TABLE announcement (registry TEXT PRIMARY KEY, value BLOB)",
    (
        "CREATE TABLE registration (registry TEXT, scope TEXT, service TEXT, value BLOB, "
        "PRIMARY KEY (registry, scope, service))"
    ),
    "CREATE TABLE served (host TEXT PRIMARY KEY, value BLOB)",
)
"""In the order of their names."""
_AT_ONCE: Final = 0.0005
_BREATH: Final = 0.0003
"""Seconds of encoding, which holds the interpreter, after which the loop has its turn."""

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that cannot be read, and why."""

    table: str
    row: int
    reason: str


@dataclass(slots=True)
class Contents:
    """All that a file holds."""

    registrations: dict[str, dict[Key, RegisteredService]] = field(
        default_factory=dict[str, dict[Key, RegisteredService]]
    )
    announced: dict[str, tuple[Announcement, ...]] = field(
        default_factory=dict[str, tuple[Announcement, ...]]
    )
    served: dict[str, int] = field(default_factory=dict[str, int])
    unreadable: list[Unreadable] = field(default_factory=list[Unreadable])
    """The rows that cannot be read; the others are not affected."""


@dataclass(frozen=True, slots=True)
class Left:
    """What cannot be stored, and why."""

    registry: str
    key: Key | None
    """``None``: its announcements."""
    reason: str


def load(connection: sqlite3.Connection) -> Contents:
    """Return all that can be read; text must come as bytes. Raises sqlite3.Error, MemoryError."""
    contents = Contents()
    found = connection.execute("SELECT rowid, registry, scope, service, value FROM registration")
    for row, registry, scope, service, value in found:
        with _noted(contents, "registration", row):
            names = _name(registry), _name(scope), record.text(service)
            read = record.decoded_service(value, *record.key_bytes(*names))
            contents.registrations.setdefault(names[0], {})[names[1], read.id] = read
    found = connection.execute("SELECT rowid, registry, value FROM announcement")
    for row, registry, value in found:
        with _noted(contents, "announcement", row):
            name = record.text(registry)
            contents.announced[name] = record.decoded_announcements(value, name.encode())
    found = connection.execute("SELECT rowid, host, value FROM served")
    for row, host, value in found:
        with _noted(contents, "served", row):
            name = record.text(host)
            contents.served[name] = record.decoded_count(value, name.encode())
    return contents


def drop(connection: sqlite3.Connection, unreadable: Iterable[Unreadable]) -> None:
    """Delete rows that cannot be read: nobody would ever know their keys."""
    for each in unreadable:
        connection.execute(f"DELETE FROM {each.table} WHERE rowid = ?", (each.row,))  # noqa: S608 - ours


def write(connection: sqlite3.Connection, batch: Batch) -> list[Left]:
    """Write the batch, or raise and have written nothing; return what cannot be stored."""
    left: list[Left] = []
    connection.execute("BEGIN IMMEDIATE")
    try:
        gone = [(registry,) for registry in batch.forgotten]
        connection.executemany("DELETE FROM registration WHERE registry = ?", gone)
        connection.executemany("DELETE FROM announcement WHERE registry = ?", gone)
        connection.executemany(
            "DELETE FROM registration WHERE registry = ? AND scope = ?",
            [(each, scope) for each, scopes in batch.replaced.items() for scope in scopes],
        )
        if batch.all_served:
            connection.execute("DELETE FROM served")
        connection.executemany(
            "DELETE FROM registration WHERE registry = ? AND scope = ? AND service = ?",
            _paced(_removed(batch)),
        )
        connection.executemany(
            "INSERT OR REPLACE INTO registration VALUES (?, ?, ?, ?)",
            _paced(_registrations(batch, left)),
        )
        connection.executemany(
            "INSERT OR REPLACE INTO announcement VALUES (?, ?)", _announcements(batch, left)
        )
        connection.executemany(
            "DELETE FROM served WHERE host = ?",
            [(host,) for host, endpoints in batch.served.items() if endpoints is None],
        )
        connection.executemany(
            "INSERT OR REPLACE INTO served VALUES (?, ?)", _paced(_served(batch))
        )
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # the first error is the reason; SQLite may have done it
            connection.execute("ROLLBACK")
        raise
    return left


def _name(raw: object) -> str:
    return repeated.text(record.text(raw))


@contextmanager
def _noted(contents: Contents, table: str, row: int) -> Generator[None]:
    try:
        yield
    except BadData as error:
        contents.unreadable.append(Unreadable(table, row, str(error)))


def _removed(batch: Batch) -> Iterator[Row]:
    for registry, services in batch.services.items():
        for (scope, service_id), service in services.items():
            if service is None:
                with suppress(BadData):  # a name that is no text was never stored
                    record.key_bytes(scope, str(service_id))
                    yield registry, scope, str(service_id)


def _registrations(batch: Batch, left: list[Left]) -> Iterator[Row]:
    for registry, services in batch.services.items():
        for key, service in services.items():
            if service is None:
                continue
            scope, named = key[0], str(key[1])
            try:
                sealed = record.encoded(service, *record.key_bytes(registry, scope, named))
            except BadData as error:
                left.append(Left(registry, key, str(error)))
            else:
                yield registry, scope, named, sealed


def _announcements(batch: Batch, left: list[Left]) -> Iterator[Row]:
    for registry, said in batch.announced.items():
        try:
            sealed = record.encoded(said, *record.key_bytes(registry))
        except BadData as error:
            left.append(Left(registry, None, str(error)))
        else:
            yield registry, sealed


def _served(batch: Batch) -> Iterator[Row]:
    for host, endpoints in batch.served.items():
        if endpoints is not None:
            yield host, record.encoded(endpoints, *record.key_bytes(host))


def _paced(rows: Iterator[Row]) -> Iterator[Row]:
    """Give the loop its turn after each half millisecond.

    A thread that computes keeps the interpreter for 5 ms even if the loop waits for it.
    """
    begun = time.perf_counter()
    for row in rows:
        yield row
        if time.perf_counter() - begun >= _AT_ONCE:
            time.sleep(_BREATH)
            begun = time.perf_counter()
