"""Services such as no registry should hold and some will: every field at and beyond its limits.

The host and the namespace are legal, so that all of them are sent; each is another host, also where
case does not count. The same seed makes the same services.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from random import Random

from meshbridge.registration import Health
from meshbridge.service import Endpoint, Labels, Locality, Port, Service, Source

OURS = ("http", "https", "grpc", "dubbo", "tcp")
LIMITS = (1, 2, 79, 80, 443, 1023, 1024, 8080, 15001, 20880, 32768, 65534, 65535)
"""Numbers of ports that something may treat in its own way."""
ODD_TEXTS = ("", " ", "订单", "é", "e\u0301", "\u202eabc", "a\nb", "a\0b", "\ud800", "🚀", "'\"\\")
NO_ADDRESSES = (
    *("fe80::1%eth0", "fe80::1%", "::ffff:1.2.3.4%0", "[::1]", "10.1.0.1:80", "10.1.0.0/24"),
    *("010.1.0.1", "1.2.3", "1.2.3.4\n", "\uff11.2.3.4", "orders.internal", "unix:///run/orders"),
)
"""What a registry may hold in place of an address that can be sent."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"
_ODDLY_NUMBERED = (0, -1, 65_536, 2**31, 2**64)
_WEIGHTS = (-(2**31), -1, 0, 1, 2, 99, 100, 10**7, 10**7 + 1, 2**24, 2**31, 2**32 - 1, 2**64)


def odd_services(seed: int, number: int) -> list[Service]:
    """Return so many services, each under a host of its own."""
    chance = Random(seed)  # noqa: S311 - to be the same each time
    return [odd_service(chance, each) for each in range(number)]


def with_names(services: Iterable[Service]) -> list[Service]:
    """Return the services with a DNS name as the address of some endpoints."""
    return [
        replace(
            service,
            endpoints=tuple(
                replace(each, address=f"Db-{at}.internal") if at % 3 == 0 else each
                for at, each in enumerate(service.endpoints)
            ),
        )
        for service in services
    ]


def odd_service(chance: Random, number: int) -> Service:
    """Return the service of that number."""
    ports = _ports(chance)
    return Service(
        host=_host(chance, number),
        namespace=_dns_label(chance),
        ports=ports,
        endpoints=_endpoints(chance, ports),
        labels=labels(chance) if chance.random() < 0.5 else (),
        aliases=_aliases(chance, number) if chance.random() < 0.3 else (),
        addresses=tuple(address(chance) for _ in range(_few(chance, 0.7))),
        sources=_sources(chance),
        export_to=chance.choice(((), (), (), (".",), ("*",), ("east", "west"), ("0",))),
    )


def plain_service(chance: Random, number: int) -> Service:
    """Return a service of which everything is sent as it is: something to break."""
    ports = tuple(
        Port(each, protocol, f"{protocol}-{each}")
        for each, protocol in zip(
            sorted(chance.sample(range(1, 65_536), chance.randint(1, 3))),
            chance.choices(("http", "https", "grpc"), k=3),
            strict=False,
        )
    )
    numbers = tuple((port.name, chance.randint(1, 65_535)) for port in ports)
    return Service(
        host=f"plain-{number}.nacos",
        namespace="shop",
        ports=ports,
        endpoints=tuple(
            Endpoint(
                legal_address(chance),
                tuple(sorted(numbers)),
                locality=Locality("cn", "hangzhou"),
                labels=(("version", f"v{each}"),),
            )
            for each in range(chance.randint(1, 3))
        ),
        labels=(("team", "shop"),),
        sources=(Source("east", f"plain-{number}"),),
    )


def legal_address(chance: Random) -> str:
    """Return an IP address in any form that both Go and Python read."""
    v6 = IPv6Address(chance.getrandbits(128) & chance.choice((2**128 - 1, 2**64 - 1, 2**112)))
    v4 = IPv4Address(chance.getrandbits(32))
    return chance.choice(
        (
            str(v4),
            str(v6),
            v6.exploded,
            str(v6).upper(),
            f"::ffff:{v4}",
            f"::FFFF:{v4}",
            f"64:ff9b::{v4}",
            chance.choice(("0.0.0.0", "255.255.255.255", "127.0.0.1", "::", "::1", "1::")),  # noqa: S104
        )
    )


def address(chance: Random) -> str:
    """Return an address, nine times in ten a legal one."""
    if chance.random() < 0.9:
        return legal_address(chance)
    return chance.choice((*NO_ADDRESSES, *ODD_TEXTS))


def labels(chance: Random) -> Labels:
    """Return up to four labels, sorted; one pair in five is none that Kubernetes takes."""
    pairs: dict[str, str] = {}
    for _ in range(_few(chance, 0.6)):
        key, value = legal_key(chance), legal_value(chance)
        if chance.random() < 0.1:
            key = chance.choice((*ODD_TEXTS, "a/b/c", "/a", "a/", "Upper.io/a", "-a", "a" * 64))
        if chance.random() < 0.1:
            value = chance.choice((*ODD_TEXTS, "a b", "-a", "a.", "a" * 64))
        pairs[key] = value
    return tuple(sorted(pairs.items()))


def legal_key(chance: Random) -> str:
    """Return a label's key, up to the longest."""
    prefix = ".".join(_dns_label(chance) for _ in range(_few(chance, 0.5)))[:253].rstrip("-.")
    name = legal_value(chance) or "a"
    return f"{prefix}/{name}" if prefix else name


def legal_value(chance: Random) -> str:
    """Return a label's value, up to the longest."""
    inner = _letters(chance, _length(chance, 63) - 1, _LETTERS + _LETTERS.upper() + _DIGITS + "-_.")
    return chance.choice((*("v1", "", "1e3", "true", "0"), f"a{inner}"[:62] + "Z"))


def _host(chance: Random, number: int) -> str:
    unique = f"s{number}"
    longest = f"{unique}-{'x' * 63}"[:62] + "z"
    return chance.choice(
        (
            f"{unique}.nacos",
            f"{unique}.NACOS",
            f"{unique}",
            f"{number}.{unique}.dev-2",
            f"0-0.{unique}a.1.file",
            f"xn--{unique}-9ua.xn--p1ai",
            f"{'a.' * (100)}{unique}",
            longest,
            ".".join((longest, "y" * 63, "Y" * 63, "9" * 62 + "a")),
            f"{unique}.{_dns_label(chance)}.svc.cluster.local",
        )
    )


def _ports(chance: Random) -> tuple[Port, ...]:
    count = chance.choice((*(1, 1, 1, 2, 2, 3, 5), 0 if chance.random() < 0.3 else 1))
    if chance.random() < 0.005:
        count = 60
    ports: list[Port] = []
    for _ in range(count):
        number = chance.choice((chance.choice(LIMITS), chance.randint(1, 65_535)))
        protocol = chance.choice(OURS)
        port = Port(number, protocol, f"{protocol}-{number}")
        if chance.random() < 0.1:
            port = _odd_port(chance, port)
        ports.append(port)
        if chance.random() < 0.03:
            ports.append(replace(port, protocol=chance.choice(OURS)))
    return tuple(sorted(ports))


def _odd_port(chance: Random, port: Port) -> Port:
    return chance.choice(
        (
            replace(port, name="a" * 61 + "-z"),
            replace(port, name=_dns_label(chance)),
            replace(port, name=chance.choice((*ODD_TEXTS, "Http-80", "a" * 64, "-a", "a_b"))),
            replace(port, protocol=chance.choice(("quic", "", "HTTP", "udp", "mongo"))),
            replace(port, number=chance.choice(_ODDLY_NUMBERED)),
        )
    )


def _endpoints(chance: Random, ports: Sequence[Port]) -> tuple[Endpoint, ...]:
    count = chance.choice((0, 1, 1, 2, 2, 3, 3, 4, 6))
    if chance.random() < 0.002:
        count = 300
    found: list[Endpoint] = []
    for _ in range(count):
        found.append(_endpoint(chance, ports))
        if chance.random() < 0.1:  # the same once more, or the same address and ports
            found.append(replace(found[-1], weight=chance.choice((found[-1].weight, 7))))
    return tuple(found)


def _endpoint(chance: Random, ports: Sequence[Port]) -> Endpoint:
    numbers = [
        (port.name, chance.choice((port.number, chance.randint(1, 65_535))))
        for port in ports
        if chance.random() < 0.8
    ]
    if chance.random() < 0.05:
        numbers.append(("http-80", chance.choice(_ODDLY_NUMBERED)))
    return Endpoint(
        address=address(chance),
        ports=tuple(sorted(numbers)),
        weight=chance.choice((100, chance.randint(1, 10**7), chance.choice(_WEIGHTS))),
        health=chance.choice((*[Health.HEALTHY] * 9, Health.DEGRADED)),
        locality=_locality(chance),
        labels=labels(chance),
        network=chance.choice(("", "", "", "vpc-1", "a" * 63)),
        service_account=chance.choice(("", "", "", "shop", "a.b", "a" * 253)),
    )


def _locality(chance: Random) -> Locality:
    parts: list[Callable[[], str]] = [
        lambda: "",
        lambda: "cn",
        lambda: "cn-hangzhou",
        lambda: _text(chance),
        lambda: chance.choice(("a/b", "/", "//", "杭州", "z" * 300, "a b", "%2F", "*")),
    ]
    return Locality(*(chance.choices(parts, (5, 5, 5, 1, 1))[0]() for _ in range(3)))


def _aliases(chance: Random, number: int) -> tuple[str, ...]:
    """Return aliases, most of them legal; some are another's, some the host itself."""
    some = (
        *(f"alias-{number}", f"alias-{number}.old", f"ALIAS.{number}.x", f"s{number}.nacos"),
        *("shared.old", "a_b.old", "*.old", "a.1", "a.", ""),
    )
    return tuple(sorted(set(chance.choices(some, (9, 9, 9, 3, 3, 1, 1, 1, 1, 1), k=2))))


def _sources(chance: Random) -> tuple[Source, ...]:
    """Return at least one source, in their order."""
    some = (
        Source(_text(chance), _text(chance) * chance.choice((1, 1, 100)))
        for _ in range(1 + _few(chance, 0.7))
    )
    return tuple(sorted(set(some), key=lambda each: (each.registry, each.name)))


def _text(chance: Random) -> str:
    return chance.choice(("east", "orders", "DEFAULT_GROUP@@a", chance.choice(ODD_TEXTS)))


def _dns_label(chance: Random) -> str:
    """Return a label in lower case, of any length up to the longest."""
    inner = _letters(chance, _length(chance, 61), _LETTERS + _DIGITS + "-")
    first, last = chance.choices(_LETTERS + _DIGITS, k=2)
    return chance.choice((*("shop", "0", "a"), f"{first}{inner}{last}"))


def _letters(chance: Random, length: int, among: str) -> str:
    return "".join(chance.choices(among, k=length))


def _length(chance: Random, longest: int) -> int:
    return chance.choice((1, chance.randint(1, 8), chance.randint(1, longest), longest))


def _few(chance: Random, none: float) -> int:
    """Return a number from 0 to 4, small ones more often; ``none`` is the chance of 0."""
    return 0 if chance.random() < none else chance.choice((1, 1, 1, 1, 2, 2, 3, 4))
