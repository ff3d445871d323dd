"""Opens stored state that was cut or changed anywhere, and tells what was made of each."""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from unit.runtime.store_bed import FULL, NOW, PLAIN, Bed, put

from meshbridge.store import Announcement, Store, Stored

FILE = "state.sqlite"
Content = Mapping[str, bytes]
"""What lies in the directory, by name."""


@dataclass
class Made:
    """What the store made of the files."""

    opened: Counter[str] = field(default_factory=Counter[str])
    """How many were loaded whole, in part, not at all; set aside."""
    raised: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])
    """Where something was loaded that was never stored."""
    unsaid: list[str] = field(default_factory=list[str])
    """Where less than everything was loaded, and nothing was said."""


class Bench:
    """A directory with a little of everything in it, that is spoilt and opened again and again."""

    def __init__(self, directory: Path) -> None:
        """Store it, and keep the files as a bridge leaves them that was killed at each commit."""
        self._bed = Bed(directory)
        self.commits: list[Stored] = []
        """What each commit, the first is empty, held."""
        self.live: Content = {}
        self.stopped: Content = {}
        """After an orderly stop: one file, and no log."""
        self._fill(self._bed.open())
        self._clear()

    def _fill(self, store: Store) -> None:
        lost = Announcement("all", PLAIN.id, NOW + 60)
        steps: tuple[Callable[[], None], ...] = (
            store.flush,
            partial(put, store, FULL),
            partial(put, store, PLAIN),
            partial(store.announce, "shop", (lost,)),
            partial(store.serve, {"orders.nacos": 3}),
        )
        for step in steps:
            step()
            store.flush()
            self.live = self._found()
            self.commits.append(self._read(self.live))
        self._bed.close()
        self.stopped = self._found()

    def _read(self, content: Content) -> Stored:
        """Open a copy of the files elsewhere."""
        other = Bed(self._bed.directory.with_name("copy"))
        _lay(other.directory, content)
        stored = other.open().stored
        other.close()
        shutil.rmtree(other.directory)
        return stored

    def small(self) -> Content:
        """Return the stopped file with SQLite's smallest pages: the same rows in a sixth of it."""
        file = self._bed.directory / FILE
        _lay(self._bed.directory, self.stopped)
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA page_size = 512")
            connection.execute("VACUUM")
            connection.execute("PRAGMA journal_mode = WAL")
        content = {FILE: file.read_bytes()}
        self._clear()
        return content

    def spoil(self, content: Content, what: str, made: Made, *, log: bool = False) -> None:
        """Open these files, and note what came of it; a cut ``log`` may end with any commit."""
        _lay(self._bed.directory, content)
        self._bed.log.entries.clear()
        try:
            store = self._bed.open()
        except Exception as error:  # noqa: BLE001 - none at all is what must hold
            made.raised.append(f"{what}: {error!r}")
        else:
            self._judge(store.stored, what, made, log=log)
            self._bed.close()
        self._clear()

    def _judge(self, stored: Stored, what: str, made: Made, *, log: bool) -> None:
        said, whole = self._bed.events, self.commits[-1]
        if stored == whole:
            how = "loaded whole"
        elif not (rows := _rows(stored)):
            how = "nothing loaded"
        elif rows <= _rows(whole):
            how = "loaded in part"
        else:
            how = "loaded wrongly"
            made.wrong.append(f"{what}: {stored}")
        aside = list(self._bed.directory.glob("*.broken-*"))
        made.opened[f"{how}, set aside" if aside else how] += 1
        of_a_commit = log and stored in self.commits
        if not (said or stored == whole or of_a_commit) or (aside and not said):
            made.unsaid.append(f"{what}: {stored}")

    def _found(self) -> Content:
        found = (self._bed.directory / f"{FILE}{end}" for end in ("", "-wal"))
        return {each.name: each.read_bytes() for each in found if each.exists()}

    def _clear(self) -> None:
        for each in self._bed.directory.iterdir():
            each.unlink()


def _lay(directory: Path, content: Content) -> None:
    directory.mkdir(exist_ok=True)
    for name, raw in content.items():
        (directory / name).write_bytes(raw)


def _rows(stored: Stored) -> set[object]:
    """Return all that is stored, each under its key."""
    services = {
        (registry, scope, service)
        for registry, scopes in stored.registrations.items()
        for scope, found in scopes.items()
        for service in found
    }
    return {*services, *stored.announced.items(), *stored.served.items()}


def cut(content: Content, name: str, every: int = 1) -> Iterator[tuple[str, Content]]:
    """Cut one of the files off at all offsets, or at some and around each page."""
    whole = len(content[name])
    edges = {offset + each for offset in range(0, whole, 512) for each in (-1, 0, 1)}
    for size in sorted({*range(0, whole, every), *edges}):
        if 0 <= size < whole:
            yield f"{name} cut at {size}", {**content, name: content[name][:size]}


def flipped(content: Content, name: str, every: int = 1) -> Iterator[tuple[str, Content]]:
    """Flip each bit of the bytes that are used, or of some of them and of the file's head."""
    used = [place for place, byte in enumerate(content[name]) if byte]
    for place in sorted({*range(100), *used[::every]}):
        for bit in range(8):
            changed = bytearray(content[name])
            changed[place] ^= 1 << bit
            yield f"{name}, bit {bit} of byte {place}", {**content, name: bytes(changed)}
