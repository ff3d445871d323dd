"""Ways to break a service's addresses, endpoints and labels, and their limits."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from meshbridge.service import Endpoint, Locality
from rig.breaking import (
    Rule,
    dashed,
    endpoint_labels,
    endpoints,
    random_address,
    random_text,
    service_labels,
    spoilt,
    virtual,
)
from rig.odd_services import NO_ADDRESSES, ODD_TEXTS, legal_address, legal_key, legal_value

_NO_NETWORKS = (
    *("240.0.0.0/33", "::/129", "1.2.3.4/", "/8", "1.2.3.4/08", "1.2.3.4/8/8", "a/8"),
    *("fe80::1%eth0/64", "1.2.3.4/+8", "1.2.3.4/ 8", "::/\u0663"),
)

_NAMES = ("db-1.internal", "db", "DB.Internal", f"{'a' * 63}.b", f"{'a.' * 127}b", "1.2.x", "0-0.a")
_NO_NAMES = (
    *("db-1.internal.", "*.internal", "*", ".", "", "db..internal", "1", "db.1", "1.2.3.4.5"),
    *(f"db.{2**63}", f"{'a' * 64}.b", f"{'a.' * 128}b", "unix:///run/db"),
)

_VIRTUAL = (
    Rule(
        "virtual address that is none",
        virtual(lambda chance: (chance.choice((*NO_ADDRESSES, *ODD_TEXTS)),)),
    ),
    Rule(
        "network as a virtual address",
        virtual(
            lambda chance: (chance.choice(("240.0.0.0/8", "::/0", "1.2.3.4/32", "fe80::/128")),)
        ),
    ),
    Rule(
        "bad network as a virtual address",
        virtual(lambda chance: (chance.choice(_NO_NETWORKS),)),
    ),
    Rule(
        "several virtual addresses",
        virtual(lambda chance: (legal_address(chance), legal_address(chance))),
    ),
    Rule(
        "random virtual address",
        virtual(lambda chance: (random_address(chance),)),
    ),
    Rule("virtual address", virtual(lambda chance: (legal_address(chance),)), harmless=True),
)

_ADDRESSES = (
    Rule("no address", endpoints(lambda _, each: replace(each, address=""))),
    Rule(
        "address that is none",
        endpoints(
            lambda chance, each: replace(each, address=chance.choice((*NO_ADDRESSES, *ODD_TEXTS)))
        ),
    ),
    Rule(
        "random address",
        endpoints(lambda chance, each: replace(each, address=random_address(chance))),
    ),
    Rule(
        "any form of an address",
        endpoints(lambda chance, each: replace(each, address=legal_address(chance))),
        harmless=True,
    ),
    Rule(
        "socket in a file system",
        lambda chance, service: replace(
            service,
            ports=service.ports[:1],
            endpoints=(
                Endpoint(
                    chance.choice(("unix:///run/a", "unix://@a", "unix://", "unix:///a/")), ()
                ),
            ),
        ),
    ),
    Rule(
        "same address and ports twice",
        lambda chance, service: replace(
            service,
            endpoints=(
                *service.endpoints,
                replace(service.endpoints[0], weight=chance.randint(1, 9)),
            ),
        ),
        harmless=True,
    ),
)

NAMED = (
    Rule(
        "name as an address",
        endpoints(lambda chance, each: replace(each, address=chance.choice(_NAMES))),
        harmless=True,
    ),
    Rule(
        "character in a name",
        endpoints(lambda chance, each: replace(each, address=spoilt(chance, "db-1.internal"))),
    ),
    Rule(
        "dash at an end of a name's label",
        endpoints(lambda chance, each: replace(each, address=dashed(chance, "db-1.internal"))),
    ),
    Rule(
        "name that is no host's",
        endpoints(lambda chance, each: replace(each, address=chance.choice(_NO_NAMES))),
    ),
    Rule(
        "random name",
        endpoints(lambda chance, each: replace(each, address=random_text(chance))),
    ),
)
"""Only for endpoints whose address may be a DNS name."""

_ENDPOINTS = (
    Rule(
        "endpoint's port is none of the service's",
        endpoints(lambda _, each: replace(each, ports=(*each.ports, ("none", 80)))),
    ),
    Rule(
        "endpoint's port number out of reach",
        endpoints(
            lambda chance, each: replace(
                each,
                ports=((each.ports[0][0], chance.choice((0, 65_536, 2**32 - 1))), *each.ports[1:]),
            )
        ),
    ),
    Rule(
        "endpoint's port number that no message holds",
        endpoints(
            lambda chance, each: replace(
                each, ports=((each.ports[0][0], chance.choice((-1, 2**32))), *each.ports[1:])
            )
        ),
    ),
    Rule(
        "endpoint's port twice",
        endpoints(lambda _, each: replace(each, ports=(*each.ports, (each.ports[0][0], 81)))),
    ),
    Rule("endpoint without ports", endpoints(lambda _, each: replace(each, ports=()))),
    Rule("no weight", endpoints(lambda _, each: replace(each, weight=0))),
    Rule(
        "weight that Envoy cannot add up",
        endpoints(
            lambda chance, each: replace(each, weight=chance.choice((10**7 + 1, 2**31, 2**32 - 1)))
        ),
    ),
    Rule(
        "weight that no message holds",
        endpoints(lambda chance, each: replace(each, weight=chance.choice((-1, 2**32, -(2**40))))),
    ),
    Rule(
        "locality that is read as another",
        endpoints(
            lambda chance, each: replace(
                each, locality=Locality(chance.choice(("a/b", "/", "a\nb", "\0", "\ud800")), "z")
            )
        ),
    ),
    Rule(
        "any locality",
        endpoints(
            lambda chance, each: replace(
                each, locality=Locality("", chance.choice(("杭州", "a b", "*", "%", "z" * 500)))
            )
        ),
        harmless=True,
    ),
)

_BAD_KEYS = ("", "-a", "a-", "a b", "a/b/c", "/a", "a/", "é", "a@b", "a_b/c", "-a/b", "a./b", "a\n")
_BAD_VALUES = ("-a", "a-", ".a", "a b", "a,b", "a/b", "é", "a@b", "\n", "a\n", "\ud800", "\0")

_PAIRS: tuple[tuple[str, Callable[[Random], tuple[str, str]], bool], ...] = (
    ("bad label key", lambda chance: (chance.choice(_BAD_KEYS), "a"), False),
    ("bad label value", lambda chance: ("a", chance.choice(_BAD_VALUES)), False),
    ("label key too long", lambda _: ("a" * 64, ""), False),
    ("label prefix too long", lambda _: (f"{'a.' * 126}ab/a", ""), False),
    ("label prefix in upper case", lambda _: ("Upper.io/a", ""), False),
    ("label prefix that is no domain", lambda _: (f"{'a' * 64}.b/a", ""), False),
    ("label value too long", lambda _: ("a", "a" * 64), False),
    ("random label", lambda chance: (random_text(chance), random_text(chance)), False),
    ("label", lambda chance: (legal_key(chance), legal_value(chance)), True),
    ("longest label", lambda _: (f"{'a.' * 126}a/{'a' * 63}", "Z" * 63), True),
)

_LABELS = tuple(
    Rule(f"{name} of {whose}", of(change), harmless)
    for whose, of in (("an endpoint", endpoint_labels), ("a service", service_labels))
    for name, change, harmless in _PAIRS
)

_REVISION = Rule("label of a revision", service_labels(lambda _: ("istio.io/rev", "canary")))

RULES = (*_VIRTUAL, *_ADDRESSES, *_ENDPOINTS, *_LABELS, _REVISION)
