"""The Nacos adapter keeps every adapter's contract against a real Nacos of each release."""

import uuid
from typing import ClassVar

import pytest

from meshbridge import Adapter, Context
from meshbridge.testing import (
    Ability,
    AdapterContract,
    FaultProxy,
    Refuse,
    RegistryUnderTest,
    Reset,
)
from meshbridge_nacos import Nacos as NacosAdapter
from meshbridge_nacos import Options
from rig.nacos import GRPC, Nacos
from rig.ports import free_port


class Namespace(RegistryUnderTest):
    """An empty namespace of the shared server, reached through a proxy that breaks.

    Instances are ephemeral and get no heartbeat: they last 15 s. Persistent ones would be dialled
    by Nacos itself, to check their health.
    """

    lacks: ClassVar = {
        Ability.REJECT: "the shared server asks for no user; test_nacos_access.py has another",
        Ability.SPOIL: "Nacos checks the type of every field; the scripted server spoils records",
        Ability.OVERFLOW: "it takes 150,000 instances; the scripted server sends that much",
        Ability.REDIRECT: "gRPC knows no redirect; test_login.py has one for the login",
    }

    def __init__(self, server: Nacos) -> None:
        port = free_port(GRPC)
        self._server = server
        self._namespace = f"contract-{uuid.uuid4().hex}"
        self._proxy = FaultProxy("127.0.0.1", server.port + GRPC, port=port + GRPC)
        self._address = f"127.0.0.1:{port}"

    async def start(self) -> None:
        await self._proxy.start()

    async def stop(self) -> None:
        await self._proxy.stop()

    def adapter(self, context: Context) -> Adapter:
        fields = {
            "servers": [self._address],
            "namespaces": [self._namespace],
            "discover-every": "1s",
        }
        return NacosAdapter("contract", Options.model_validate(fields), context)

    async def add(self, service: str, address: str, port: int) -> None:
        await self._server.register(
            service, address, port, ephemeral=True, namespace=self._namespace
        )

    async def change(self, service: str, address: str, port: int) -> None:
        await self._server.update(
            service, address, port, ephemeral=True, namespace=self._namespace, weight="2.5"
        )

    async def remove(self, service: str, address: str, port: int) -> None:
        await self._server.deregister(
            service, address, port, ephemeral=True, namespace=self._namespace
        )

    async def fail(self) -> None:
        await self._proxy.inject(Refuse(), Reset())

    async def recover(self) -> None:
        await self._proxy.mend()


class TestNacos(AdapterContract):
    """Every law, on a namespace of its own each time."""

    server: ClassVar[Nacos]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def given(cls, each_nacos: Nacos) -> None:
        """Use the shared server."""
        cls.server = each_nacos

    def registry(self) -> RegistryUnderTest:
        return Namespace(self.server)
