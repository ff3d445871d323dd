"""Subscribers that ask for everything and never read: ``deaf_main.py XDS MCP COUNT SERVICES``.

Each has a connection of its own. Prints ``ready`` when all have asked.
"""

import asyncio
import sys
from contextlib import AsyncExitStack

import grpc.aio
from robustness.subscriber import DeltaClient, StateClient, channel, open_stream
from robustness.swinging import name_of

from meshbridge_xds.envoy.names import CDS, EDS, cluster_name

SERVICE_ENTRY = "networking.istio.io/v1/ServiceEntry"


async def main(xds: str, mcp: str, count: int, services: int) -> None:
    """Ask, in turn as istiod, as an Envoy of each variant; then do nothing for ever."""
    names = [cluster_name(f"{name_of(number)}.swinging", 80) for number in range(services)]
    async with AsyncExitStack() as stack:
        calls: list[grpc.aio.StreamStreamCall[bytes, bytes]] = []  # dropping one would cancel it
        for number in range(count):
            target = mcp if number % 3 == 0 else xds
            connected = await stack.enter_async_context(channel(target))
            call = open_stream(connected, delta=number % 3 == 2)
            calls.append(call)
            if number % 3 == 0:
                await StateClient(call).ask(SERVICE_ENTRY)
                continue
            client = DeltaClient(call) if number % 3 == 2 else StateClient(call)
            await client.ask(CDS)
            await client.ask(EDS, names)
        print("ready", flush=True)  # noqa: T201 - the sign that is waited for
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
