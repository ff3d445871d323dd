"""What can be configured about a Nacos registry."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from meshbridge.settings.listen import Address
from meshbridge.settings.secret import Secret
from meshbridge.settings.section import Section
from meshbridge.settings.values import Duration

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
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:\-]{1,128}$")]


class Options(Section):
    """The options of ``adapter: nacos``."""

    servers: tuple[ServerAddress, ...] = Field(strict=False, min_length=1)
    """The servers of one Nacos cluster as host:port, tried in turn; the port is 8848 by default"""
    namespaces: tuple[Name, ...] = Field(default=(PUBLIC,), strict=False, min_length=1)
    """Ids (not titles) of the namespaces to read"""
    groups: tuple[Name, ...] = Field(default=(DEFAULT_GROUP,), strict=False, min_length=1)
    """Groups to read in each of the namespaces"""
    username: str = ""
    """A user that may read the namespaces; empty where Nacos asks for none"""
    password: Secret = Secret("")
    """The user's password"""
    tls: Literal["none"] | None = None
    """none to log in in the clear beyond loopback; TLS towards Nacos is not there yet"""
    list_interval: Duration = timedelta(seconds=10)
    """How often to look for new and vanished services; instances come by themselves"""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.list_interval < timedelta(seconds=1):
            raise PydanticCustomError("nacos_interval", "list-interval must be 1s or more")
        if bool(self.username) != bool(self.password):
            raise PydanticCustomError("nacos_user", "username and password go together")
        if self.username and self.tls is None:
            self._refuse_open_login()
        for key, names in (("namespaces", self.namespaces), ("groups", self.groups)):
            if len(set(names)) != len(names):
                raise PydanticCustomError("nacos_twice", "{key} names one twice", {"key": key})
        return self

    def _refuse_open_login(self) -> None:
        for server in self.servers:
            if not server.is_loopback:
                raise PydanticCustomError(
                    "nacos_open_login",
                    "the password of {username} would be sent to {server} in the clear, as there is"
                    ' no TLS towards Nacos yet; say "tls: none" if everyone on the way may read it',
                    {"username": self.username, "server": str(server)},
                )
