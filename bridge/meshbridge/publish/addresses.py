"""Decides which addresses may be published: none that leads a caller to itself or to a secret."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Network = IPv4Network | IPv6Network

_REFUSED: Final[tuple[tuple[str, tuple[Network, ...]], ...]] = tuple(
    (why, tuple(ip_network(each) for each in networks))
    for why, networks in (
        # Asked over plain HTTP they hand out credentials: AWS, Google, Azure and most others;
        # Alibaba Cloud; Azure's WireServer; Oracle Cloud; AWS over IPv6.
        (
            "a cloud's metadata service",
            (
                "169.254.169.254",
                "100.100.100.200",
                "168.63.129.16",
                "192.0.0.192",
                "fd00:ec2::254",
            ),
        ),
        ("the caller's own machine (loopback)", ("127.0.0.0/8", "::1")),
        # Linux connects 0.0.0.0 and :: to the machine itself.
        ("no address of a machine (unspecified)", ("0.0.0.0/8", "::")),
        ("link-local", ("169.254.0.0/16", "fe80::/10")),
        ("multicast", ("224.0.0.0/4", "ff00::/8")),
        ("broadcast", ("255.255.255.255",)),
        # Ours: a virtual address as an endpoint would send callers in a circle.
        ("in the range of virtual addresses", ("240.0.0.0/4",)),
    )
)

_OCTET: Final = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_V4: Final = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}")
_ODD_FIRST_OCTETS: Final = frozenset(
    str(octet)
    for _, networks in _REFUSED
    for network in networks
    if isinstance(network, IPv4Network)
    for octet in range(network[0].packed[0], network[-1].packed[0] + 1)
)


@dataclass(frozen=True, slots=True)
class Address:
    """An address as read from a registration."""

    text: str
    """Canonical, or empty when the registered text is no IP address."""
    refusal: str = ""
    """What it is, where that must not be published; empty for an ordinary address."""


@lru_cache(maxsize=65_536)
def read_address(registered: str) -> Address:
    """Read an IPv4 or IPv6 address and say whether it may be published by default.

    IPv4 inside IPv6 (``::ffff:127.0.0.1``) is judged and published as IPv4, because that is what
    a socket connects to. A zone (``fe80::1%eth0``) means something on one machine only, so such
    a text is no address here.
    """
    if (match := _V4.fullmatch(registered)) and match[1] not in _ODD_FIRST_OCTETS:
        return Address(registered)  # nearly all there are, ten times as fast
    parsed = parse(registered)
    if parsed is None:
        return Address("")
    return Address(str(parsed), _refusal(parsed))


def parse(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a connection would go to, or ``None`` if the text is none."""
    if "%" in text:
        return None
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


def _refusal(address: IPv4Address | IPv6Address) -> str:
    for why, networks in _REFUSED:
        if any(address in network for network in networks):
            return why
    return ""


def allowed(address: str, networks: Sequence[Network]) -> bool:
    """Return whether the configuration lets this canonical address pass all the same."""
    return any(ip_address(address) in network for network in networks)
