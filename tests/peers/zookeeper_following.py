"""A listener that believes what it is told of a ZooKeeper tree, and a way to have it told."""

import asyncio
import posixpath
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress

import structlog

from meshbridge import RegistryRejected, RegistryUnavailable
from meshbridge_zookeeper_dubbo.options import Options
from meshbridge_zookeeper_dubbo.reading import follow
from meshbridge_zookeeper_dubbo.session import connected
from meshbridge_zookeeper_dubbo.tree import Want
from rig.zookeeper_session import Session

SOON = 10.0
"""Seconds that anything may take; nothing does, unless it fails."""


def options(*servers: str, **fields: object) -> Options:
    """Return options for these servers."""
    return Options.model_validate({"servers": servers} | fields)


def interest(path: str) -> Want:
    """Want names for three levels, and data on the third and the fourth."""
    depth = path.count("/")
    return (Want.CHILDREN, Want.CHILDREN, Want.CHILDREN | Want.DATA, Want.DATA, Want.NOTHING)[
        min(depth, 5) - 1
    ]


class Heard:
    """What was told."""

    def __init__(self) -> None:
        self.names: dict[str, set[str]] = {}
        self.contents: dict[str, bytes | None] = {}
        self.protected: list[str] = []
        self.settlings = 0
        self._news = asyncio.Event()
        self.following: asyncio.Task[None] | None = None

    def children(self, path: str, names: Sequence[str]) -> None:
        """Take all names."""
        for name in self.names.get(path, set()) - set(names):
            self._forget(posixpath.join(path, name))
        self.names[path] = set(names)
        self._news.set()

    def added(self, path: str, name: str) -> None:
        """Take one more."""
        self.names[path].add(name)
        self._news.set()

    def removed(self, path: str, name: str) -> None:
        """Take one less, and what was below it."""
        self.names[path].discard(name)
        self._forget(posixpath.join(path, name))
        self._news.set()

    def data(self, path: str, data: bytes | None) -> None:
        """Take data."""
        self.contents[path] = data
        self._news.set()

    def guarded(self, path: str) -> None:
        """Note it."""
        self.protected.append(path)
        self._news.set()

    def settled(self) -> None:
        """Count it."""
        self.settlings += 1
        self._news.set()

    @property
    def tree(self) -> dict[str, bytes | None]:
        """Every path that was told of, with its data where that is wanted."""
        below = (posixpath.join(path, name) for path, names in self.names.items() for name in names)
        return {path: self.contents.get(path) for path in below}

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is true; raises what ended the following before, or TimeoutError."""
        async with asyncio.timeout(SOON):
            while not true():
                if self.following is not None and self.following.done():
                    self.following.result()
                self._news.clear()
                await self._news.wait()

    async def is_whole(self) -> None:
        """Wait until everything was told once."""
        await self.until(lambda: self.settlings > 0)

    async def holds(self, tree: dict[str, bytes | None]) -> None:
        """Wait until exactly this was told."""
        try:
            await self.until(lambda: self.tree == tree)
        except TimeoutError:
            assert self.tree == tree  # shows the difference
            raise

    async def end(self) -> RegistryUnavailable | RegistryRejected:
        """Wait for the end of the following, and return why."""
        assert self.following is not None
        async with asyncio.timeout(SOON):
            with suppress(RegistryUnavailable, RegistryRejected):
                await self.following
        error = self.following.exception()
        assert isinstance(error, (RegistryUnavailable, RegistryRejected))
        return error

    def ended(self) -> None:
        """Wake whoever waits."""
        self._news.set()

    def _forget(self, gone: str) -> None:
        for held in (self.names, self.contents):
            for path in [each for each in held if f"{each}/".startswith(f"{gone}/")]:
                del held[path]


@asynccontextmanager
async def following(
    chosen: Options, *, single: bool = False, roots: Sequence[str] = ()
) -> AsyncGenerator[Heard]:
    """Follow the roots, all of the options if none are given, until the context is left."""
    heard = Heard()

    async def follow_on() -> None:
        async with connected(chosen, structlog.get_logger()) as session:
            await follow(
                session,
                roots or chosen.roots,
                interest,
                heard,
                single_watches=single,
            )

    heard.following = asyncio.create_task(follow_on())
    heard.following.add_done_callback(lambda _: heard.ended())
    try:
        yield heard
    finally:
        heard.following.cancel()
        await asyncio.wait([heard.following])
        if not heard.following.cancelled():
            heard.following.exception()  # seen, or of no interest


async def read_all(writer: Session, chroot: str, roots: Iterable[str]) -> set[str]:
    """Return the paths below the roots, and below the chroot, of which something is told."""
    found: set[str] = set()
    paths = list(roots)
    while paths:
        path = paths.pop()
        if Want.CHILDREN in interest(path):
            names = await writer.children(chroot + path)
            below = [posixpath.join(path, name) for name in names]
            found.update(below)
            paths += below
    return found
