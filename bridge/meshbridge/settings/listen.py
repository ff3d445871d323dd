"""Where something listens: in the clear only on loopback, unless the configuration says so."""

import ipaddress
import re
import ssl
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from meshbridge.settings.section import Section
from meshbridge.settings.values import ReadableFile

_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/@\s]+)):([0-9]{1,5})", re.ASCII)
_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port to listen on."""

    host: str
    """An IP address without brackets, or a name."""
    port: int
    """0 lets the system choose a free one."""

    def __str__(self) -> str:
        """Return ``host:port``, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it; a name other than localhost never counts."""
        if self.host == "localhost":
            return True
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address).is_loopback


def parse_address(value: object) -> Address:
    """Return the address written as ``127.0.0.1:15010`` or ``[::1]:15010``.

    Raises PydanticCustomError for anything else.
    """
    if isinstance(value, Address):
        return value
    found = _HOST_PORT.fullmatch(value) if isinstance(value, str) else None
    kind = "address"
    if found is None:
        message = "must be host:port, like 127.0.0.1:15010 or [::1]:15010"
        raise PydanticCustomError(kind, message)
    if int(found[3]) > _HIGHEST_PORT:
        message = "has a port that is not from 0 to 65535"
        raise PydanticCustomError(kind, message)
    if found[1]:
        try:
            ipaddress.IPv6Address(found[1])
        except ValueError:
            message = "must have an IPv6 address between the brackets"
            raise PydanticCustomError(kind, message) from None
    return Address(found[1] or found[2], int(found[3]))


ListenAddress = Annotated[
    Address,
    PlainValidator(parse_address),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "format": "host:port"}),
]
"""``host:port`` in YAML, an :class:`Address` here."""


class Tls(Section):
    """The certificates of a listener."""

    certificate: ReadableFile
    """PEM file with the certificate and those that signed it"""
    key: ReadableFile
    """PEM file with the certificate's private key"""
    client_ca: ReadableFile | None = None
    """PEM file of the authorities whose client certificates are required; none are without it"""
    allow: tuple[str, ...] = ()
    """Names (URI or DNS) that a client's certificate must carry one of; empty lets all in"""

    @model_validator(mode="after")
    def _names_need_an_authority(self) -> Self:
        if self.allow and self.client_ca is None:
            kind, message = "tls", "allow needs client-ca: without it nobody shows a certificate"
            raise PydanticCustomError(kind, message)
        return self

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        if (reason := unusable(self)) is not None:
            kind, message = "tls", "{reason}"
            raise PydanticCustomError(kind, message, {"reason": reason})
        return self


def unusable(tls: Tls) -> str | None:
    """Return why the files cannot be listened with, or ``None`` if they can."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password OpenSSL would ask for one at the terminal.
        context.load_cert_chain(tls.certificate, tls.key, password=b"")
    except (ssl.SSLError, ValueError) as error:
        return (
            "certificate and key are no usable pair of PEM files without a password"
            f" ({getattr(error, 'reason', None) or error})"
        )
    if tls.client_ca is not None:
        try:
            context.load_verify_locations(tls.client_ca)
        except ssl.SSLError as error:
            return f"client-ca holds no usable certificates in PEM ({error.reason or error})"
    return None


class Listener(Section):
    """Something that listens; inherit it and give ``listen`` a default on loopback."""

    listen: ListenAddress
    """Where to listen; beyond loopback it needs tls"""
    tls: Tls | Literal["none"] | None = None
    """Certificates, or none to listen beyond loopback in the clear"""

    @model_validator(mode="after")
    def _in_the_clear_only_on_loopback(self) -> Self:
        refuse_open_listener(self.listen, tls=self.tls is not None)
        return self


def refuse_open_listener(address: Address, *, tls: bool) -> None:
    """Refuse to listen beyond loopback when nothing was said about TLS.

    Raises PydanticCustomError.
    """
    if tls or address.is_loopback:
        return
    kind = "listener"
    message = 'listens beyond loopback ({address}) without TLS; give it tls, or say "tls: none"'
    raise PydanticCustomError(kind, message, {"address": str(address)})
