"""A stand-in for an instance's metadata service: a real one neither hangs nor answers nonsense."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import grpc

from meshbridge import Instance
from meshbridge_dubbo import ApplicationInstance, Framework, MetadataService
from meshbridge_zookeeper_dubbo.metadata_service import METHOD

HERE = "127.0.0.1"
SERVICE = b"\x0a\x03a.B\x22\x03tri"
REPLY = (
    b"\x0a\x04shop\x12\x02r1\x1a"
    + bytes((len(SERVICE) + 2,))
    + b"\x12"
    + bytes((len(SERVICE),))
    + SERVICE
)
"""An app, a revision, and a service with its name and its protocol."""


@dataclass(slots=True)
class Scripted:
    """An instance's metadata service that answers what it is told to."""

    port: int
    answer: bytes | grpc.StatusCode | None = REPLY
    """``None``: never."""
    asked: list[bytes] = field(default_factory=list[bytes])
    called: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it was asked."""

    @property
    def instance(self) -> ApplicationInstance:
        """Return what the registry holds of it."""
        return ApplicationInstance(
            "shop",
            Instance(f"{HERE}:{self.port}", HERE, ()),
            Framework.DUBBO,
            "r1",
            "local",
            "2.0.0",
            MetadataService(self.port, "tri"),
        )


@asynccontextmanager
async def scripted(
    answer: bytes | grpc.StatusCode | None = REPLY, at: str = f"{HERE}:0"
) -> AsyncGenerator[Scripted]:
    """Serve as an instance."""
    server = grpc.aio.server()
    port = server.add_insecure_port(at)
    it = Scripted(port, answer)

    async def answering(asked: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
        it.asked.append(asked)
        it.called.set()
        if it.answer is None:
            await asyncio.sleep(3600)
        if isinstance(it.answer, grpc.StatusCode):
            await context.abort(it.answer, "it cannot")
        assert isinstance(it.answer, bytes)
        return it.answer

    service, _, name = METHOD[1:].partition("/")
    make = cast("Callable[[object], object]", grpc.unary_unary_rpc_method_handler)
    handler = {name: make(answering)}
    generic = cast("Callable[..., grpc.GenericRpcHandler]", grpc.method_handlers_generic_handler)
    server.add_generic_rpc_handlers([generic(service, handler)])
    await server.start()
    try:
        yield it
    finally:
        await server.stop(0)
