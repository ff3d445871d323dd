"""The directory: one bridge writes it, what is broken is set aside, what is lost is made anew."""

import errno
import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from meshbridge.store import database
from meshbridge.store.database import Database
from meshbridge.store.pending import Batch
from meshbridge.store.rows import Contents, Left
from meshbridge.store.trouble import ANOTHER, SQLITE, Broken, Unwritable, of_sqlite, of_the_system

NAME: Final = "state.sqlite"
KEPT: Final = 3
"""Broken files that are kept; the oldest goes."""
_LOG: Final = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Aside:
    """A broken file that was set aside."""

    kept_as: Path
    reason: str


class Disk:
    """One directory with the state of one bridge; every method blocks."""

    def __init__(
        self, directory: Path, unix: Callable[[], float], most_pages: int | None = None
    ) -> None:
        """Touch nothing yet; ``most_pages`` bounds the size of the file, in SQLite's pages."""
        self.path = directory / NAME
        self._directory = directory
        self._unix = unix
        self._most_pages = most_pages
        self._lock: int | None = None
        self._database: Database | None = None
        self._identity: tuple[int, int] | None = None
        self.aside: Aside | None = None
        """The last broken file, for as long as this process lives."""

    def load(self) -> tuple[Contents, Unwritable | None]:
        """Return what the directory holds, and why it cannot be written, if it cannot.

        Called once, first of all.
        """
        try:
            self.ready()
            try:
                return self._loaded(), None
            except Broken as broken:
                self._set_aside(broken)
                self.ready()
                return Contents(), None
        except Unwritable as unwritable:
            self.close()
            return self._readable(), unwritable

    def ready(self) -> bool:
        """Have a file that can be written; return whether it is not the one of the last call.

        Raises Unwritable.
        """
        if self._database is not None and self._identity == self._found():
            return False
        self.close()
        with self._told():
            self._take_lock()
        try:
            self._open()
        except Broken as broken:
            self._set_aside(broken)
        if self._database is None:
            self._begin()
        self._identity = self._found()
        return True

    def write(self, batch: Batch) -> list[Left]:
        """Write the batch whole, or raise Unwritable; return what of it cannot be stored.

        Raises Broken when the file broke and was set aside: everything must be written then.
        """
        if self._database is None:
            raise AssertionError("write before ready")
        try:
            with self._told():
                return self._database.write(batch)
        except Broken as broken:
            self._set_aside(broken)
            raise

    def close(self) -> None:
        """Close the file and let others have the directory."""
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _loaded(self) -> Contents:
        if self._database is None:
            raise AssertionError("load before ready")
        with self._told():
            contents = self._database.load()
            if contents.unreadable:
                self._database.drop(contents.unreadable)
            return contents

    def _readable(self) -> Contents:
        """Read what may not be written; a broken file is left to whoever may."""
        try:
            return database.read(self.path)
        except (OSError, *SQLITE, Broken):
            return Contents()  # that nothing can be written is said already, with the remedy

    def _take_lock(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.path.with_name(f"{NAME}.lock")
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                raise Unwritable(*ANOTHER) from None
            raise
        self._lock = lock

    def _open(self) -> None:
        """Open the file if there is one."""
        with self._told():
            try:
                database.check_head(self.path)
            except FileNotFoundError:
                return
            self._database = database.opened(self.path, self._most_pages)

    def _begin(self) -> None:
        """Make a file and open it."""
        try:
            with self._told():
                database.create(self.path)
                self._database = database.opened(self.path, self._most_pages)
        except Broken as broken:
            raise Unwritable(
                f"a new file is broken at once: {broken}", "look at the disk"
            ) from None

    def _found(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _set_aside(self, broken: Broken) -> None:
        """Rename the file and its log, so that it can still be looked into; raises Unwritable."""
        if self._database is not None:
            self._database.close()
            self._database = None
        stamp = datetime.fromtimestamp(self._unix(), UTC).strftime("%Y%m%dT%H%M%SZ")
        kept_as = self.path.with_name(f"{NAME}.broken-{stamp}")
        more = 1
        with self._told():
            while kept_as.exists():
                more += 1
                kept_as = self.path.with_name(f"{NAME}.broken-{stamp}-{more:02}")
            # Its log first: left behind, it would be taken for the next file's.
            for which in (*_LOG, ""):
                with suppress(FileNotFoundError):
                    Path(f"{self.path}{which}").rename(f"{kept_as}{which}")
            self.aside = Aside(kept_as, str(broken))
            found = set(self._directory.glob(f"{NAME}.broken-*")) - {kept_as}
            before = sorted(each for each in found if not each.name.endswith(_LOG))
            for old in before[: -(KEPT - 1)]:
                for which in ("", *_LOG):
                    Path(f"{old}{which}").unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Generator[None]:
        """Turn what a disk can do into Unwritable and Broken."""
        try:
            yield
        except OSError as error:
            raise of_the_system(error) from None
        except (*SQLITE, Broken) as error:
            raise of_sqlite(error, self.path) from None
