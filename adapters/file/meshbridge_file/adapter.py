"""The adapter: keeps watching one file, and says Stale rather than half of what it should hold."""

import asyncio
import stat
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Never

from pydantic import Field
from watchfiles import Change, awatch  # pyright: ignore[reportUnknownVariableType] - trio is not here

from meshbridge import (
    Context,
    Emit,
    Listing,
    RegistryUnavailable,
    ServiceId,
    Stale,
)
from meshbridge.settings import ConfigPath, Section
from meshbridge_file.identity import Known, known, spoilt
from meshbridge_file.records import Content, content
from meshbridge_file.yaml import MOST_BYTES, UnreadableFile, read

SCOPE = "services"
_QUIET_MS = 10
"""The file is read once it was left alone for so long; the watch looks as often."""
_PATIENCE_MS = 50
"""It is read after so long even when it keeps changing."""
_LOOK_MS = 1_000
"""Without any news it is looked at so often: not every file system tells of changes, and a folder
that was replaced never does."""

_SETTLED = 0.1
"""Seconds for which a file that is written in place must have been left alone: a writer that pauses
between two lines would otherwise show a shorter file that is valid. A renamed one is complete."""
_LONGEST = 2.0
"""Seconds after which it is read even if it never settles."""

Signature = tuple[int, int, int]
"""Inode, size and time of the last change: what tells one state of the file from another."""


class FileOptions(Section):
    """What a file registry can be told."""

    path: ConfigPath = Field(description="the YAML file; relative to the configuration file")


class File:
    """A registry in a YAML file that people or programs write, taken up as it changes.

    Write a new file beside it and rename it over the old one: then nobody can ever read a half, and
    it is taken up at once. A file that is written in place is read once it was left alone.
    """

    Options = FileOptions
    settle = timedelta(0)
    """A file needs no time to refill: what stands in it is meant."""
    scopes: tuple[str, ...] = (SCOPE,)

    def __init__(self, name: str, options: FileOptions, context: Context) -> None:
        """Be ready to watch the file; reads nothing yet."""
        self._name = name
        self._path = options.path.absolute()
        self._context = context
        self._known: Known = {}
        self._seen: Signature | None = None
        self._fault: str | None = None
        self._listed = False

    async def watch(self, emit: Emit) -> Never:
        """Tell what the file holds, now and after each change of it.

        Raises RegistryUnavailable when its folder cannot be watched.
        """
        self._seen, self._fault = None, None
        gap = self._listed
        await self._look(emit, gap=gap)
        async with aclosing(self._changes()) as changes:
            async for news in changes:
                written = (Change.modified, str(self._path)) in news
                await self._look(emit, gap=gap and self._seen is None, written=written)
        raise RegistryUnavailable(f"watching {self._path.parent} ended")

    async def _changes(self) -> AsyncGenerator[set[tuple[Change, str]]]:
        """Yield what changed in the folder, or nothing after a while without any change."""
        changes = awatch(
            self._path.parent,
            watch_filter=None,
            debounce=_PATIENCE_MS,
            step=_QUIET_MS,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            recursive=False,
        )
        try:
            async with aclosing(changes):
                async for news in changes:
                    yield news
        except (OSError, RuntimeError) as error:  # watchfiles' own error is a RuntimeError
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            raise RegistryUnavailable(f"cannot watch {self._path.parent}: {reason}") from None

    async def _look(self, emit: Emit, *, gap: bool, written: bool = False) -> None:
        """Read the file if it is not the one read last; first let it settle if it was written."""
        signature = _signature(self._path)
        if signature is not None and signature == self._seen:
            return
        if written or (signature and self._seen and signature[0] == self._seen[0]):
            signature = await self._settled()
        try:
            found = await asyncio.to_thread(_read, self._path)
        except UnreadableFile as fault:
            self._seen = signature
            if self._fault != str(fault):
                self._fault = str(fault)
                emit(Stale(SCOPE, f"{self._path}: {fault}"))
            return
        if signature != _signature(self._path):
            return  # it changed while it was read, and the watch is about to say so
        self._seen = signature
        self._tell(found, emit, gap=gap or self._fault is not None)

    async def _settled(self) -> Signature | None:
        """Wait until the file is left alone; return what it is then."""
        signature = _signature(self._path)
        for _ in range(round(_LONGEST / _SETTLED)):
            await self._context.sleep(_SETTLED)
            before, signature = signature, _signature(self._path)
            if signature == before:
                break
        return signature

    def _tell(self, found: Content, emit: Emit, *, gap: bool) -> None:
        unreadable: list[ServiceId | tuple[ServiceId, str]] = []
        for fault, subjects in spoilt(found, self._known):
            for subject in subjects:
                self._context.report(SCOPE, subject, fault.reason, fault.remedy)
            unreadable.extend(subjects)
        emit(Listing(SCOPE, tuple(found.services), tuple(unreadable), after_gap=gap))
        self._known = known(found, self._known, tuple(unreadable))
        self._fault, self._listed = None, True


def _signature(path: Path) -> Signature | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _read(path: Path) -> Content:
    """Return what the file holds. Raises UnreadableFile, also for a file that is not there."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return _refuse("is no regular file")  # opening a named pipe would never end
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UnreadableFile(error.strerror or str(error)) from None
    if len(raw) > MOST_BYTES:
        return _refuse(f"is larger than {MOST_BYTES // 1024 // 1024} MiB")
    return content(read(raw))


def _refuse(reason: str) -> Never:
    raise UnreadableFile(reason)
