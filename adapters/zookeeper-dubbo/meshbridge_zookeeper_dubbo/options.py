"""What can be configured about a ZooKeeper that Dubbo or Spring Cloud registers in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from meshbridge.settings import Address, Duration, Secret, Section
from meshbridge.settings.client_tls import ClientTls

MIB = 1024 * 1024
SMALLEST_REPLY = 1 * MIB
LARGEST_REPLY = 1024 * MIB
SHORTEST_SESSION = timedelta(seconds=1)
LONGEST_SESSION = timedelta(minutes=5)

_SERVER = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/@,\s]+))(?::([0-9]{1,5}))?", re.ASCII)
_DEFAULT_PORT = 2181
_HIGHEST_PORT = 65535
_SIZE = re.compile(r"([0-9]{1,7})(KiB|MiB|GiB)", re.ASCII)
_UNITS = {"KiB": 1024, "MiB": MIB, "GiB": 1024 * MIB}
_ILLEGAL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\uf8ff\ufff0-\uffff]")
"""What a path may not hold: PathUtils.validatePath of ZooKeeper."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a ZooKeeper ensemble."""

    host: str
    """A name or an IP address, IPv6 without brackets."""
    port: int = _DEFAULT_PORT

    def __str__(self) -> str:
        """Return ``host:port``, with brackets around an IPv6 address."""
        return str(Address(self.host, self.port))

    @property
    def is_loopback(self) -> bool:
        """Whether what is sent to it stays on this machine."""
        return Address(self.host, self.port).is_loopback


def parse_server(value: object) -> Server:
    """Return the server written as ``host``, ``host:port`` or ``[IPv6]:port``.

    Raises PydanticCustomError for anything else, a list in one text and a chroot included.
    """
    if isinstance(value, Server):
        return value
    found = _SERVER.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise PydanticCustomError(
            "zookeeper_server",
            "must be host or host:port, like 127.0.0.1:2181; each server is an item of its own, and"
            " a path stands under chroot",
        )
    port = int(found[3] or _DEFAULT_PORT)
    if not 0 < port <= _HIGHEST_PORT:
        raise PydanticCustomError("zookeeper_server", "needs a port from 1 to 65535")
    return Server(found[1] or found[2], port)


def parse_size(value: object) -> int:
    """Return the bytes written as ``512KiB``, ``64MiB`` or ``1GiB``.

    Raises PydanticCustomError for anything else, a bare number included: its unit would be a guess.
    """
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise PydanticCustomError("size", "must be a size like 512KiB, 64MiB or 1GiB")
    return int(found[1]) * _UNITS[found[2]]


def format_size(value: int) -> str:
    """Return bytes the way they are written in YAML."""
    for unit in ("GiB", "MiB"):
        if not value % _UNITS[unit]:
            return f"{value // _UNITS[unit]}{unit}"
    return f"{value // 1024}KiB"


def _check_path(value: str) -> str:
    """Return an absolute path as ZooKeeper writes it; raises PydanticCustomError."""
    kind = "zookeeper_path"
    if not value.startswith("/"):
        raise PydanticCustomError(
            kind, "must begin with /, like {example}", {"example": f"/{value or 'dubbo'}"}
        )
    parts = value[1:].split("/")
    plain = "/" + "/".join(part for part in parts if part)
    if plain != value:
        raise PydanticCustomError(kind, "must be written as {plain}", {"plain": plain})
    if {".", ".."} & set(parts):
        raise PydanticCustomError(kind, "must not have . or .. in it")
    if _ILLEGAL.search(value):
        raise PydanticCustomError(kind, "has characters that ZooKeeper takes in no path")
    return value


def _check_chroot(value: str) -> str:
    return "" if value in {"", "/"} else _check_path(value)


ServerAddress = Annotated[
    Server,
    PlainValidator(parse_server),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "format": "host:port"}),
]
Root = Annotated[str, Field(max_length=512), AfterValidator(_check_path)]
Size = Annotated[
    int,
    PlainValidator(parse_size),
    PlainSerializer(format_size, return_type=str),
    WithJsonSchema({"type": "string", "format": "size"}),
]


class Options(Section):
    """The options of ``adapter: zookeeper-dubbo``."""

    servers: tuple[ServerAddress, ...] = Field(strict=False, min_length=1)
    """The servers of one ensemble as host:port, tried in any order; the port is 2181 by default"""
    chroot: Annotated[str, Field(max_length=512), AfterValidator(_check_chroot)] = ""
    """A path that stands before every other one, where the ensemble is shared"""
    interface_roots: tuple[Root, ...] = Field(default=("/dubbo",), strict=False)
    """Paths below which Dubbo registers interfaces: /blue if its registry URL has ?group=blue"""
    application_roots: tuple[Root, ...] = Field(default=("/services",), strict=False)
    """Paths below which Dubbo 3 and Spring Cloud register applications; ?group=blue adds /blue"""
    username: str = ""
    """A user that may read everything below the roots; empty where ZooKeeper asks for none"""
    password: Secret = Secret("")
    """The user's password"""
    sasl: Literal["DIGEST-MD5"] | None = None
    """DIGEST-MD5 to log in by SASL; without it the user is one of ZooKeeper's scheme digest"""
    tls: ClientTls | Literal["none"] | None = None
    """TLS towards the servers (an empty section is enough), or none to log in in the clear"""
    dial_instances: bool = False
    """Whether to ask instances for the interfaces that their application keeps to itself"""
    session_timeout: Duration = timedelta(seconds=10)
    """A server that is silent for two thirds of it is given up; the servers bound it themselves"""
    max_reply: Size = 64 * MIB
    """The largest answer to read, like the longest list of one service's instances"""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        kind = "zookeeper_options"
        if not SHORTEST_SESSION <= self.session_timeout <= LONGEST_SESSION:
            raise PydanticCustomError(kind, "session-timeout must be from 1s to 5m")
        if not SMALLEST_REPLY <= self.max_reply <= LARGEST_REPLY:
            raise PydanticCustomError(kind, "max-reply must be from 1MiB to 1GiB")
        if bool(self.username) != bool(self.password):
            raise PydanticCustomError(kind, "username and password go together")
        if self.sasl is not None and not self.username:
            raise PydanticCustomError(kind, "sasl needs a username and a password")
        if self.sasl is None and ":" in self.username:
            raise PydanticCustomError(
                kind, "username must have no : in it, which ends it in ZooKeeper's scheme digest"
            )
        if not self.roots:
            raise PydanticCustomError(
                kind, "interface-roots and application-roots are both empty: nothing would be read"
            )
        for key, twice in self._repeated():
            raise PydanticCustomError(
                kind, "{key} names {twice} twice", {"key": key, "twice": twice}
            )
        if self.username and self.sasl is None and self.tls is None:
            self._refuse_open_login()
        return self

    @property
    def roots(self) -> tuple[str, ...]:
        """Every path to read from once, interfaces first.

        One may hold both: the group of a Dubbo registry is the root of both.
        """
        return tuple(dict.fromkeys(self.interface_roots + self.application_roots))

    @property
    def chosen_roots(self) -> tuple[str, ...]:
        """The roots that the configuration names, those by default left out."""
        chosen = self.model_fields_set
        interfaces = self.interface_roots if "interface_roots" in chosen else ()
        return interfaces + (self.application_roots if "application_roots" in chosen else ())

    def _repeated(self) -> Iterator[tuple[str, str]]:
        fields = (
            ("servers", [str(server) for server in self.servers]),
            ("interface-roots", self.interface_roots),
            ("application-roots", self.application_roots),
        )
        for key, values in fields:
            yield from ((key, each) for at, each in enumerate(values) if each in values[:at])

    def _refuse_open_login(self) -> None:
        for server in self.servers:
            if not server.is_loopback:
                raise PydanticCustomError(
                    "zookeeper_open_login",
                    "the password of {username} would be sent to {server} in the clear; give it"
                    ' tls, or say "tls: none" if everyone on the way may read it',
                    {"username": self.username, "server": str(server)},
                )
