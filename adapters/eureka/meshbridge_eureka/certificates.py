"""TLS towards the servers, by files that may be renewed while they are in use."""

import asyncio
import ssl
from pathlib import Path

from meshbridge import Context
from meshbridge.client_tls import UnusableTls, make_context
from meshbridge.settings.client_tls import ClientTls

_File = tuple[int, int, int] | None
"""What tells a file from the one that was there before; None where there is none."""


class Certificates:
    """What to reach servers with. Files that cannot be used leave those before them in use."""

    def __init__(self, tls: ClientTls | None, context: Context) -> None:
        """Go by the system's authorities without ``tls``; nothing is read yet."""
        self._tls = tls
        self._context = context
        self._files: tuple[_File, ...] = ()
        self.current: ssl.SSLContext | bool = True
        """As aiohttp takes it: of a request, so that a new one means new connections."""

    async def renew(self) -> None:
        """Take up what has changed. Raises UnusableTls where nothing was ever usable."""
        if self._tls is None:
            return
        # The authorities take 30 ms to read.
        files, made = await asyncio.to_thread(self._read, self._tls)
        if isinstance(made, UnusableTls):
            if self.current is True:
                raise made
            reason, remedy = str(made), "mend the file; the ones before it are used meanwhile"
            self._context.logger.warning("certificates not renewed", reason=reason, next=remedy)
            self._context.trouble("tls", reason, remedy)
        elif made is not None:
            if self.current is not True:
                self._context.logger.info("certificates renewed")
            self.current = made
            self._context.trouble("tls", "")
        self._files = files

    def _read(
        self, tls: ClientTls
    ) -> tuple[tuple[_File, ...], ssl.SSLContext | UnusableTls | None]:
        # Looked at first: what changes while they are read is taken up the next time.
        files = tuple(_look(each) for each in (tls.ca, tls.certificate, tls.key) if each)
        try:
            return files, None if files == self._files else make_context(tls)
        except UnusableTls as error:
            return files, error


def _look(path: Path) -> _File:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
