"""Holds many services in Nacos over one connection, and brings them back slowly after an outage.

Takes one JSON object per line on standard input, and prints ``done`` or ``failed: …`` for each:
see :class:`rig.crowd.Crowd`. Ends at the end of its input.
"""

import asyncio
import logging
import sys
import time
from pathlib import Path
from typing import cast

from v2.nacos import ClientConfig, Instance, NacosException, NacosNamingService
from v2.nacos.naming.model.naming_request import (
    AbstractNamingRequest,
    BatchInstanceRequest,
    InstanceRequest,
)
from v2.nacos.naming.model.naming_response import BatchInstanceResponse, InstanceResponse
from v2.nacos.naming.util.naming_remote_constants import NamingRemoteConstants
from v2.nacos.transport.connection import Connection
from v2.nacos.transport.connection_event_listener import ConnectionEventListener
from v2.nacos.transport.rpc_client import RpcClient

from rig.obeying import Order, obey

GROUP = "DEFAULT_GROUP"


class Crowd(ConnectionEventListener):
    """The services; on a new connection all are registered again, evenly over the pace's span.

    By requests of the SDK that its own redo knows nothing of: that would bring all back at once, at
    any time in the 30 s after a reconnection.
    """

    def __init__(self, naming: NacosNamingService) -> None:
        """Hold nothing yet."""
        self._proxy = naming.grpc_client_proxy
        self._held: dict[str, list[Instance]] = {}
        self._pace = (0.0, 0.0)
        self._connection = ""
        self._returning: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._settled.set()

    async def obey(self, order: Order) -> None:
        """Do what a line says. Raises NacosException."""
        match order:
            case {"do": "hold", "services": services}:
                for name, places in cast("dict[str, object]", services).items():
                    self._held[name] = _instances(places)
            case {"do": "set", "service": str(name), "instances": places}:
                self._held[name] = _instances(places)
                await self._register_at_last(name)
            case {"do": "pace", "first": float(first), "last": float(last)}:
                self._pace = first, last
            case {"do": "fill"}:
                await self._register_all()
            case {"do": "empty"}:
                for name in self._held:
                    await self._deregister(name)
            case {"do": "settle"}:
                await self._settled.wait()
            case _:
                raise NacosException(400, f"nobody knows what {order} means")

    async def on_connected(self) -> None:
        """Begin to register again; the SDK says it several times for one connection."""
        rpc = cast("RpcClient", self._proxy.rpc_client)
        connection = str(cast("Connection", rpc.current_connection).get_connection_id())
        if connection == self._connection:
            return
        self._connection = connection
        if self._returning is not None:
            self._returning.cancel()
        self._settled.clear()
        self._returning = asyncio.create_task(self._return())

    async def on_disconnect(self) -> None:
        """Do nothing: the connection is sought by itself."""

    async def _return(self) -> None:
        try:
            await self._register_all()
        except NacosException:
            self._connection = ""  # then the next word of a connection makes another attempt
        else:
            self._settled.set()

    async def _register_all(self) -> None:
        begun, (first, last) = time.monotonic(), self._pace
        for place, name in enumerate(list(self._held)):
            due = begun + first + (last - first) * place / len(self._held)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self._register(name)

    async def _register_at_last(self, name: str) -> None:
        for attempts_left in reversed(range(100)):
            try:
                return await self._register(name)
            except NacosException:
                if not attempts_left:
                    raise
                await asyncio.sleep(0.2)
        return None

    async def _register(self, name: str) -> None:
        request = BatchInstanceRequest(
            namespace="public",
            serviceName=name,
            groupName=GROUP,
            instances=self._held[name],
            type=NamingRemoteConstants.BATCH_REGISTER_INSTANCE,
        )
        await self._ask(request, BatchInstanceResponse)

    async def _deregister(self, name: str) -> None:
        request = InstanceRequest(
            namespace="public",
            serviceName=name,
            groupName=GROUP,
            instance=self._held[name][0],
            type=NamingRemoteConstants.DE_REGISTER_INSTANCE,
        )
        await self._ask(request, InstanceResponse)

    async def _ask(self, request: AbstractNamingRequest, answer: type[object]) -> None:
        try:
            await self._proxy.request_naming_server(  # pyright: ignore[reportUnknownMemberType] - it does not say what answer is
                request, answer
            )
        except asyncio.CancelledError:
            # gRPC's word for a request whose connection the SDK closes meanwhile.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise NacosException(500, "the connection was closed") from None


def _instances(places: object) -> list[Instance]:
    found = cast("list[tuple[str, int]]", places)
    return [Instance(ip=ip, port=port) for ip, port in found]


async def main(server: str, directory: str) -> None:
    """Obey until the input ends."""
    config = ClientConfig(
        server_addresses=server,
        namespace_id="public",
        log_dir=str(Path(directory, "log")),
        log_level=logging.CRITICAL,
    )
    config.cache_dir = str(Path(directory, "cache"))
    config.load_cache_at_start = False
    naming = await NacosNamingService.create_naming_service(config)
    crowd = Crowd(naming)
    connection = cast("RpcClient", naming.grpc_client_proxy.rpc_client)  # it exists by now
    await connection.register_connection_listener(crowd)
    await obey(crowd.obey, NacosException)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
