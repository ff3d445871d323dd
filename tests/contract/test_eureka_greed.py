"""What a Eureka answers without an end costs a bounded amount of memory, and the loop turns on."""

import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from meshbridge.testing import Process
from meshbridge_eureka.over_http import LARGEST_ANSWER
from rig import scripted_eureka_faults as faults
from rig.scripted_eureka import ScriptedEureka
from rig.scripted_eureka_exchange import Fault

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux", reason="only Linux tells how much memory a process had at most"
    ),
]
A, B = ("10.1.0.1", 8080), ("10.1.0.2", 8080)
MAIN = Path(__file__).with_name("eureka_greedy_main.py")
ANSWERS = 3
MOST = 1.5 * LARGEST_ANSWER
"""Bytes by which memory may grow: by one answer, whatever came before."""
MOST_LEFT = 16 * faults.MIB
"""Bytes by which it may be larger afterwards."""
GREEDY: Mapping[str, Fault] = {
    "200 MB, as it says": faults.floods(200 * faults.MIB, declared=True),
    "200 MB in chunks": faults.floods(200 * faults.MIB),
    "a gzip bomb": faults.explodes(4096 * faults.MIB),
}


class Cost(msgspec.Struct):
    """What a process of its own tells at its end."""

    grown: int
    """Bytes, at most."""
    left: int
    """Bytes, in the end."""
    raised: list[str]
    listed: int
    """Services, in the end."""


@asynccontextmanager
async def greedy(url: str, folder: Path) -> AsyncGenerator[Process]:
    """Run an adapter in a process of its own until it has listed what there is."""

    async def has_listed() -> bool:
        return "listed" in process.log

    process = Process("greedy", [sys.executable, MAIN, url], directory=folder, input=True)
    async with process:
        await process.ready(has_listed, within=20)
        yield process


async def told(process: Process) -> Cost:
    """End it and return what it tells then."""
    process.write("")
    await process.exited(within=60)
    return msgspec.json.decode(process.log.splitlines()[-1], type=Cost)


@pytest.mark.parametrize("name", GREEDY)
async def test_an_answer_without_an_end_takes_bounded_memory(name: str, tmp_path: Path) -> None:
    """In a process of its own, whose memory is its own."""
    server = ScriptedEureka()
    server.registry.register("orders", *A)
    async with server, greedy(server.url, tmp_path) as process:
        server.misbehave(GREEDY[name], times=ANSWERS)
        await server.hears(1 + ANSWERS, within=60)
        server.registry.register("carts", *B)
        await server.hears(2, within=60)
        cost = await told(process)
    # The first one was a delta, in whose place everything was asked for.
    assert len(cost.raised) == ANSWERS - 1
    assert all("longer than" in each for each in cost.raised)
    assert cost.listed == 2
    assert cost.grown < MOST
    assert cost.left < MOST_LEFT
    assert server.sent < ANSWERS * 200 * faults.MIB
