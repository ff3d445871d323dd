"""A stand-in for a Nacos that has nothing but names: ``python -m benchmarks.nacos_names COUNT``.

Prints its address once it listens; ends at the end of its input. A real server would need minutes
to be filled with as many.
"""

import asyncio
import sys

from rig.scripted_nacos import ScriptedNacos


async def main(count: int) -> None:
    """Serve until the input ends."""
    async with ScriptedNacos() as server:
        server.services = {f"com-acme-service-{number:05}": {} for number in range(count)}
        print(server.address, flush=True)  # noqa: T201 - this is how it answers
        await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
