"""Reads what somebody asks for: an address with or without a port, a host, a registry's name."""

import re
from dataclasses import dataclass, replace
from typing import Final

from meshbridge.publish.addresses import parse, read_address
from meshbridge.registration import Instance

HIGHEST = 65535
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):/{2,}(?P<user>[^/?#]*@)?(?P<target>[^/?#@]*)"
)
_PORTS: Final = {"http": 80, "https": 443}
"""Where a URL without a port leads."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for."""

    text: str
    """As it was typed, without a URL's user: a registry's own name may hold anything."""
    address: str
    """Canonical; empty when it is none."""
    name: str
    """The text, or the URL's target, without a port."""
    port: int | None = None
    is_url: bool = False

    @property
    def host(self) -> str:
        """The name as hosts are written."""
        return self.name.rstrip(".").lower()

    def is_at(self, instance: Instance) -> bool:
        """Whether the instance has the address, and the port where one is named."""
        if instance.address != self.address and (
            ":" not in instance.address  # only IPv6, and IPv4 inside it, is written in many ways
            or read_address(instance.address).text != self.address
        ):
            return False
        return self.port is None or any(each.number == self.port for each in instance.ports)

    def is_called(self, instance: Instance) -> bool:
        """Whether the instance has the text for its id, or the name for an address."""
        if instance.id == self.text:
            return True
        return instance.address == self.name and (
            self.port is None or any(each.number == self.port for each in instance.ports)
        )


def without_user(text: str) -> str:
    """Return what was typed without the user and the password that a URL may have."""
    found = _URL.match(text)
    if found is None or found["user"] is None:
        return text
    return text[: found.start("user")] + text[found.end("user") :]


def read(text: str) -> Asked:
    """Read what was typed; every text is something, and a URL is what it leads to."""
    text = without_user(text)
    found = _URL.match(text)
    if found is None or not found["target"]:
        return _read(text, text)
    asked = _read(text, found["target"])
    port = _PORTS.get(found["scheme"].lower()) if asked.port is None else asked.port
    return replace(asked, port=port, is_url=True)


def _read(text: str, target: str) -> Asked:
    if (whole := parse(target)) is not None:  # an IPv6 address has colons of its own
        return Asked(text, str(whole), target)
    name, colon, number = target.rpartition(":")
    port = int(number) if colon and number.isascii() and number.isdigit() else None
    if port is None or port > HIGHEST or not name:
        name, port = target, None
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    address = parse(bare)
    return Asked(text, str(address) if address else "", name, port)
