"""The Eureka adapter keeps every adapter's contract against a real Eureka server."""

from collections.abc import Iterator
from typing import ClassVar

import pytest
from peers.conftest import make_eureka, shared

from meshbridge import Adapter, Context
from meshbridge.testing import (
    Ability,
    AdapterContract,
    FaultProxy,
    Refuse,
    RegistryUnderTest,
    Reset,
)
from meshbridge_eureka import Eureka as EurekaAdapter
from meshbridge_eureka import Options
from rig.eureka import Eureka
from rig.ports import free_port


class Registered(RegistryUnderTest):
    """What one test registers in a shared server, reached through a proxy that breaks."""

    lacks: ClassVar = {
        Ability.REJECT: "this server asks for no user; tests/contract has one that does",
        Ability.OVERFLOW: "it takes 100,000 instances; the scripted server sends that much",
        Ability.REDIRECT: "Eureka redirects nobody; the scripted server does",
    }

    def __init__(self, server: Eureka) -> None:
        port = free_port()
        self._server = server
        self._proxy = FaultProxy("127.0.0.1", server.port, port=port)
        self._url = f"http://127.0.0.1:{port}/eureka"
        self._there: set[tuple[str, str, int]] = set()

    async def start(self) -> None:
        await self._proxy.start()

    async def stop(self) -> None:
        await self._proxy.stop()
        for each in self._there:
            await self._server.deregister(*each)

    def adapter(self, context: Context) -> Adapter:
        fields = {"servers": [self._url], "interval": "1s"}
        return EurekaAdapter("contract", Options.model_validate(fields), context)

    async def add(self, service: str, address: str, port: int) -> None:
        await self._server.register(service, address, port)
        self._there.add((service, address, port))

    async def change(self, service: str, address: str, port: int) -> None:
        await self._server.set_metadata(service, address, port, version="v2")

    async def remove(self, service: str, address: str, port: int) -> None:
        await self._server.deregister(service, address, port)
        self._there.discard((service, address, port))

    async def fail(self) -> None:
        await self._proxy.inject(Refuse(), Reset())

    async def recover(self) -> None:
        await self._proxy.mend()

    async def spoil(self, service: str, address: str, port: int) -> None:
        """Let it register again with neither of its ports enabled."""
        await self._server.register(service, address, port, plain=False)


class TestEureka(AdapterContract):
    """Every law, on a server that holds nothing each time."""

    server: ClassVar[Eureka]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def given(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        """Use one server for all laws."""
        with shared(make_eureka(tmp_path_factory.mktemp("eureka"))) as cls.server:
            yield

    def registry(self) -> RegistryUnderTest:
        return Registered(self.server)
