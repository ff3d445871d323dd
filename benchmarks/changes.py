"""How long a change of the registry's file takes until Envoy sends requests by it."""

import asyncio
import random
import time
from collections.abc import Callable

from benchmarks.samples import Figure
from meshbridge.cli.demo.child import ChildFailed
from meshbridge.cli.demo.stage import HOST, Stage
from meshbridge.cli.demo.traffic import Answer, Connection

_WITHIN = 10.0
_BETWEEN_REQUESTS = 0.001


async def live(bed: Stage, changes: int, seed: int, say: Callable[[str], None]) -> Figure:
    """Swap one instance for another ``changes`` times and time each until it answers.

    The pauses between changes are random (by ``seed``), so that no timer of anyone's keeps step.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    pair = [await bed.add("one", "v1", 1), await bed.add("two", "v2", 1)]
    bed.register(pair[0])
    bed.bridge.start()
    await bed.bridge_is_ready()
    bed.envoy.start()
    connection = Connection(bed.ports.http, HOST)
    await _answered_by("one", connection)
    samples: list[float] = []
    for number in range(changes):
        await asyncio.sleep(chance.uniform(0.05, 0.25))
        old, new = pair[number % 2], pair[(number + 1) % 2]
        bed.instances = {name: each for name, each in bed.instances.items() if name != old.name}
        changed = bed.register(new)
        answer = await _answered_by(new.name, connection)
        samples.append((answer.done - changed) * 1000)
        if (number + 1) % 20 == 0:
            say(f"change {number + 1}/{changes}: {samples[-1]:.1f} ms")
    connection.close()
    return Figure("file change → live in Envoy", "ms", samples, 50)


async def _answered_by(name: str, connection: Connection) -> Answer:
    end = time.monotonic() + _WITHIN
    while (answer := await connection.ask()).instance != name:
        if time.monotonic() > end:
            raise ChildFailed(f"no answer by instance {name} in {_WITHIN:g} s; last: {answer}")
        await asyncio.sleep(_BETWEEN_REQUESTS)
    return answer
