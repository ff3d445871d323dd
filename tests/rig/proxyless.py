"""A gRPC application without a proxy, in a process of its own, and backends that it can call."""

import json
import re
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import grpc
import grpc.aio

from meshbridge.testing.process import Process

MAIN = Path(__file__).with_name("proxyless_main.py")
ANSWER = re.compile(r"^(?:answer|failed): .*$", re.MULTILINE)
Interface = Literal["sync", "aio"]


class Proxyless:
    """Calls targets like ``xds:///orders.test`` through gRPC's own xDS client."""

    def __init__(
        self,
        interface: Interface,
        control_plane: str,
        directory: Path,
        *,
        node: Mapping[str, object] | None = None,
    ) -> None:
        """Describe it; ``control_plane`` is ``host:port``, ``node`` what it says of itself."""
        plain = {"id": f"proxyless-{interface}", "locality": {"region": "r", "zone": "z"}}
        bootstrap = {
            "xds_servers": [
                {
                    "server_uri": control_plane,
                    "channel_creds": [{"type": "insecure"}],
                    "server_features": ["xds_v3"],
                }
            ],
            "node": dict(plain if node is None else node),
        }
        self.process = Process(
            f"proxyless-{interface}",
            [sys.executable, MAIN, interface],
            directory=directory,
            environment={"GRPC_XDS_BOOTSTRAP_CONFIG": json.dumps(bootstrap)},
            input=True,
        )
        self._answers = 0

    async def __aenter__(self) -> Self:
        """Start it."""
        self.process.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        await self.process.stop()

    async def call(self, target: str) -> str:
        """Return ``answer: <who answered>`` or ``failed: <code> <details>``."""
        self.process.write(target)
        wanted = self._answers + 1
        answers: list[str] = []

        async def answered() -> bool:
            answers[:] = ANSWER.findall(self.process.log)
            return len(answers) >= wanted

        await self.process.ready(answered, within=30)
        self._answers = wanted
        return answers[wanted - 1]


@asynccontextmanager
async def grpc_backend(name: str) -> AsyncGenerator[int]:
    """Serve ``/Who/Am``, which answers ``name``, on the port that this yields."""

    async def who(_: bytes, __: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return name.encode()

    server = grpc.aio.server()
    handler = grpc.method_handlers_generic_handler(
        "Who", {"Am": grpc.unary_unary_rpc_method_handler(who)}
    )
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)
