"""Holds many services in Eureka, and renews their leases one after the other.

Takes one JSON object per line on standard input, and prints ``done`` or ``failed: …`` for each:
see :class:`rig.eureka_crowd.EurekaCrowd`. Ends at the end of its input.
"""

import asyncio
import os
import sys
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import aiohttp

from rig.obeying import Order, obey

AT_ONCE = 32
"""Connections; a client of Eureka has one of its own."""
PATIENCE = aiohttp.ClientTimeout(sock_connect=5, sock_read=5)
"""Not for a connection that others use: a server that has just begun takes its time."""
AGAIN = 0.2
"""Seconds after which what must be done is tried again."""
TICK = 0.02
"""Seconds after which it is looked whose turn it is."""
TOUCH = 1.0
"""Seconds between two changes that change nothing.

Eureka goes on listing what it had listed before a change, for up to three minutes, if it was asked
in the very moment of it and none follows. Seen on 2.0.4: for 40 s and more 34 of 2,000 were missing
in ``/apps`` and ``/apps/delta``, while ``/apps/SERVICE-1966`` was answered.
"""
LATE = 0.5
"""Seconds of turns that are made up for: who was paused goes on where he was."""


class NotDone(Exception):  # noqa: N818 - it says what happened
    """The server was not reached, or answered something else."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a service."""

    service: str
    address: str
    port: int

    @property
    def id(self) -> str:
        """What it is called, as a Spring Cloud application would be."""
        return f"{self.address}:{self.service}:{self.port}"

    def record(self, lasts: int) -> dict[str, object]:
        """Return what it registers with."""
        return {
            "instanceId": self.id,
            "app": self.service.upper(),
            "hostName": self.address,
            "ipAddr": self.address,
            "status": "UP",
            "port": {"$": self.port, "@enabled": "true"},
            "securePort": {"$": 443, "@enabled": "false"},
            "vipAddress": self.service,
            "secureVipAddress": self.service,
            "dataCenterInfo": {
                "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo",
                "name": "MyOwn",
            },
            "leaseInfo": {"renewalIntervalInSecs": 30, "durationInSecs": lasts},
            "metadata": {"touched": "yes"},
        }


class Crowd:
    """The instances, and which of them live."""

    def __init__(
        self, session: aiohttp.ClientSession, server: str, renews: float, lasts: int
    ) -> None:
        """Hold nothing yet."""
        self._session, self._url = session, f"http://{server}/eureka/apps"
        self._renews, self._lasts = renews, lasts
        self._pace = (0.0, 0.0)
        self._held: dict[str, list[Instance]] = {}
        self._living: set[Instance] = set()
        self._turns: deque[Instance] = deque()
        """Who renews next; some of them may live no more."""

    async def obey(self, order: Order) -> None:
        """Do what a line says. Raises NotDone."""
        match order:
            case {"do": "hold", "services": services}:
                for name, places in cast("dict[str, object]", services).items():
                    self._held[name] = _instances(name, places)
            case {"do": "set", "service": str(name), "instances": places}:
                await self._set(name, _instances(name, places))
            case {"do": "pace", "first": float(first), "last": float(last)}:
                self._pace = first, last
            case {"do": "fill"}:
                await _spread(list(self._all()), self._pace, self._register_at_last)
            case {"do": "empty"}:
                living, self._living = self._living, set()
                self._turns.clear()
                await _spread(list(living), (0.0, 0.0), self._deregister)
            case {"do": "settle"}:
                while not {each.id for each in self._living} <= await self._listed():  # noqa: ASYNC110 - no event tells of another process
                    await asyncio.sleep(AGAIN)
            case _:
                raise NotDone(f"nobody knows what {order} means")

    async def live(self) -> None:
        """Let everyone renew its lease, in its turn, for ever."""
        due, before, touched = 0.0, time.monotonic(), 0.0
        async with asyncio.TaskGroup() as tasks:
            while True:
                await asyncio.sleep(TICK)
                now = time.monotonic()
                passed, before = min(now - before, LATE), now
                due += len(self._turns) * passed / self._renews
                for _ in range(int(due)):
                    instance = self._turns.popleft()
                    if instance in self._living:
                        tasks.create_task(self._renew(instance))
                        self._turns.append(instance)
                due %= 1
                first = next(self._all(), None)
                if first in self._living and now >= touched + TOUCH:
                    touched = now
                    tasks.create_task(self._touch(first))

    def _all(self) -> Iterator[Instance]:
        return (each for instances in self._held.values() for each in instances)

    async def _set(self, name: str, instances: list[Instance]) -> None:
        before, self._held[name] = self._held.get(name, []), instances
        for each in instances:
            await self._register_at_last(each)
        for each in before:
            if each not in instances:
                self._living.discard(each)
                await _at_last(self._deregister, each)

    async def _register_at_last(self, instance: Instance) -> None:
        if instance not in self._living:
            self._living.add(instance)
            self._turns.append(instance)
        await _at_last(self._register, instance)

    async def _renew(self, instance: Instance) -> None:
        with suppress(NotDone):  # its next turn will come
            if await self._ask("PUT", f"/{_path(instance)}") == _UNKNOWN and (
                instance in self._living
            ):
                await self._register(instance)

    async def _touch(self, instance: Instance) -> None:
        """Set metadata to what it is: nobody sees a difference, and what the server caches goes."""
        with suppress(NotDone):
            await self._ask("PUT", f"/{_path(instance)}/metadata?touched=yes")

    async def _register(self, instance: Instance) -> None:
        record = {"instance": instance.record(self._lasts)}
        await self._ask("POST", f"/{instance.service.upper()}", record)

    async def _deregister(self, instance: Instance) -> None:
        await self._ask("DELETE", f"/{_path(instance)}")

    async def _ask(self, method: str, path: str, body: object = None) -> int:
        """Return the status. Raises NotDone."""
        try:
            async with self._session.request(method, self._url + path, json=body) as answer:
                status = answer.status
        except (aiohttp.ClientError, OSError) as failed:
            raise NotDone(f"{method} {path}: {failed!r}") from None
        if status not in {200, 204, _UNKNOWN}:
            raise NotDone(f"{method} {path} was answered {status}")
        return status

    async def _listed(self) -> set[str]:
        """Return the ids of all that the server lists; nothing where it does not."""
        try:
            async with self._session.get(self._url) as answer:
                if answer.status != 200:
                    return set()
                told = await answer.json()
        except (aiohttp.ClientError, OSError):
            return set()
        applications = told["applications"]["application"]
        return {each["instanceId"] for app in applications for each in app["instance"]}


_UNKNOWN = 404


async def _at_last(do: Callable[[Instance], Awaitable[None]], instance: Instance) -> None:
    """Do it, again and again until it is done."""
    while True:
        try:
            await do(instance)
        except NotDone:
            await asyncio.sleep(AGAIN)
        else:
            return


async def _spread(
    instances: list[Instance],
    pace: tuple[float, float],
    do: Callable[[Instance], Awaitable[None]],
) -> None:
    """Do it with each, the first and the last at these seconds from now."""
    begun, (first, last) = time.monotonic(), pace
    async with asyncio.TaskGroup() as tasks:
        for place, instance in enumerate(instances):
            due = begun + first + (last - first) * place / len(instances)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tasks.create_task(_doing(do, instance))


async def _doing(do: Callable[[Instance], Awaitable[None]], instance: Instance) -> None:
    await do(instance)


def _path(instance: Instance) -> str:
    return f"{instance.service.upper()}/{instance.id}"


def _instances(service: str, places: object) -> list[Instance]:
    found = cast("list[tuple[str, int]]", places)
    return [Instance(service, address, port) for address, port in found]


async def main(server: str, renews: float, lasts: int) -> None:
    """Obey until the input ends."""
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    headers = {"Accept": "application/json"}
    async with aiohttp.ClientSession(
        connector=connector, timeout=PATIENCE, headers=headers
    ) as session:
        crowd = Crowd(session, server, renews, lasts)
        living = asyncio.create_task(crowd.live())
        living.add_done_callback(end_if_failed)
        await obey(crowd.obey, NotDone)
        living.cancel()


def end_if_failed(living: asyncio.Task[None]) -> None:
    """End the process, whose services would live on without a renewal."""
    if not living.cancelled() and (failed := living.exception()) is not None:
        traceback.print_exception(failed)
        os._exit(1)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
