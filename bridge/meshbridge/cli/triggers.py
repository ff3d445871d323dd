"""What makes the bridge read its configuration again: SIGHUP, and a file that changed."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Never, Self

from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType] - trio is not here

_QUIET_MS: Final = 50
_PATIENCE_MS: Final = 200
_LOOK_MS: Final = 1_000
"""Without any news the files are looked at so often: not every file system tells of changes, and
a folder that was replaced never does."""
_SETTLED: Final = 0.1
"""Seconds for which a file must have been left alone: editors write in several steps."""
_LONGEST: Final = 2.0
"""Seconds after which it is read even if it never settles."""

Signature = tuple[tuple[int, int, int] | None, ...]
"""Inode, size and time of the last change of each file, symbolic links followed: a ConfigMap is
switched by one."""


class Hangup:
    """Hears SIGHUP from the moment it is entered; of the main thread only."""

    def __init__(self) -> None:
        """Keep what comes before somebody listens."""
        self._heard = False
        self._tell: Callable[[], object] | None = None
        self._before = signal.getsignal(signal.SIGHUP)

    def __enter__(self) -> Self:
        """Hear from now on."""
        signal.signal(signal.SIGHUP, self._hear)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let it be ignored while the process ends: it is no wish to end it otherwise."""
        self._tell = None

    def listen(self, tell: Callable[[], object]) -> None:
        """Call this on the running loop for each signal, also for one that came before."""
        loop = asyncio.get_running_loop()
        self._tell = lambda: loop.call_soon_threadsafe(tell)
        if self._heard:
            tell()

    def _hear(self, _: int, __: FrameType | None) -> None:
        self._heard = True
        if self._tell is not None:
            self._tell()


def signature(files: Iterable[Path]) -> Signature:
    """Return what tells one state of the files from another."""
    return tuple(_signature(each) for each in files)


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


async def watch_files(
    files: Callable[[], tuple[Path, ...]], seen: Signature, changed: Callable[[], object]
) -> Never:
    """Call ``changed`` whenever one of the files is another one than was ``seen``.

    ``files`` may return other ones in time; those count from then on.
    """
    known = files()
    while True:
        async with aclosing(_news({each.parent for each in known})) as news:
            async for _ in news:
                now = files()
                if now != known:
                    before = dict(zip(known, seen, strict=False))
                    seen = tuple(
                        before[each] if each in before else _signature(each) for each in now
                    )
                found = signature(now)
                if found != seen:
                    seen = await _settled(now, found)
                    changed()
                if {each.parent for each in now} != {each.parent for each in known}:
                    known = now
                    break
                known = now


async def _settled(files: tuple[Path, ...], found: Signature) -> Signature:
    for _ in range(round(_LONGEST / _SETTLED)):
        await asyncio.sleep(_SETTLED)
        before, found = found, signature(files)
        if found == before:
            break
    return found


async def _news(folders: set[Path]) -> AsyncGenerator[None]:
    """Yield when something happened in the folders, and once a second."""
    try:
        changes = awatch(
            *folders,
            watch_filter=None,
            debounce=_PATIENCE_MS,
            step=_QUIET_MS,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            recursive=False,
        )
        async with aclosing(changes):
            async for _ in changes:
                yield
    except (OSError, RuntimeError):  # a folder that is not there, or no more watches to be had
        while True:
            await asyncio.sleep(_LOOK_MS / 1000)
            yield
