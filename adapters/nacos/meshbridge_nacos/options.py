"""What can be configured about a Nacos registry."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from meshbridge.settings.client_tls import ClientTls
from meshbridge.settings.listen import Address
from meshbridge.settings.secret import Secret
from meshbridge.settings.section import Section
from meshbridge.settings.values import Duration

ALL = "*"
"""Stands for every namespace, or every group."""
PUBLIC = "public"
"""The id of the namespace that is there by default; an empty id lists nothing."""
DEFAULT_GROUP = "DEFAULT_GROUP"

_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/@\s]+)(?::([0-9]{1,5}))?", re.ASCII)
_DEFAULT_PORT = 8848
_GRPC_OFFSET = 1000
_HIGHEST_PORT = 65535 - _GRPC_OFFSET


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a Nacos cluster."""

    host: str
    """A name, an IPv4 address, or an IPv6 address in brackets."""
    port: int = _DEFAULT_PORT
    """The main port, that of HTTP."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether what is sent to it stays on this machine."""
        return Address(self.host.strip("[]"), self.port).is_loopback

    @property
    def grpc_port(self) -> int:
        """The port for clients' gRPC: Nacos fixes its distance from the main one."""
        return self.port + _GRPC_OFFSET


def parse_server(value: object) -> Server:
    """Return the server written as ``host`` or ``host:port``.

    Raises PydanticCustomError for anything else.
    """
    if isinstance(value, Server):
        return value
    found = _SERVER.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise PydanticCustomError(
            "nacos_server", "must be host or host:port, like 127.0.0.1:8848 (without http://)"
        )
    port = int(found[2] or _DEFAULT_PORT)
    if not 0 < port <= _HIGHEST_PORT:
        raise PydanticCustomError(
            "nacos_server",
            "needs a port from 1 to {highest}: gRPC is {offset} above it",
            {"highest": _HIGHEST_PORT, "offset": _GRPC_OFFSET},
        )
    return Server(found[1], port)


ServerAddress = Annotated[
    Server,
    PlainValidator(parse_server),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "format": "host:port"}),
]
Name = Annotated[str, StringConstraints(pattern=r"^(\*|[A-Za-z0-9_.:\-]{1,128})$")]
_CONTEXT = re.compile(r"(/[A-Za-z0-9_.~\-]+)*/?", re.ASCII)
_ENDPOINT = re.compile(
    r"(?:https?://)?(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:/?#@\s]+)(:[0-9]{1,5})?(/[^\s@]*)?", re.ASCII
)
_ENDPOINT_PORT, _ENDPOINT_PATH = ":8080", "/nacos/serverlist"
"""Those of Nacos' own address server."""


def _check_context(value: str) -> str:
    if _CONTEXT.fullmatch(value) is None:
        raise PydanticCustomError("nacos_context", "must be a path like /nacos, or empty")
    return value.rstrip("/")


def _check_endpoint(value: str) -> str:
    """Return the URL of the address server's list."""
    found = _ENDPOINT.fullmatch(value)
    if value and found is None:
        raise PydanticCustomError(
            "nacos_endpoint",
            "must be host:port or a URL, like http://127.0.0.1:8080/nacos/serverlist",
        )
    if found is None or value.startswith(("http://", "https://")):
        return value
    place, port, path = value.removesuffix(found[2] or ""), found[1], found[2]
    return f"http://{place}{'' if port else _ENDPOINT_PORT}{path or _ENDPOINT_PATH}"


class Tls(ClientTls):
    """How the servers are known, and the bridge by them."""

    http: Literal["clear"] | None = None
    """clear where only gRPC has TLS: the password then travels readable when the user logs in"""


class Options(Section):
    """The options of ``adapter: nacos``."""

    servers: tuple[ServerAddress, ...] = Field(default=(), strict=False)
    """The servers of one Nacos cluster as host:port, tried in turn; the port is 8848 by default"""
    endpoint: Annotated[str, Field(max_length=1024), AfterValidator(_check_endpoint)] = ""
    """An address server that names them instead, as host:port or as the URL of its list"""
    context_path: Annotated[str, Field(max_length=256), AfterValidator(_check_context)] = "/nacos"
    """The path below which the servers have their HTTP interface"""
    namespaces: tuple[Name, ...] = Field(default=(PUBLIC,), strict=False, min_length=1)
    """Ids (not titles) of the namespaces to read; * for all of them, by the admin API"""
    groups: tuple[Name, ...] = Field(default=(DEFAULT_GROUP,), strict=False, min_length=1)
    """Groups to read in each of the namespaces; * for all of them, by the admin API"""
    username: str = ""
    """A user that may read the namespaces; empty where Nacos asks for none"""
    password: Secret = Secret("")
    """The user's password"""
    access_key: str = ""
    """The id of an access key, for offerings that ask for one"""
    secret_key: Secret = Secret("")
    """The access key's secret; it signs requests and never travels"""
    tls: Tls | Literal["none"] | None = None
    """TLS towards the servers (an empty section is enough), or none to log in in the clear"""
    discover_every: Duration = timedelta(seconds=5)
    """How often to look for new and vanished services; instances come by themselves"""
    admin: bool = True
    """Whether to use the admin API where the user may: it tells the truth about unwell instances"""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        kind = "nacos_options"
        if bool(self.servers) == bool(self.endpoint):
            raise PydanticCustomError(kind, "needs servers, or endpoint instead of them")
        if self.discover_every < timedelta(seconds=1):
            raise PydanticCustomError(kind, "discover-every must be 1s or more")
        if bool(self.username) != bool(self.password):
            raise PydanticCustomError(kind, "username and password go together")
        if bool(self.access_key) != bool(self.secret_key):
            raise PydanticCustomError(kind, "access-key and secret-key go together")
        if self.username and self.tls is None:
            self._refuse_open_login()
        for key, names in (
            ("servers", [str(server) for server in self.servers]),
            ("namespaces", self.namespaces),
            ("groups", self.groups),
        ):
            if len(set(names)) != len(names):
                raise PydanticCustomError(kind, "{key} names one twice", {"key": key})
            if ALL in names and len(names) > 1:
                raise PydanticCustomError(kind, "{key} has * beside others", {"key": key})
            if ALL in names and not self.admin:
                raise PydanticCustomError(
                    kind, "{key} has *, which needs the admin API; say admin: true", {"key": key}
                )
        return self

    def _refuse_open_login(self) -> None:
        for server in self.servers or ("the servers that endpoint names",):
            if not isinstance(server, Server) or not server.is_loopback:
                raise PydanticCustomError(
                    "nacos_open_login",
                    "the password of {username} would be sent to {server} in the clear; give it"
                    ' tls, or say "tls: none" if everyone on the way may read it',
                    {"username": self.username, "server": str(server)},
                )
