"""Holds many services in ZooKeeper over a few sessions, and brings them back as Dubbo does.

Takes one JSON object per line on standard input, and prints ``done`` or ``failed: …`` for each:
see :class:`rig.zookeeper_crowd.ZooKeeperCrowd`. Ends at the end of its input.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from rig.obeying import Order, obey
from rig.zookeeper_session import NotDone, Session

FLAP = "FLAP"
"""What is said to a member in the place of a word of its connection."""
Nodes = list[tuple[str, str]]
"""Paths with their data; each is an instance of one service."""


class Member:
    """An application: what it holds, and the session it has now."""

    def __init__(self, server: str, lasts: float, crowd: "Crowd") -> None:
        self._server, self._lasts, self._crowd = server, lasts, crowd
        self.held: dict[str, Nodes] = {}
        self.session = Session(server, lasts=lasts)
        self._there: set[str] = set()
        """What it has made in the session that it has now."""
        self._known = 0
        """That session's number, once it is connected."""
        self._returning: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()

    async def live(self) -> None:
        """Have a session, and another one when that is lost for too long, as Curator does."""
        while True:
            self.session.begin()
            try:
                await self._follow(self.session)
            finally:
                await self.session.end()
            self.session = Session(self._server, lasts=self._lasts)

    async def _follow(self, session: Session) -> None:
        """Register again whenever the server has given another session; until none is given."""
        state = await session.states.get()
        while state != FLAP:
            if state == "CONNECTED":
                self._connected(session)
            patience = None if state == "CONNECTED" else self._lasts
            try:
                async with asyncio.timeout(patience):
                    state = await session.states.get()
            except TimeoutError:
                return

    async def flap(self) -> None:
        """End the session that it has, and begin another one."""
        self._settled.clear()
        self.session.states.put_nowait(FLAP)

    def _connected(self, session: Session) -> None:
        if session.id in (0, self._known):
            return
        first, self._known = not self._known, session.id
        self._there.clear()
        if first:
            self._settled.set()
            return
        self._settled.clear()
        if self._returning is not None:
            self._returning.cancel()
        self._returning = asyncio.create_task(self._return())

    async def _return(self) -> None:
        while True:
            try:
                await self.register_all()
            except NotDone:
                await asyncio.sleep(0.1)
            else:
                break
        self._settled.set()

    async def register_all(self) -> None:
        """Register each service in its turn, spread over the seconds of the pace."""
        begun, (first, last) = time.monotonic(), self._crowd.pace
        for place, name in enumerate(list(self.held)):
            due = begun + first + (last - first) * place / len(self.held)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._register(name)

    async def set(self, name: str, nodes: Nodes) -> None:
        """Let a service have these instances of it instead."""
        before, self.held[name] = self.held.get(name, []), nodes
        while True:
            try:
                await self._register(name)
                for path, _ in before:
                    if path not in dict(nodes):
                        await self.session.remove(path)
                        self._there.discard(path)
            except NotDone:
                await asyncio.sleep(0.1)
            else:
                return

    async def _register(self, name: str) -> None:
        for path, data in self.held[name]:
            if path not in self._there:
                await self.session.hold(path, data.encode())
                self._there.add(path)

    async def deregister_all(self) -> None:
        """Delete all that it holds, and know that it is to be registered again."""
        for path in list(self._there):
            await self.session.remove(path)
        self._there.clear()

    async def settle(self) -> None:
        """Wait until the server answers, and all is registered in the newest session."""
        while True:
            try:
                await self.session.greet()
            except NotDone:
                await asyncio.sleep(0.1)
            else:
                break
        await asyncio.sleep(0)  # what the connection said is taken first
        await self._settled.wait()


EVERYBODY: Mapping[str, Callable[[Member], Awaitable[None]]] = {
    "fill": Member.register_all,
    "empty": Member.deregister_all,
    "settle": Member.settle,
    "flap": Member.flap,
}
"""Orders that each member carries out by itself."""


class Crowd:
    """All members; the instances of a service are held by different ones."""

    def __init__(self, server: str, lasts: float, members: int) -> None:
        self.pace = (0.0, 0.0)
        self.members = [Member(server, lasts, self) for _ in range(members)]
        self._numbers: dict[str, int] = {}

    async def obey(self, order: Order) -> None:
        """Do what a line says. Raises NotDone."""
        match order:
            case {"do": "hold", "services": services}:
                for name, nodes in cast("dict[str, Nodes]", services).items():
                    for member, share in self._shared(name, nodes):
                        member.held[name] = share
            case {"do": "set", "service": str(name), "instances": told}:
                for member, share in self._shared(name, cast("Nodes", told)):
                    await member.set(name, share)
            case {"do": "pace", "first": float(first), "last": float(last)}:
                self.pace = first, last
            case {"do": str(what)} if what in EVERYBODY:
                await asyncio.gather(*(EVERYBODY[what](each) for each in self.members))
            case _:
                raise NotDone(f"nobody knows what {order} means")

    def _shared(self, name: str, nodes: Nodes) -> list[tuple[Member, Nodes]]:
        number = self._numbers.setdefault(name, len(self._numbers))
        count = len(self.members)
        return [
            (self.members[(number + at) % count], nodes[at::count])
            for at in range(count)
            if nodes[at::count] or name in self.members[(number + at) % count].held
        ]


async def main(server: str, lasts: float, members: int) -> None:
    """Obey until the input ends."""
    logging.disable(logging.CRITICAL)  # kazoo says of each attempt that it failed
    crowd = Crowd(server, lasts, members)
    living = [asyncio.create_task(each.live()) for each in crowd.members]
    try:
        await asyncio.gather(*(each.settle() for each in crowd.members))
        await obey(crowd.obey, NotDone)
    finally:
        for life in living:
            life.cancel()
        await asyncio.gather(*living, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
