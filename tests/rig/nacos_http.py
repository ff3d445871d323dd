"""What tests tell a Nacos and ask it over HTTP, in the words of its release."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict

import aiohttp

IDENTITY = "peer"
"""The header with which a member of the cluster identifies itself, to whom all is allowed."""


PATIENCE = aiohttp.ClientTimeout(total=30)
"""For an answer; who wants to see a frozen server waits for less."""


class Listed(TypedDict):
    """What Nacos lists of an instance; it tells more than this."""

    ip: str
    port: int
    weight: float
    healthy: bool
    ephemeral: bool
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Paths:
    """Where a release has what both of them do."""

    naming: str
    listing: str
    listed: str
    """The field of the answer that holds what is listed."""
    state: str
    ready: str
    """What the state says when the server takes registrations."""
    member: str
    users: str
    """Where users, roles and permissions are below."""
    plural: str
    config: str
    config_group: str
    """What the fields of a configuration's group and namespace are called."""
    config_namespace: str
    loader: str
    """Where clients are listed and sent elsewhere."""
    reload: str
    """The method of that."""


_PATHS = {
    2: _Paths(
        naming="/v1/ns",
        listing="/v1/ns/instance/list",
        listed="hosts",
        state="/v1/ns/operator/metrics?onlyStatus=true",
        ready='"UP"',
        member="/v2/core/cluster/node/self",
        users="/v1/auth",
        plural="s",
        config="/v1/cs/configs",
        config_group="group",
        config_namespace="tenant",
        loader="/v2/core/loader",
        reload="GET",
    ),
    3: _Paths(
        naming="/v3/admin/ns",
        listing="/v3/client/ns/instance/list",
        listed="data",
        state="/v3/admin/core/state/readiness",
        ready='"ok"',
        member="/v3/admin/core/cluster/node/self",
        users="/v3/auth",
        plural="",
        config="/v3/admin/cs/config",
        config_group="groupName",
        config_namespace="namespaceId",
        loader="/v3/admin/core/loader",
        reload="POST",
    ),
}


class NacosHttp:
    """Nacos' HTTP interface; whatever Nacos refuses raises OSError with its answer."""

    def __init__(
        self,
        address: str,
        release: Literal[2, 3],
        identity: str,
        *,
        context_path: str = "/nacos",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Know where it is (``host:port``) and what it takes for a member of its cluster."""
        self.address = address
        self.identity = identity
        self.release: Literal[2, 3] = release
        self._paths = _PATHS[release]
        self._tls = tls
        self._root = f"{'http' if tls is None else 'https'}://{address}{context_path}"

    async def register(
        self,
        service: str,
        address: str,
        port: int,
        *,
        weight: float = 1.0,
        enabled: bool = True,
        metadata: Mapping[str, str] | None = None,
        cluster: str = "DEFAULT",
        group: str = "DEFAULT_GROUP",
        namespace: str = "public",
        ephemeral: bool = False,
    ) -> None:
        """Register an instance over HTTP; a persistent one, which stays without anyone's lease."""
        await self._instance(
            "POST",
            service,
            address,
            port,
            groupName=group,
            namespaceId=namespace,
            weight=str(weight),
            enabled=json.dumps(enabled),
            metadata=json.dumps(metadata or {}),
            clusterName=cluster,
            ephemeral=json.dumps(ephemeral),
        )

    async def update(
        self,
        service: str,
        address: str,
        port: int,
        *,
        ephemeral: bool = False,
        namespace: str = "public",
        **fields: str,
    ) -> None:
        """Change fields of an instance as the console does; Nacos merges ``metadata``."""
        await self._instance(
            "PUT",
            service,
            address,
            port,
            namespaceId=namespace,
            ephemeral=json.dumps(ephemeral),
            **fields,
        )

    async def deregister(
        self,
        service: str,
        address: str,
        port: int,
        *,
        ephemeral: bool = False,
        namespace: str = "public",
    ) -> None:
        """Remove an instance; the service stays listed without it for about a minute."""
        await self._instance(
            "DELETE",
            service,
            address,
            port,
            namespaceId=namespace,
            ephemeral=json.dumps(ephemeral),
        )

    async def remove_service(self, service: str, *, group: str = "DEFAULT_GROUP") -> None:
        """Remove a service that has no instances left."""
        path = f"{self._paths.naming}/service"
        await self._call("DELETE", path, serviceName=service, groupName=group)

    async def instances(self, service: str) -> list[Listed]:
        """Return the instances of a service that are switched on, in the cluster DEFAULT."""
        answer = await self._call("GET", self._paths.listing, serviceName=service)
        found: list[Listed] = json.loads(answer)[self._paths.listed]
        return found

    async def is_ready(self) -> bool:
        """Whether it says of itself that it takes registrations."""
        try:
            return self._paths.ready in await self._call("GET", self._paths.state)
        except (OSError, aiohttp.ClientError):
            return False

    async def version(self) -> str:
        """Return the version that it tells the other members of a cluster."""
        told = json.loads(await self._call("GET", self._paths.member))
        return str(told["data"]["extendInfo"]["version"])

    async def create_admin(self, password: str) -> None:
        """Give it its first user, ``nacos``; only once in the life of its data."""
        await self._call("POST", self._user("user", "/admin"), password=password)

    async def create_reader(self, name: str, password: str, *namespaces: str) -> None:
        """Give it a user who may read these namespaces, and may do so within 15 s."""
        await self._call("POST", self._user("user"), username=name, password=password)
        await self._call("POST", self._user("role"), role=f"{name}s", username=name)
        for namespace in namespaces:
            await self.allow(name, namespace)

    async def allow(self, reader: str, namespace: str) -> None:
        """Let such a user read a namespace, within 15 s."""
        await self._permit("POST", reader, namespace)

    async def forbid(self, reader: str, namespace: str) -> None:
        """Let such a user no longer read a namespace, within 15 s."""
        await self._permit("DELETE", reader, namespace)

    async def publish(self, group: str, data_id: str, text: str, *, namespace: str = "") -> None:
        """Write a configuration."""
        await self._config("POST", group, data_id, namespace, content=text)

    async def retract(self, group: str, data_id: str, *, namespace: str = "") -> None:
        """Delete a configuration."""
        await self._config("DELETE", group, data_id, namespace)

    async def send_clients_to(self, address: str) -> None:
        """Have it ask each of its clients to go to another server."""
        loader = self._paths.loader
        told = json.loads(await self._call("GET", f"{loader}/current"))
        for client in told.get("data", told):
            fields = {"connectionId": client, "redirectAddress": address}
            await self._call(self._paths.reload, f"{loader}/reloadClient", **fields)

    def _user(self, what: str, further: str = "") -> str:
        return f"{self._paths.users}/{what}{self._paths.plural}{further}"

    async def _permit(self, method: str, reader: str, namespace: str) -> None:
        # Release 2 knows the default namespace by no name here.
        for known_as in {namespace, "" if namespace == "public" else namespace}:
            permission = {"role": f"{reader}s", "resource": f"{known_as}:*:*", "action": "r"}
            await self._call(method, self._user("permission"), **permission)

    async def _config(
        self, method: str, group: str, data_id: str, namespace: str, **fields: str
    ) -> None:
        names = {self._paths.config_group: group, self._paths.config_namespace: namespace}
        query = {"dataId": data_id, **names}
        await self._send(method, self._paths.config, query, fields)

    async def _instance(
        self, method: str, service: str, address: str, port: int, **fields: str
    ) -> None:
        await self._call(
            method,
            f"{self._paths.naming}/instance",
            serviceName=service,
            ip=address,
            port=str(port),
            **fields,
        )

    async def _call(self, method: str, path: str, **query: str) -> str:
        return await self._send(method, path, query, {})

    async def _send(
        self, method: str, path: str, query: Mapping[str, str], form: Mapping[str, str]
    ) -> str:
        headers = {IDENTITY: self.identity}
        connector = aiohttp.TCPConnector(ssl=True if self._tls is None else self._tls)
        async with (
            aiohttp.ClientSession(
                headers=headers, timeout=PATIENCE, connector=connector
            ) as session,
            session.request(
                method, f"{self._root}{path}", params=query, data=form or None
            ) as answer,
        ):
            text = await answer.text()
            if answer.status != 200:
                message = f"Nacos answered {answer.status} to {method} {path}: {text[:300]}"
                raise OSError(message)
            return text
