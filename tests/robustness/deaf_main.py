"""Subscribers that ask for everything: ``deaf_main.py XDS MCP COUNT SERVICES never|always``.

They never read, or take everything until their process is stopped. Each has a connection of its
own. Prints ``ready`` when all have asked, or have all that there was.
"""

import asyncio
import sys
from contextlib import AsyncExitStack

import grpc.aio
from robustness.subscriber import DeltaClient, StateClient, channel, open_stream
from robustness.swinging import name_of

from meshbridge_xds.envoy.names import CDS, EDS, cluster_name

SERVICE_ENTRY = "networking.istio.io/v1/ServiceEntry"


async def main(xds: str, mcp: str, count: int, services: int, reads: str) -> None:
    """Ask, in turn as istiod, as an Envoy of each variant; then do nothing, or read, for ever."""
    names = [cluster_name(f"{name_of(number)}.swinging", 80) for number in range(services)]
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        calls: list[grpc.aio.StreamStreamCall[bytes, bytes]] = []  # dropping one would cancel it
        for number in range(count):
            target = mcp if number % 3 == 0 else xds
            connected = await stack.enter_async_context(channel(target))
            delta = reads == "always" or number % 3 == 2
            call = open_stream(connected, delta=delta)
            calls.append(call)
            client = DeltaClient(call) if delta else StateClient(call)
            for url, asked in (
                ((SERVICE_ENTRY, []),) if target == mcp else ((CDS, []), (EDS, names))
            ):
                await client.ask(url, asked)
                if isinstance(client, DeltaClient) and reads == "always":
                    await client.take(within=60)
            if isinstance(client, DeltaClient) and reads == "always":
                tasks.create_task(follow(client))
        print("ready", flush=True)  # noqa: T201 - the sign that is waited for
        await asyncio.Event().wait()


async def follow(client: DeltaClient) -> None:
    """Take all that comes."""
    while True:
        await client.take(within=3600)
        client.received.clear()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))
