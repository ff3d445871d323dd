"""TLS towards a registry, as an adapter's options have it."""

from typing import Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from meshbridge.settings.section import Section
from meshbridge.settings.values import ReadableFile


class ClientTls(Section):
    """How the servers are known, and the bridge by them."""

    ca: ReadableFile | None = None
    """PEM file of the authorities that signed the servers; the system's without it"""
    certificate: ReadableFile | None = None
    """PEM file with the bridge's own certificate, where the servers ask for one"""
    key: ReadableFile | None = None
    """PEM file with that certificate's private key"""

    @model_validator(mode="after")
    def _makes_a_pair(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise PydanticCustomError("client_tls", "certificate and key go together")
        return self
