"""Takes connections at a port of 127.0.0.1 and opens one to an address for each.

For a network of its own, where a sidecar captures what goes out: what is redirected to this goes
out again to the address. Called with the port, the address and its port; says ``listening``.
"""

import asyncio
import sys

from meshbridge.testing import FaultProxy


async def main(port: int, host: str, target: int) -> None:
    """Relay until it is ended."""
    async with FaultProxy(host, target, port=port):
        print("listening", flush=True)  # noqa: T201 - this is how it says so
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
