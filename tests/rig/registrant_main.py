"""Holds ephemeral instances in Nacos as an application does: one connection, alive while it lives.

Takes one JSON object per line on standard input, ``{"do": "register" | "deregister", …}``, and
prints ``done`` or ``failed: …`` for each. Ends at the end of its input.
"""

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import cast

from v2.nacos import (
    ClientConfig,
    DeregisterInstanceParam,
    NacosException,
    NacosNamingService,
    RegisterInstanceParam,
)
from v2.nacos.redo.abstract_redo_service import AbstractRedoService
from v2.nacos.transport.connection_event_listener import ConnectionEventListener
from v2.nacos.transport.rpc_client import RpcClient


class RegisterAgain(ConnectionEventListener):
    """Registers again as soon as a connection is back, as Java's client does; not after 30 s."""

    def __init__(self, redo: AbstractRedoService) -> None:
        """Remember what registers again."""
        self._redo = redo

    async def on_connected(self) -> None:
        """Register again now."""
        await self._redo.start_redo_task()

    async def on_disconnect(self) -> None:
        """Do nothing: the connection is sought by itself."""


async def main(server: str, namespace: str, directory: str) -> None:
    """Obey until the input ends."""
    config = ClientConfig(
        server_addresses=server,
        namespace_id=namespace,
        log_dir=str(Path(directory, "log")),
        log_level=logging.WARNING,
    )
    config.cache_dir = str(Path(directory, "cache"))
    config.load_cache_at_start = False
    naming = await NacosNamingService.create_naming_service(config)
    proxy = naming.grpc_client_proxy
    connection = cast("RpcClient", proxy.rpc_client)  # it exists once the service does
    await connection.register_connection_listener(RegisterAgain(proxy.redo_service))
    say("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        try:
            if order.pop("do") == "register":
                await naming.register_instance(RegisterInstanceParam(**order))
            else:
                await naming.deregister_instance(DeregisterInstanceParam(**order))
        except NacosException as refused:
            say(f"failed: {refused}")
        else:
            say("done")


def say(word: str) -> None:
    """Answer on standard output."""
    print(word, flush=True)  # noqa: T201 - this is how it answers


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
