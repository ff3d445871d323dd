"""Disks that are full or read-only for those who are put before them, and for nobody else.

They are mounted in a mount namespace of their own, which one process holds. Nothing of it is seen
outside, root's own rights do not get round it, and it ends with that process.
"""

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from meshbridge.testing.process import Process
from rig.addresses import SYS_ADMIN, require_rights
from rig.making import Missing

SMALL: Final = 1024 * 1024
"""Bytes that the disk takes."""
_HOLD: Final = 'mount -t tmpfs -o size="$2" disk "$1" && echo mounted && exec sleep 3600'


class Disk:
    """A small disk at a folder; the others' view of the folder stays as it was."""

    def __init__(self, folder: Path) -> None:
        """Choose where; raises Missing where nothing can be mounted."""
        require_rights("a disk of their own", SYS_ADMIN)
        self._folder = folder
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _HOLD, "disk"]
        self._holder = Process(
            f"disk-{folder.name}", [*command, folder, str(SMALL)], directory=folder.parent
        )

    async def __aenter__(self) -> Self:
        """Mount it; raises Missing if the system does not let us."""
        self._folder.mkdir()
        await self._holder.__aenter__()

        async def mounted() -> bool:
            return "mounted" in self._holder.log or not self._holder.running

        await self._holder.ready(mounted, within=10)
        if not self._holder.running:
            raise Missing(f"no disk can be mounted here: {self._holder.log.strip()}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let it go, with all that is on it."""
        await self._holder.__aexit__(kind, error, trace)

    def command(self, *words: str | Path) -> list[str | Path]:
        """Return a command that finds the disk there, for a Process; its process id stays."""
        return ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", *words]

    def seen(self, path: Path) -> Path:
        """Return the path at which this process finds what is there for those before the disk."""
        return Path(f"/proc/{self._holder.pid}/root{path}")

    def fill(self) -> None:
        """Leave not a byte of room."""
        with self.seen(self._folder / "filler").open("ab", buffering=0) as file:
            for size in (65536, 512, 1):
                try:
                    while file.write(b"x" * size) == size:
                        pass
                except OSError:  # full for a piece of this size
                    continue

    def make_room(self) -> None:
        """Take away what fills it."""
        self.seen(self._folder / "filler").unlink()

    def protect(self, *, yes: bool = True) -> None:
        """Let nothing be written, or let it be written again."""
        which = f"remount,{'ro' if yes else 'rw'}"
        command = self.command("mount", "-o", which, self._folder)
        subprocess.run(command, check=True, capture_output=True)
