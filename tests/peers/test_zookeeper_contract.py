"""The ZooKeeper adapter keeps every adapter's contract against a real ZooKeeper."""

import asyncio
import uuid
from typing import ClassVar, Protocol, cast

import pytest
from kazoo.client import KazooClient
from kazoo.security import (
    make_digest_acl,  # pyright: ignore[reportUnknownVariableType] - kazoo does not say its types
)

from meshbridge import Adapter, Context
from meshbridge.testing import (
    Ability,
    AdapterContract,
    FaultProxy,
    Refuse,
    RegistryUnderTest,
    Reset,
)
from meshbridge_zookeeper_dubbo import Options, ZooKeeperDubbo
from rig.zookeeper import ZooKeeper
from rig.zookeeper_nodes import Node, provider, spring
from rig.zookeeper_session import Session

BOUND = 1024 * 1024


class _Admin(Protocol):
    """What is used of kazoo's client, which says little of its types."""

    def start(self) -> None: ...
    def ensure_path(self, path: str) -> object: ...
    def set_acls(self, path: str, acls: list[object]) -> object: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...


def protect(server: str, path: str) -> None:
    """Let only one user read what is at a path."""
    client: object = KazooClient(server)
    admin = cast("_Admin", client)
    admin.start()
    try:
        admin.ensure_path(path)
        only: object = make_digest_acl("somebody", "secret", all=True)
        admin.set_acls(path, [only])
    finally:
        admin.stop()
        admin.close()


class Tree(RegistryUnderTest):
    """An empty tree of the shared server, reached through a proxy that breaks."""

    lacks: ClassVar = {Ability.REDIRECT: "ZooKeeper knows no redirect"}
    root: ClassVar[str]

    def __init__(self, server: ZooKeeper) -> None:
        self._server = server
        self._chroot = f"/contract-{uuid.uuid4().hex}"
        self._proxy = FaultProxy("127.0.0.1", server.port)
        self._session = Session(server.address)

    async def start(self) -> None:
        await self._proxy.start()
        await self._session.__aenter__()

    async def stop(self) -> None:
        await self._session.end()
        await self._proxy.stop()

    def adapter(self, context: Context) -> Adapter:
        fields = {
            "servers": [f"127.0.0.1:{self._proxy.port}"],
            "chroot": self._chroot,
            "max-reply": "1MiB",
            "session-timeout": "4s",
        }
        return ZooKeeperDubbo("contract", Options.model_validate(fields), context)

    async def add(self, service: str, address: str, port: int) -> None:
        await self._hold(self.node(service, address, port))

    async def remove(self, service: str, address: str, port: int) -> None:
        await self._session.remove(self._chroot + self.node(service, address, port).path)

    async def fail(self) -> None:
        await self._proxy.inject(Refuse(), Reset())

    async def recover(self) -> None:
        await self._proxy.mend()

    async def reject(self) -> None:
        await asyncio.to_thread(protect, self._server.address, self._chroot + self.root)

    async def overflow(self) -> None:
        await self._session.write(f"{self._chroot}/dubbo/mapping/com.acme.X", b"a" * 2 * BOUND)

    async def _hold(self, node: Node) -> None:
        await self._session.hold(self._chroot + node.path, node.data)

    def node(self, service: str, address: str, port: int) -> Node:
        """Return what tells of an instance."""
        raise NotImplementedError


class Interfaces(Tree):
    """Services are Dubbo's interfaces: an instance is the name of a node."""

    root = "/dubbo"

    def node(self, service: str, address: str, port: int) -> Node:
        return provider(service, "dubbo", address, port)

    async def change(self, service: str, address: str, port: int) -> None:
        await self._hold(provider(service, "dubbo", address, port, {"weight": "50"}))
        await self.remove(service, address, port)

    async def spoil(self, service: str, address: str, port: int) -> None:
        await self._hold(provider(service, "dubbo", address, port, {"weight": "heavy"}))
        await self.remove(service, address, port)


class Applications(Tree):
    """Services are Spring Cloud's: an instance is the data of a node."""

    root = "/services"

    def node(self, service: str, address: str, port: int) -> Node:
        return spring(service, address, port)

    async def change(self, service: str, address: str, port: int) -> None:
        changed = spring(service, address, port, {"version": "v2"})
        await self._session.write(self._chroot + changed.path, changed.data)

    async def spoil(self, service: str, address: str, port: int) -> None:
        path = self.node(service, address, port).path
        await self._session.write(self._chroot + path, b"no JSON")


class OnZooKeeper(AdapterContract):
    """Every law, on a tree of its own each time."""

    server: ClassVar[ZooKeeper]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def given(cls, zookeeper: ZooKeeper) -> None:
        """Use the shared server."""
        cls.server = zookeeper


class TestInterfaces(OnZooKeeper):
    """For services that are Dubbo's interfaces."""

    def registry(self) -> RegistryUnderTest:
        return Interfaces(self.server)


class TestApplications(OnZooKeeper):
    """The same for services that nodes' data tell."""

    def registry(self) -> RegistryUnderTest:
        return Applications(self.server)
