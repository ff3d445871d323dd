"""Ways to break a service's host, namespace, aliases and ports, and their limits."""

from dataclasses import replace

from meshbridge.service import Port
from rig.breaking import (
    Rule,
    aliases,
    dashed,
    hosts,
    one_more_port,
    ports,
    random_text,
    spoilt,
    to_hosts,
    to_namespaces,
)

_OTHERS = ("udp", "mongo", "redis", "mysql", "http2", "tls", "grpc-web", "HTTP_PROXY", "")
"""Protocols that istiod knows and a service of ours never has."""
_UNKNOWN = ("quic", "dubbo3", "sctp", "DoubleHBONE", "http ", "hbone", "tcp\n", "grpc_web")

_NAMELESS = (Port(9, "tcp", "tcp-9"), Port(9, "dubbo", "dubbo-9"))
"""Behind them istiod cannot tell one host from another."""

_HOSTS = (
    Rule("no host", to_hosts("")),
    Rule("full wildcard", to_hosts("*")),
    Rule("wildcard", to_hosts("*.{host}", "*-a.{host}", "*a.{host}")),
    Rule("wildcard elsewhere", to_hosts("a*.{host}", "*.*.{host}", "a.*.{host}", "{host}.*")),
    Rule("host too long", to_hosts(f"{'a.' * 125}{{host}}", f"{('b' * 63 + '.') * 4}{{host}}")),
    Rule(
        "host as long as can be",
        to_hosts(".".join(each * 63 for each in "abcd"), f"{'a.' * 110}{{host}}"),
        harmless=True,
    ),
    Rule("label too long", to_hosts(f"{'a' * 64}.{{host}}", f"{{host}}.{'a' * 64}", "a" * 64)),
    Rule(
        "longest label",
        to_hosts(f"{'a' * 63}.{{host}}", "a" * 63, f"{{host}}.{'0' * 62}a"),
        harmless=True,
    ),
    Rule("character in a host", hosts(spoilt)),
    Rule("dash at an end of a label", hosts(dashed)),
    Rule("empty label", to_hosts(".{host}", "a..{host}", "{host}..", ".", "..")),
    Rule("dot at the end", to_hosts("{host}.", "a.")),
    Rule("number at the end", to_hosts("{host}.1", "{host}.00", "1.2.3.4", "{host}.+1", "a.-1")),
    Rule("nothing but a number", to_hosts("1", "00", "9" * 63)),
    Rule("number beyond 64 bits at the end", to_hosts(f"{{host}}.{'9' * 20}", f"{{host}}.{2**63}")),
    Rule(
        "any case",
        to_hosts("PLAIN.{host}", "{host}.Nacos", "1.2.{host}", "0-0.{host}", "x"),
        harmless=True,
    ),
    Rule("random host", hosts(lambda chance, _: random_text(chance))),
    Rule("character in an alias", aliases(spoilt)),
    Rule("wildcard as an alias", aliases(lambda chance, host: chance.choice(("*", f"*.{host}")))),
    Rule("random alias", aliases(lambda chance, _: random_text(chance))),
    Rule(
        "aliases",
        aliases(lambda chance, host: chance.choice((host.upper(), "a", f"{'a' * 63}.{host}"))),
        harmless=True,
    ),
    Rule(
        "second host beside a port without names",
        lambda chance, service: replace(
            service,
            aliases=(f"x.{service.host}",),
            ports=(*service.ports, chance.choice(_NAMELESS)),
        ),
    ),
)

_NAMESPACES = (
    Rule(
        "namespace that is no label",
        to_namespaces("Shop", "a_b", "a.b", "a" * 64, "-a", "订单", "a b", "a\n"),
    ),
    Rule("namespace of two parts", to_namespaces("a/b", "/a", "a/", "/")),
    Rule("no namespace", to_namespaces("")),
)

_PORTS = (
    Rule(
        "port number out of reach",
        ports(lambda chance, port: replace(port, number=chance.choice((0, 65_536, 2**32 - 1)))),
    ),
    Rule(
        "port number that no message holds",
        ports(lambda chance, port: replace(port, number=chance.choice((-1, 2**32, 2**70)))),
    ),
    Rule(
        "port number at an end",
        lambda _, service: (
            replace(
                service,
                ports=(*service.ports, Port(1, "http", "http-1"), Port(65_535, "grpc", "z")),
            )
            if {1, 65_535}.isdisjoint(port.number for port in service.ports)
            else service
        ),
        harmless=True,
    ),
    Rule(
        "port number twice",
        one_more_port(lambda _, port: replace(port, name="another", protocol="https")),
    ),
    Rule(
        "port name twice",
        one_more_port(lambda chance, port: replace(port, number=chance.randint(1, 65_535))),
    ),
    Rule("no port name", ports(lambda _, port: replace(port, name=""))),
    Rule(
        "character in a port name",
        ports(lambda chance, port: replace(port, name=spoilt(chance, port.name))),
    ),
    Rule(
        "port name that begins or ends wrongly",
        ports(
            lambda chance, port: replace(
                port, name=chance.choice((f"-{port.name}", f"{port.name}-", "-", f".{port.name}"))
            )
        ),
    ),
    Rule(
        "port name too long",
        ports(lambda chance, port: replace(port, name="a" * chance.choice((64, 65, 200)))),
    ),
    Rule("longest port name", ports(lambda _, port: replace(port, name="a" * 63)), harmless=True),
    Rule("port name in upper case", ports(lambda _, port: replace(port, name=port.name.upper()))),
    Rule(
        "random port name",
        ports(lambda chance, port: replace(port, name=random_text(chance))),
    ),
    Rule(
        "unknown protocol",
        ports(lambda chance, port: replace(port, protocol=chance.choice(_UNKNOWN))),
    ),
    Rule(
        "protocol that is not ours",
        ports(lambda chance, port: replace(port, protocol=chance.choice(_OTHERS))),
    ),
    Rule("no port", lambda _, service: replace(service, ports=())),
    Rule(
        "no port and no endpoint",
        lambda _, service: replace(service, ports=(), endpoints=()),
        harmless=True,
    ),
)

RULES = (*_HOSTS, *_NAMESPACES, *_PORTS)
