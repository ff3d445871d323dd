"""The least that grpc.aio can do, to compare with: ``python -m benchmarks.fan_out_echo``.

It answers the two subscriptions of each stream with bytes that it is handed, and then, for each
line on standard input, sends the second of them again on every stream and reads the answer.
"""

import argparse
import asyncio
import sys
from pathlib import Path

import grpc
import grpc.aio
from grpc.aio import ServicerContext

from benchmarks.fan_out_load import METHODS, SERVICE


class Echo:
    """Sends the same bytes to all streams at once."""

    def __init__(self, clusters: bytes, endpoints: bytes) -> None:
        """Answer the subscriptions with these."""
        self._clusters, self._endpoints = clusters, endpoints
        self._waiting: set[asyncio.Event] = set()

    def push(self) -> None:
        """Send to every stream."""
        for each in self._waiting:
            each.set()

    async def serve(self, _: object, context: ServicerContext[bytes, bytes]) -> None:
        """Serve one stream until its subscriber goes."""
        due = asyncio.Event()
        for message in (self._clusters, self._endpoints):
            await context.read()
            await context.write(message)
        for _unused in range(2):
            await context.read()
        self._waiting.add(due)
        try:
            while True:
                await due.wait()
                due.clear()
                await context.write(self._endpoints)
                await context.read()
        finally:
            self._waiting.discard(due)


async def main() -> None:
    """Serve on a free port, which is said on standard output, until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clusters", type=Path, help="file with the answer about clusters")
    parser.add_argument("endpoints", type=Path, help="file with the answer about endpoints")
    options = parser.parse_args()
    echo = Echo(options.clusters.read_bytes(), options.endpoints.read_bytes())
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    handlers: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(
        SERVICE,
        {
            METHODS[False]: grpc.stream_stream_rpc_method_handler(echo.serve),
            METHODS[True]: grpc.stream_stream_rpc_method_handler(echo.serve),
        },
    )
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)  # noqa: T201 - read by the benchmark
    while await orders.readline():
        echo.push()
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main())
