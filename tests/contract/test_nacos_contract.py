"""The Nacos adapter keeps every adapter's contract against a server that speaks as Nacos does.

``tests/peers/test_nacos_contract.py`` holds it to the same against a real one.
"""

from typing import ClassVar

from meshbridge import Adapter, Context
from meshbridge.testing import Ability, AdapterContract, RegistryUnderTest
from meshbridge_nacos import Nacos, Options
from meshbridge_nacos.link import LARGEST_MESSAGE
from rig.scripted_nacos import ScriptedNacos


class Scripted(RegistryUnderTest):
    """A scripted server; it can do everything that gRPC can."""

    lacks: ClassVar = {
        Ability.REDIRECT: "gRPC knows no redirect; test_login.py has one for the login",
    }

    def __init__(self) -> None:
        self._server = ScriptedNacos()

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop()

    def adapter(self, context: Context) -> Adapter:
        fields = {"servers": [self._server.address], "discover-every": "1s"}
        return Nacos("contract", Options.model_validate(fields), context)

    async def add(self, service: str, address: str, port: int) -> None:
        self._server.put(service, address, port)

    async def change(self, service: str, address: str, port: int) -> None:
        self._server.put(service, address, port, weight=2.5)

    async def remove(self, service: str, address: str, port: int) -> None:
        self._server.drop(service, address, port)

    async def fail(self) -> None:
        await self._server.stop()

    async def recover(self) -> None:
        await self._server.start()

    async def reject(self) -> None:
        self._server.refusal = (403, "access denied")

    async def spoil(self, service: str, address: str, port: int) -> None:
        self._server.put(service, address, port, weight="heavy")

    async def overflow(self) -> None:
        self._server.push("orders", checksum="x" * (LARGEST_MESSAGE + 1))


class TestNacos(AdapterContract):
    """Every law."""

    def registry(self) -> RegistryUnderTest:
        return Scripted()
