"""Holds ephemeral instances in Nacos as an application does: one connection, alive while it lives.

Takes one JSON object per line on standard input, ``{"do": "register" | "deregister", …}``, and
prints ``done`` or ``failed: …`` for each. Ends at the end of its input.
"""

import asyncio
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
from v2.nacos.common.nacos_exception import CLIENT_DISCONNECT
from v2.nacos.transport.connection_event_listener import ConnectionEventListener
from v2.nacos.transport.rpc_client import RpcClient

from rig.obeying import Order, obey


class Held(ConnectionEventListener):
    """What this application holds; registers all of it again whenever a connection is back.

    Java's client does so at once. The SDK's own way takes up to 30 s, and loses what it registered
    on a connection that another of its attempts to connect has replaced meanwhile.
    """

    def __init__(self, naming: NacosNamingService) -> None:
        """Hold nothing yet."""
        self._naming = naming
        self._instances: dict[tuple[str, str], RegisterInstanceParam] = {}

    async def obey(self, order: Order) -> None:
        """Do what a line says. Raises NacosException."""
        if order.pop("do") == "register":
            await self.register(RegisterInstanceParam.model_validate(order))
        else:
            await self.deregister(DeregisterInstanceParam.model_validate(order))

    async def register(self, instance: RegisterInstanceParam) -> None:
        """Hold an instance; waits for a connection. Raises NacosException."""
        for attempts_left in reversed(range(100)):
            try:
                await self._naming.register_instance(instance)
            except NacosException as refused:
                if refused.error_code != CLIENT_DISCONNECT or not attempts_left:
                    raise
                await asyncio.sleep(0.2)
            else:
                break
        self._instances[instance.group_name, instance.service_name] = instance

    async def deregister(self, instance: DeregisterInstanceParam) -> None:
        """Hold it no more. Raises NacosException."""
        self._instances.pop((instance.group_name, instance.service_name), None)
        await self._naming.deregister_instance(instance)

    async def on_connected(self) -> None:
        """Register again; a refusal ends this attempt, and the next connection makes another."""
        for instance in self._instances.values():
            await self._naming.register_instance(instance)

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
    held = Held(naming)
    connection = cast("RpcClient", naming.grpc_client_proxy.rpc_client)  # it exists by now
    await connection.register_connection_listener(held)
    await obey(held.obey, NacosException)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
