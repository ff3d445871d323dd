"""What can be configured about a Eureka registry."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Final, Literal, Self, cast

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from meshbridge.looking import listed
from meshbridge.settings import Address, Duration, Secret, Section
from meshbridge.settings.client_tls import ClientTls
from meshbridge.settings.values import format_duration

_PORTS: Final = {"http": 80, "https": 443}
_HIGHEST_PORT: Final = 65535
_URL: Final = re.compile(
    r"(https?)://(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/?#@,\\\s]+))(?::([0-9]{1,5}))?(/[^?#@,\s]*)?",
    re.ASCII | re.IGNORECASE,
)
_EXAMPLE: Final = "http://127.0.0.1:8761/eureka"
_KIND: Final = "eureka_server"
_MOST_ZONES: Final = 10


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a Eureka cluster."""

    scheme: str
    """``http`` or ``https``."""
    host: str
    """A name in lower case, or an IP address, IPv6 without brackets."""
    port: int
    path: str
    """Below which its interface is: ``/eureka`` of Spring Cloud, ``/eureka/v2`` of Netflix."""
    zone: str = ""
    """The zone that it serves, where servers are configured by zone."""

    def __str__(self) -> str:
        return self.url

    @property
    def url(self) -> str:
        """What requests begin with, without a slash at the end; the scheme's own port left out."""
        address = str(Address(self.host, self.port))
        if self.port == _PORTS[self.scheme]:
            address = address.rpartition(":")[0]
        return f"{self.scheme}://{address}{self.path}"

    @property
    def is_loopback(self) -> bool:
        """Whether what is sent to it stays on this machine."""
        return Address(self.host, self.port).is_loopback


def parse_server(value: object) -> Server:
    """Return the server written as ``http://host:port/eureka``.

    Without a port it is that of the scheme, 80 or 443, as in every URL. Raises PydanticCustomError
    for anything else; what it says quotes nothing, for there may be a password in it.
    """
    if isinstance(value, Server):
        return value
    if isinstance(value, str) and "@" in value:
        raise PydanticCustomError(
            _KIND, "must have no user in it; give username and password as options of their own"
        )
    found = _URL.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise PydanticCustomError(
            _KIND,
            "must be a URL like {example}; each server is an item of its own",
            {"example": _EXAMPLE},
        )
    scheme, path = found[1].lower(), (found[5] or "").rstrip("/")
    port = int(found[4] or _PORTS[scheme])
    if not 0 < port <= _HIGHEST_PORT:
        raise PydanticCustomError(_KIND, "needs a port from 1 to 65535")
    if not path:
        raise PydanticCustomError(
            _KIND,
            "needs the path of Eureka's interface: /eureka for Spring Cloud, like {example}, or"
            " /eureka/v2 for Netflix' own",
            {"example": _EXAMPLE},
        )
    if path.endswith(("/apps", "/apps/delta")):
        raise PydanticCustomError(
            _KIND, "must end before /apps, like {example}", {"example": _EXAMPLE}
        )
    return Server(scheme, (found[2] or found[3]).lower(), port, path)


def _by_zone(value: object) -> object:
    """Return the servers as one list, also where they are written by zone."""
    if not isinstance(value, Mapping):
        return value
    servers: list[Server] = []
    for zone, urls in cast("Mapping[object, object]", value).items():
        if not isinstance(zone, str) or not zone or not isinstance(urls, list | tuple):
            raise PydanticCustomError(
                _KIND,
                "by zone must be a list of URLs for each zone, like z1: [{example}]",
                {"example": _EXAMPLE},
            )
        servers += (
            replace(parse_server(each), zone=zone) for each in cast("Sequence[object]", urls)
        )
    return servers


def _written(servers: tuple[Server, ...]) -> list[str] | dict[str, list[str]]:
    """Return servers the way they are written in YAML."""
    if not any(server.zone for server in servers):
        return [server.url for server in servers]
    zones: dict[str, list[str]] = {server.zone: [] for server in servers}
    for server in servers:
        zones[server.zone].append(server.url)
    return zones


ServerUrl = Annotated[
    Server, PlainValidator(parse_server), WithJsonSchema({"type": "string", "format": "URL"})
]
Servers = Annotated[
    tuple[ServerUrl, ...],
    Field(strict=False, min_length=1),
    BeforeValidator(_by_zone),
    PlainSerializer(_written),
]
Region = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-]{1,64}$")]


class Options(Section):
    """The options of ``adapter: eureka``."""

    servers: Servers
    """The servers of one cluster as URLs, tried in turn; or lists of them by zone"""
    zone: str = ""
    """The zone whose servers are asked first, where they are given by zone"""
    username: str = ""
    """A user that may read the registry; empty where Eureka asks for none"""
    password: Secret = Secret("")
    """The user's password"""
    tls: ClientTls | Literal["none"] | None = None
    """Certificates for https, if others than the system's; or none to log in in the clear"""
    interval: Duration = timedelta(seconds=5)
    """How often to ask for what has changed"""
    full_interval: Duration = timedelta(minutes=5)
    """How often to read everything, because some changes cannot be told from none"""
    regions: tuple[Region, ...] = Field(default=(), strict=False)
    """Remote regions to read as well, which the servers must have been configured with"""
    names: Literal["vip", "application"] = "vip"
    """What services are called: by each vipAddress of their instances, or by application"""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        kind = "eureka_options"
        zones = {server.zone for server in self.servers}
        if self.zone and zones == {""}:
            raise PydanticCustomError(
                kind,
                "zone needs servers by zone, like servers: {example}",
                {"example": f"{{{self.zone}: [{_EXAMPLE}]}}"},
            )
        if self.zone and self.zone not in zones:
            raise PydanticCustomError(
                kind,
                "zone {zone} is none of those that servers are given for: {zones}",
                {"zone": self.zone, "zones": listed(sorted(zones), _MOST_ZONES)},
            )
        if bool(self.username) != bool(self.password):
            raise PydanticCustomError(kind, "username and password go together")
        if ":" in self.username:
            raise PydanticCustomError(
                kind, "username must have no : in it, which ends it in basic authentication"
            )
        if self.interval < timedelta(seconds=1):
            raise PydanticCustomError(kind, "interval must be 1s or more")
        if self.full_interval < self.interval:
            raise PydanticCustomError(
                kind,
                "interval {interval} is above full-interval {full}: shorten interval, or make"
                " full-interval as long",
                {
                    "interval": format_duration(self.interval),
                    "full": format_duration(self.full_interval),
                },
            )
        if isinstance(self.tls, ClientTls) and all(each.scheme == "http" for each in self.servers):
            raise PydanticCustomError(kind, "tls is for servers with https://, and there is none")
        for key, twice in self._repeated():
            raise PydanticCustomError(
                kind, "{key} names {twice} twice", {"key": key, "twice": twice}
            )
        if self.username and self.tls != "none":
            self._refuse_open_login()
        return self

    def _repeated(self) -> Iterator[tuple[str, str]]:
        for key, values in (
            ("servers", [server.url for server in self.servers]),
            ("regions", list(self.regions)),
        ):
            yield from ((key, each) for at, each in enumerate(values) if each in values[:at])

    def _refuse_open_login(self) -> None:
        for server in self.servers:
            if server.scheme == "http" and not server.is_loopback:
                raise PydanticCustomError(
                    "eureka_open_login",
                    "the password of {username} would be sent to {server} in the clear; use"
                    ' https://, or say "tls: none" if everyone on the way may read it',
                    {"username": self.username, "server": server.url},
                )
