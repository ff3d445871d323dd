"""The ways in which stored state is broken or cannot be written, and what ends each of them.

Not among them: a disk that becomes read-only under a bridge that has files open on it. Linux does
that for broken disks only; who asks for it is refused.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from robustness.bed import Bed, Instances, document, replace
from robustness.disks import Disk
from robustness.spoiling import FILE

from meshbridge.testing.process import Process

STATE: Final = "state"
UNREADABLE: Final = "services: [half"
TRUTH: Final[dict[str, Instances]] = {
    f"service-{number}": [(f"10.1.{number}.{place}", 80) for place in range(1, 4)]
    for number in range(60)
}
Told = Literal["broken", "trouble", "nothing"]
"""What is said: that a file was set aside, that nothing can be written and then it can, nothing."""


@dataclass
class Stand:
    """A bridge of which the state is broken."""

    folder: Path
    bed: Bed
    disk: Disk | None = None
    other: Bed | None = None
    """Another bridge with the same state."""
    services: dict[str, Instances] = field(default_factory=lambda: dict(TRUTH))

    @property
    def state(self) -> Path:
        """The directory, where this process finds it."""
        inside = self.folder / "disk" / STATE
        return self.folder / STATE if self.disk is None else self.disk.seen(inside)

    def tell(self, *, readable: bool = True) -> None:
        """Write the registry, or something that nobody can read."""
        replace(self.bed.file, document(self.services) if readable else UNREADABLE)

    def disk_of(self) -> Disk:
        """Return the disk of a case that has one."""
        if self.disk is None:
            raise AssertionError("no disk")
        return self.disk


Act = Callable[[Stand], Awaitable[None]]


async def nothing(_: Stand) -> None:
    """Do so."""


def change(how: Callable[[bytes], bytes]) -> Act:
    """Return what changes the bytes of the file."""

    async def act(s: Stand) -> None:
        file = s.state / FILE
        file.write_bytes(how(file.read_bytes()))

    return act


def flip(raw: bytes) -> bytes:
    """Change one byte: the kind of the first page."""
    return raw[:100] + bytes([raw[100] ^ 0xFF]) + raw[101:]


async def newer(s: Stand) -> None:
    """Let a newer meshbridge have written it."""
    with closing(sqlite3.connect(s.state / FILE)) as connection:
        connection.execute("PRAGMA user_version = 7")


async def becomes_file(s: Stand) -> None:
    """Put a file where the directory was."""
    shutil.rmtree(s.state)
    s.state.write_text("mine")


async def no_file(s: Stand) -> None:
    """Take it away."""
    s.state.unlink()


async def fills(s: Stand) -> None:
    """Fill the disk."""
    s.disk_of().fill()


async def make_room(s: Stand) -> None:
    """Let it have room again."""
    s.disk_of().make_room()


async def protect(s: Stand) -> None:
    """Let nothing be written."""
    s.disk_of().protect()


async def unprotect(s: Stand) -> None:
    """Let it be written."""
    s.disk_of().protect(yes=False)


async def deleted(s: Stand) -> None:
    """Delete the directory under the bridge."""
    shutil.rmtree(s.state)


async def other_begins(s: Stand) -> None:
    """Let another bridge have the directory."""
    keeping = {"state": str(s.state)}
    s.other = Bed(s.folder, name="other", keeping=keeping)
    replace(s.other.file, document(TRUTH))
    s.other.bridge.process.start()
    await s.other.ready()


async def other_ends(s: Stand) -> None:
    """Let the other one end in order."""
    if s.other is not None:
        await s.other.bridge.process.stop()


@dataclass(frozen=True)
class Case:
    """One way to break it."""

    name: str
    before: Act = nothing
    """What happens to stored state before the start."""
    meanwhile: Act = nothing
    """What happens to it while the bridge runs."""
    heal: Act = nothing
    told: Told = "trouble"
    stored: bool = True
    """Whether a start without its registry can serve what was stored before."""
    on_disk: bool = False

    @property
    def starts(self) -> tuple[bool, ...]:
        """Whether the registry can be read at the start; one of them where that is no matter."""
        return (False,) if self.before is nothing else (True, False)


CASES: Final = (
    Case("cut off", change(lambda raw: raw[: len(raw) // 2]), told="broken", stored=False),
    Case("flipped", change(flip), told="broken", stored=False),
    Case("of a newer version", newer, told="broken", stored=False),
    Case("garbage", change(lambda raw: b"\x5a" * len(raw)), told="broken", stored=False),
    Case("a file for a directory", becomes_file, heal=no_file, stored=False),
    Case("read-only", protect, heal=unprotect, on_disk=True),
    Case("on a full disk", fills, heal=make_room, on_disk=True),
    Case("on a disk that fills", meanwhile=fills, heal=make_room, on_disk=True),
    Case("deleted meanwhile", meanwhile=deleted, told="nothing"),
    Case("of another running bridge", other_begins, heal=other_ends),
)


@asynccontextmanager
async def stand(folder: Path, case: Case, stored: Path) -> AsyncGenerator[Stand]:
    """Prepare a bridge with a copy of stored state, and what the case has done to it."""
    folder.mkdir()  # noqa: ASYNC240 - a moment
    place = folder / "disk" if case.on_disk else folder
    bed = Bed(folder, keeping={"state": str(place / STATE)})
    s = Stand(folder, bed)
    if case.on_disk:
        s.disk = Disk(place)
        async with s.disk:
            command = s.disk.command(*bed.bridge.command)
            bed.bridge.process = Process("bridge", command, directory=folder)
            async with _prepared(s, case, stored):
                yield s
    else:
        async with _prepared(s, case, stored):
            yield s


@asynccontextmanager
async def _prepared(s: Stand, case: Case, stored: Path) -> AsyncGenerator[None]:
    await asyncio.to_thread(shutil.copytree, stored, s.state)
    try:
        await case.before(s)
        yield
    finally:
        await s.bed.bridge.process.stop()
        await other_ends(s)
