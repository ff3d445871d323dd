"""The outlet's part of the configuration, under ``outlets.xds``."""

from collections import Counter
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from meshbridge.settings import Address, ListenAddress, Listener, Section

PortNumber = Annotated[int, Field(ge=1, le=65535)]


class HttpListenerOptions(Section):
    """Where each proxy listens for requests."""

    listen: ListenAddress
    """Where the proxies listen, on their own machines"""
    ports: Annotated[tuple[PortNumber, ...], Field(min_length=1)]
    """Service ports that are reached here; a host without a port means its lowest of them"""


class TcpListenerOptions(Section):
    """Where each proxy listens for connections to one service."""

    listen: ListenAddress
    """Where the proxies listen, on their own machines"""
    host: Annotated[str, Field(min_length=1, max_length=253)]
    """The service that connections go to"""
    port: PortNumber | None = None
    """Its port; without it the lowest that is neither HTTP nor gRPC"""


class XdsOptions(Listener):
    """Serves Envoy and proxyless gRPC over xDS."""

    listen: ListenAddress = Address("127.0.0.1", 15010)
    """Where Envoy and gRPC find the bridge; beyond loopback it needs tls"""
    http: tuple[HttpListenerOptions, ...] = ()
    """Listeners that each proxy opens for requests, routed by their host"""
    tcp: tuple[TcpListenerOptions, ...] = ()
    """Listeners that each proxy opens for connections to one service"""

    @model_validator(mode="after")
    def _listeners_differ(self) -> Self:
        addresses = [each.listen for each in self.http] + [each.listen for each in self.tcp]
        counts = Counter(str(address) for address in addresses)
        twice = [address for address, count in counts.items() if count > 1]
        if twice:
            kind, message = "listener", "has two listeners at {address}; give each its own"
            raise PydanticCustomError(kind, message, {"address": twice[0]})
        return self
