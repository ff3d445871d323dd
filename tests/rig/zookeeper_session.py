"""A session with ZooKeeper, as an application has one: what it holds there goes when it ends."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self, cast

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NodeExistsError, NoNodeError
from kazoo.retry import KazooRetry

FIRST = 20.0
"""Seconds that the first connection may take."""


class _Result(Protocol):
    """What kazoo answers at once, and fills in later."""

    def rawlink(self, callback: Callable[[object], None]) -> None: ...

    def get(self, block: bool) -> object: ...  # noqa: FBT001 - kazoo's own


class _Client(Protocol):
    """What is used of kazoo's client, which says little of its types."""

    client_id: tuple[int, bytes] | None

    def add_listener(self, listener: Callable[[object], None]) -> None: ...

    def start_async(self) -> object: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...

    def create_async(
        self, path: str, value: bytes = ..., *, ephemeral: bool = ..., makepath: bool = ...
    ) -> _Result: ...

    def set_async(self, path: str, value: bytes) -> _Result: ...

    def delete_async(self, path: str) -> _Result: ...

    def get_children_async(self, path: str) -> _Result: ...

    def exists_async(self, path: str) -> _Result: ...

    def get_async(self, path: str) -> _Result: ...


class NotDone(OSError):  # noqa: N818 - it says what happened
    """ZooKeeper did not do it, or did not say so: the connection was lost, or it refused."""


class Session:
    """One client of kazoo's, for use on an event loop; it seeks a lost connection by itself.

    As ZooKeeper's own clients do, it never goes back to a server that knows less than it has seen:
    one that was wiped, or has an older state, is for another session.
    """

    def __init__(self, server: str, *, lasts: float = 10.0) -> None:
        """Describe it; ``server`` is ``host:port``, and it ``lasts`` so long without a word."""
        self.states = asyncio.Queue[str]()
        """What becomes of the connection: ``CONNECTED``, ``SUSPENDED``, ``LOST``."""
        patience = KazooRetry(max_tries=-1, delay=0.1, backoff=2, max_delay=1.0)
        kazoo: object = KazooClient(server, timeout=lasts, connection_retry=patience)
        self._client = cast("_Client", kazoo)

    async def __aenter__(self) -> Self:
        """Begin it. Raises TimeoutError when nobody answers; :meth:`begin` does not wait."""
        self.begin()
        try:
            async with asyncio.timeout(FIRST):
                await self.states.get()
        except BaseException:
            await self.end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it; what it holds goes."""
        await self.end()

    def begin(self) -> None:
        """Begin to seek the server."""
        loop = asyncio.get_running_loop()

        def tell(state: object) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self.states.put_nowait, str(state))

        self._client.add_listener(tell)
        self._client.start_async()

    async def end(self) -> None:
        """Close it, if that can be said to the server, and leave no thread behind."""
        await asyncio.to_thread(self._client.stop)
        self._client.close()

    @property
    def id(self) -> int:
        """The number that the server gave it; 0 while it is not connected."""
        known = self._client.client_id
        return 0 if known is None else known[0]

    async def hold(self, path: str, data: bytes = b"") -> None:
        """Make the node, ephemeral, and its parents, which stay.

        As Dubbo does (AbstractZookeeperClient.createEphemeral of 3.3): what an older session left
        there, which will go with that one, is deleted first.
        """
        try:
            await _done(self._client.create_async(path, data, ephemeral=True, makepath=True))
        except NodeExistsError:
            await self.remove(path)
            await _done(self._client.create_async(path, data, ephemeral=True, makepath=True))

    async def write(self, path: str, data: bytes = b"") -> None:
        """Let a node that stays have this data; its parents are made."""
        try:
            await _done(self._client.create_async(path, data, makepath=True))
        except NodeExistsError:
            await _done(self._client.set_async(path, data))

    async def remove(self, path: str) -> None:
        """Delete a node, if it is there; one with children is refused."""
        with suppress(NoNodeError):
            await _done(self._client.delete_async(path))

    async def children(self, path: str) -> list[str]:
        """Return the names of a node's children; none where it is not there."""
        try:
            return cast("list[str]", await _done(self._client.get_children_async(path)))
        except NoNodeError:
            return []

    async def read(self, path: str) -> bytes:
        """Return what a node holds; raises kazoo's NoNodeError where it is not there."""
        data, _ = cast("tuple[bytes, object]", await _done(self._client.get_async(path)))
        return data

    async def greet(self) -> None:
        """Wait until the server has answered something."""
        await _done(self._client.exists_async("/"))


async def _done(asked: _Result) -> object:
    """Return what was answered; raises NotDone, or what kazoo says of a node."""
    loop = asyncio.get_running_loop()
    answered = asyncio.Event()

    def told(_: object) -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(answered.set)

    asked.rawlink(told)
    await answered.wait()
    try:
        return asked.get(block=False)
    except (NodeExistsError, NoNodeError):
        raise
    except KazooException as failed:
        raise NotDone(f"{type(failed).__name__}: {failed}") from failed
