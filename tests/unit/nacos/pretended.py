"""A pretended Nacos that sessions are opened to without any connection; it fails on request."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from meshbridge import BadData, RegistryRejected, RegistryUnavailable
from meshbridge_nacos.asking import OnPush, OnRequest, Page
from meshbridge_nacos.options import Server
from meshbridge_nacos.parse import Record

Failure = BadData | RegistryRejected | RegistryUnavailable


@dataclass
class Pretended:
    """What it holds and what it refuses."""

    services: dict[tuple[str, str, str], list[int]] = field(
        default_factory=dict[tuple[str, str, str], list[int]]
    )
    """The ports of each (namespace, group, service)."""
    namespaces: set[str] = field(default_factory=lambda: {"public"})
    refusals: dict[str, Failure] = field(default_factory=dict[str, Failure])
    """By namespace, ``namespace/group``, or what is fetched (``groups``, ``namespaces``)."""
    abilities: frozenset[str] = frozenset()
    sessions: list["Session"] = field(default_factory=list["Session"])
    """Those that are open."""
    opened: list[str] = field(default_factory=list[str])
    """The namespace of each that was ever opened."""

    def put(self, where: str, *ports: int) -> None:
        """Hold a service, ``namespace/group/name``, and push it."""
        namespace, group, name = where.split("/")
        self.services[namespace, group, name] = list(ports)
        for session in self.sessions:
            if session.namespace == namespace and (group, name) in session.subscribed:
                session.on_push(group, name, self.info(namespace, group, name))

    def drop(self, where: str) -> None:
        """Hold a service no more; nothing is pushed."""
        namespace, group, name = where.split("/")
        del self.services[namespace, group, name]

    def info(self, namespace: str, group: str, name: str) -> Record:
        """Return its record of a service."""
        ports = self.services.get((namespace, group, name), [])
        return {"hosts": [{"ip": "10.0.0.1", "port": port} for port in ports]}

    def notify(self, namespace: str, key: str, change: str) -> None:
        """Tell of a service, as fuzzy watch does."""
        for session in self.sessions:
            if session.namespace == namespace:
                session.tell({"serviceKey": key, "changedType": change})

    def end_sessions(self, namespace: str) -> None:
        """Lose the connection of each session about a namespace."""
        for session in self.sessions:
            if session.namespace == namespace:
                session.ended.set()

    def check(self, what: str) -> None:
        """Raise the refusal for something, if there is one."""
        if what in self.refusals:
            raise self.refusals[what]

    @asynccontextmanager
    async def open_session(self, namespace: str, on_push: OnPush) -> AsyncGenerator["Session"]:
        """Open a session, as :class:`meshbridge_nacos.access.Access` does."""
        self.check(namespace)
        session = Session(self, namespace, on_push)
        self.sessions.append(session)
        self.opened.append(namespace)
        try:
            async with asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(session.watch())
                yield session
                watch.cancel()
        finally:
            self.sessions.remove(session)


class Session:
    """Is what is asked, see :class:`meshbridge_nacos.asking.Questions`."""

    server = Server("127.0.0.1")

    def __init__(self, registry: Pretended, namespace: str, on_push: OnPush) -> None:
        """Subscribe to nothing yet."""
        self.namespace = namespace
        self.on_push = on_push
        self.subscribed: set[tuple[str, str]] = set()
        self.ended = asyncio.Event()
        self.asked: list[Mapping[str, object]] = []
        self._registry = registry
        self._hear: list[OnRequest] = []

    @property
    def abilities(self) -> frozenset[str]:
        """Those of the registry."""
        return self._registry.abilities

    async def watch(self) -> None:
        """Raise once the connection is lost."""
        await self.ended.wait()
        raise RegistryUnavailable("connection lost")

    def tell(self, body: Record) -> None:
        """Send a request to whoever hears such."""
        for hear in self._hear[:1]:
            hear(body)

    async def page(self, group: str, number: int, size: int) -> Page:
        """Return the list of a group on one page."""
        await asyncio.sleep(0)
        assert number == 1
        self._registry.check(f"{self.namespace}/{group}")
        where = (self.namespace, group)
        names = tuple(key[2] for key in self._registry.services if key[:2] == where)
        assert size > len(names)
        return Page(len(names), names)

    async def subscribe(self, group: str, service: str) -> Record:
        """Return a service's record."""
        await asyncio.sleep(0)
        self.subscribed.add((group, service))
        return self._registry.info(self.namespace, group, service)

    async def unsubscribe(self, group: str, service: str) -> None:
        """Push it no more."""
        self.subscribed.discard((group, service))

    async def ask(self, kind: str, fields: Mapping[str, object], resource: str = "") -> Record:
        """Take a fuzzy watch."""
        assert (kind, resource) == ("NamingFuzzyWatchRequest", "")
        self.asked.append(fields)
        self._registry.check("fuzzy")
        return {}

    def hear(self, kind: str, answer: str, on_request: OnRequest) -> None:
        """Tell it of services from now on."""
        assert kind.removesuffix("Request") == answer.removesuffix("Response")
        self._hear.append(on_request)

    async def fetch(self, path: str, query: Mapping[str, str]) -> Record:
        """Answer as release 3 does."""
        await asyncio.sleep(0)
        if path == "/v3/admin/core/namespace/list":
            self._registry.check("namespaces")
            return {"data": [{"namespace": each} for each in sorted(self._registry.namespaces)]}
        if path == "/v3/admin/ns/service/list":
            self._registry.check("groups")
            namespace = query["namespaceId"]
            items = [
                {"groupName": key[1]} for key in self._registry.services if key[0] == namespace
            ]
            return {"data": {"pageItems": items}}
        raise BadData(f"it answers 404 to {path}")

    async def read_config(self, group: str, data_id: str) -> str | None:
        """Hold no configuration."""
        raise AssertionError((group, data_id))

    def watch_config(self, group: str, data_id: str) -> AsyncGenerator[str | None]:
        """Hold no configuration."""
        raise AssertionError((group, data_id))
