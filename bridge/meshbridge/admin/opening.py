"""Opens the Unix socket at a path: for its owner only, and only if no bridge answers there."""

import asyncio
import errno
import fcntl
import os
import socket
import stat
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

from meshbridge.admin.place import fault_of
from meshbridge.errors import ConfigurationError

_PATIENCE: Final = 5.0
_PAUSE: Final = 0.02
_BACKLOG: Final = 16


@asynccontextmanager
async def opened(path: Path) -> AsyncGenerator[socket.socket]:
    """Give a listening socket at the path, mode 0600; closed and removed at the end.

    A missing folder is made with mode 0700, and what a process that is gone left is replaced.
    Raises ConfigurationError.
    """
    if (fault := fault_of(path)) is not None:
        raise ConfigurationError(f"admin: {fault}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with _alone_in(path.parent):
            server = _open(path)
    except OSError as error:
        raise ConfigurationError(
            f"admin: no socket can be made at {path}: {error.strerror or error}; "
            "name another path, or make its folder one that the bridge may write to"
        ) from None
    with server, _removed(path):
        yield server


@asynccontextmanager
async def _alone_in(folder: Path) -> AsyncGenerator[None]:
    """Let one process at a time look for a socket in the folder and replace it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        await _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


async def _lock(descriptor: int, folder: Path) -> None:
    try:
        async with asyncio.timeout(_PATIENCE):
            while not _locked(descriptor):  # noqa: ASYNC110 - no event tells; it takes milliseconds
                await asyncio.sleep(_PAUSE)
    except TimeoutError:
        raise ConfigurationError(
            f"admin: another process holds a lock on {folder}; end it, or name another folder"
        ) from None


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(path: Path) -> socket.socket:
    """Raises ConfigurationError and OSError."""
    _clear(path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        server.settimeout(0)
        server.bind(str(path))
        # Nobody can connect before it listens, so it is never open to more than its owner; a
        # umask would do the same, but for all that other threads create meanwhile.
        path.chmod(0o600)
        server.listen(_BACKLOG)
    except OSError:
        server.close()
        raise
    return server


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens on. Raises ConfigurationError for anything else."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigurationError(
            f"admin: something else than a socket stands at {path}; remove it or name another path"
        )
    if _is_answered(path):
        raise ConfigurationError(
            f"admin: another meshbridge answers at {path}; stop it or name another admin path"
        )
    path.unlink()


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(0)  # a full backlog is one of a process that lives, too
        code = client.connect_ex(str(path))
    return code not in {errno.ECONNREFUSED, errno.ENOENT}


@contextmanager
def _removed(path: Path) -> Generator[None]:
    """Remove the socket at the end, unless somebody put another one there."""
    mine = path.lstat()
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            if os.path.samestat(mine, path.lstat()):
                path.unlink()
