"""Large pushes are worked off in many small turns of the loop, from the wire to the last word.

The law is 20 ms for one turn. How long one takes depends on the machine, so this looks at shares.
"""

import asyncio
import gc
import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import cast

import pytest

from meshbridge import Adapter, Context, Instance
from meshbridge_nacos import Nacos, Options
from rig.scripted_nacos import Host, ScriptedNacos
from rig.watching import watching

MANY = 12_000
LONGEST = 0.2
"""The share of all work on two pushes that one turn may take; each is in hundreds."""

LONG = 60.0
"""Seconds that a push may take on a machine that is busy, each turn timed."""


@contextmanager
def timed() -> Generator[list[float]]:
    """Note how much of the processor's time each turn takes; the garbage collector waits."""
    turns: list[float] = []
    run = cast("Callable[[asyncio.Handle], None]", vars(asyncio.Handle)["_run"])

    def run_timed(handle: asyncio.Handle) -> None:
        begun = time.thread_time()
        run(handle)
        turns.append(time.thread_time() - begun)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.Handle, "_run", run_timed)
        gc.disable()
        try:
            yield turns
        finally:
            gc.enable()


def spring(number: int, weight: float) -> Host:
    pairs = {"version": "v1", "preserved.register.source": "SPRING_CLOUD", "zone": "hz-1"}
    return {"ip": "10.0.0.1", "port": number, "weight": weight, "metadata": pairs}


def dubbo(number: int, weight: float) -> Host:
    pairs = {
        "interface": "a.Greeter",
        "path": "a.Greeter",
        "protocol": "dubbo",
        "application": "shop",
        "methods": "greet",
        "timestamp": str(number),
    }
    return {"ip": "10.0.0.1", "port": number, "weight": weight, "metadata": pairs}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "host", "service"),
    [("big", spring, "big"), ("providers:a.Greeter::", dubbo, "a.Greeter")],
)
async def test_no_turn_takes_much_of_a_large_push(
    name: str, host: Callable[[int, float], Host], service: str
) -> None:
    def body(weight: float) -> bytes:
        hosts = [host(number, 1.0) for number in range(1, MANY)] + [host(MANY, weight)]
        info = {"name": name, "groupName": "DEFAULT_GROUP", "hosts": hosts}
        return json.dumps({"requestId": "1", "serviceInfo": info}).encode()

    def adapter(context: Context) -> Adapter:
        # No list meanwhile: with it the service is asked for again, which is not as it was pushed.
        options = {"servers": [server.address], "discover-every": "1h"}
        return Nacos("shop", Options.model_validate(options), context)

    def all_with(weight: float) -> Callable[[tuple[Instance, ...] | None], bool]:
        return lambda found: (
            len(found or ()) == MANY and weight in {each.weight for each in found or ()}
        )

    async with ScriptedNacos() as server:
        server.put(name, "10.0.0.1", 80, metadata=host(80, 1.0)["metadata"])
        first, second = body(1.0), body(2.0)
        async with watching(adapter) as watched:
            await watched.has(service, bool)
            with timed() as turns:
                server.push_raw("NotifySubscriberRequest", first)
                await watched.has(service, all_with(1.0), within=LONG)
                server.push_raw("NotifySubscriberRequest", second)
                await watched.has(service, all_with(2.0), within=LONG)
            assert watched.failures == []
    assert len(turns) > 100
    assert max(turns) < LONGEST * sum(turns)
