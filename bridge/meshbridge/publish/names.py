"""Reads an instance's address that is a DNS name: whether it may be published, and how it is spelt.

Only outlets that let their subscribers resolve names are told of it. What a name leads to is theirs
to find out: no rule about addresses can hold for it here.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from meshbridge.publish.hosts import legal_host

_REFUSED: Final = (
    ("localhost", "the caller's own machine (loopback)"),
    ("ip6-localhost", "the caller's own machine (loopback)"),
    ("ip6-loopback", "the caller's own machine (loopback)"),
    # Asked over plain HTTP they hand out credentials: Google's, and Amazon's.
    ("metadata.google.internal", "a cloud's metadata service"),
    ("metadata.goog", "a cloud's metadata service"),
    ("instance-data", "a cloud's metadata service"),
    ("instance-data.ec2.internal", "a cloud's metadata service"),
)

_HEXADECIMAL: Final = re.compile(r"(^|\.)0x[0-9a-f]*$")


@dataclass(frozen=True, slots=True)
class Name:
    """A registered address, read as a DNS name."""

    text: str
    """In lower case, without the root's dot; empty when the registered text is no DNS name."""
    refusal: str = ""
    """What it is, where that must not be published; empty for an ordinary name."""


@lru_cache(maxsize=16_384)
def read_name(registered: str) -> Name:
    """Read a DNS name as istiod and Envoy both take one: letters, digits and hyphens."""
    text = registered.lower().removesuffix(".")
    # Resolvers read a last part in hexadecimal as an IPv4 address, such as a metadata service's.
    if not registered.isascii() or not legal_host(text) or _HEXADECIMAL.search(text):
        return Name("")
    for name, why in _REFUSED:
        if text == name or text.endswith(f".{name}"):
            return Name(text, why)
    return Name(text)
