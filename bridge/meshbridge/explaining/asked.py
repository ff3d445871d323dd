"""Reads what somebody asks for: an address with or without a port, a host, a registry's name."""

import re
from dataclasses import dataclass

from meshbridge.publish.addresses import parse, read_address
from meshbridge.registration import Instance

HIGHEST = 65535
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/{2,}(?P<target>[^/?#]+)")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for."""

    text: str
    """As it was typed: a registry's own name may hold anything."""
    address: str
    """Canonical; empty when it is none."""
    name: str
    """The text, or the URL's target, without a port."""
    port: int | None = None

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


def read(text: str) -> Asked:
    """Read what was typed; every text is something, and a URL is what it leads to."""
    found = _URL.match(text)
    target = found["target"] if found else text
    if (whole := parse(target)) is not None:  # an IPv6 address has colons of its own
        return Asked(text, str(whole), target)
    name, colon, number = target.rpartition(":")
    port = int(number) if colon and number.isascii() and number.isdigit() else None
    if port is None or port > HIGHEST or not name:
        name, port = target, None
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    address = parse(bare)
    return Asked(text, str(address) if address else "", name, port)
