"""Holds a large estate in Nacos, in a process of its own: see :class:`nacos_estate.Estate`.

``python -m benchmarks.nacos_holder ADDRESS NAMESPACE SHAPE``; orders come as lines of JSON on
standard input, and each is answered by a line with the seconds that it took.
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import get_args

from benchmarks.nacos_estate import BIG, Shape, address_of, instance, name_of
from meshbridge.testing import Recorder, context
from meshbridge_nacos.access import Access
from meshbridge_nacos.options import DEFAULT_GROUP, Options
from meshbridge_nacos.parse import Record
from meshbridge_nacos.session import Session

CONNECTIONS = 4
"""Nacos keeps one batch of instances for a service and a connection, and 12,000 are too much for
one message where they are Dubbo's."""
_AT_ONCE = 32
_CHANGING = 5
"""The place of the big service's instance whose weight changes; it is in the first batch."""


class Holder:
    """The connections, and what was registered last of the big service."""

    def __init__(self, sessions: Sequence[Session], shape: Shape) -> None:
        """Hold nothing yet."""
        self._sessions = sessions
        self._shape: Shape = shape
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._big: list[list[Record]] = [[] for _ in sessions]

    async def fill(self, first: int, services: int, instances: int) -> None:
        """Register services with so many instances each, spread over the connections."""
        turns = itertools.cycle(self._sessions)
        async with asyncio.TaskGroup() as tasks:
            for number in range(first, first + services):
                records = [self._record(number, place) for place in range(instances)]
                tasks.create_task(self._register(next(turns), number, records))

    async def swell(self, instances: int, weight: float) -> None:
        """Register the big service, of which only what differs; all of it if nothing does."""
        records = [
            self._record(BIG, place, weight if place == _CHANGING else 1.0)
            for place in range(instances)
        ]
        share = -(-instances // len(self._sessions))
        batches = [records[n * share : (n + 1) * share] for n in range(len(self._sessions))]
        same = batches == self._big
        for session, batch, last in zip(self._sessions, batches, self._big, strict=True):
            if same or batch != last:
                await self._register(session, BIG, batch)
        self._big = batches

    async def _register(
        self, session: Session, number: int | str, records: Iterable[Record]
    ) -> None:
        fields = {
            "namespace": session.namespace,
            "serviceName": name_of(self._shape, number),
            "groupName": DEFAULT_GROUP,
            "type": "batchRegisterInstance",
            "instances": list(records),
        }
        async with self._gate:
            await session.ask("BatchInstanceRequest", fields)

    def _record(self, number: int | str, place: int, weight: float = 1.0) -> Record:
        return instance(self._shape, number, address_of(number, place), weight=weight)


def _ignore(group: str, name: str, info: Record) -> None:
    """Take a push: nobody subscribes to anything here."""


async def main() -> None:
    """Connect, and obey until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nacos_holder")
    parser.add_argument("address")
    parser.add_argument("namespace")
    parser.add_argument("shape", choices=get_args(Shape))
    said = parser.parse_args()
    options = Options.model_validate({"servers": [said.address]})
    access = Access(options, context(Recorder().report))
    async with AsyncExitStack() as stack:
        opened = [access.session(said.namespace, _ignore) for _ in range(CONNECTIONS)]
        holder = Holder([await stack.enter_async_context(each) for each in opened], said.shape)
        while line := await asyncio.to_thread(sys.stdin.readline):
            begun, order = time.perf_counter(), json.loads(line)
            if "big" in order:
                await holder.swell(order["big"], order["weight"])
            else:
                await holder.fill(**order)
            _say(json.dumps({"took": time.perf_counter() - begun}))


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is how it answers


if __name__ == "__main__":
    asyncio.run(main())
