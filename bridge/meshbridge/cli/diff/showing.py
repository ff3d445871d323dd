"""A difference in words: for people as `diff` shows it, with ``-`` and ``+``; for machines JSON."""

import json
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from operator import itemgetter
from typing import TypeVar

import msgspec

from meshbridge.cli.ending import printable
from meshbridge.difference import Apart, Difference, EndpointChange, HostChange
from meshbridge.dump import endpoint_object, service_object
from meshbridge.service import Endpoint, Port, Service, Source

T = TypeVar("T", bound=Hashable)
Names = tuple[str, str]
"""What both sides are called."""


def as_text(difference: Difference, names: Names, limit: int) -> str:
    """Return at most ``limit`` hosts, by name, and as many lines of each."""
    if not difference:
        return f"no differences: {_count(difference.same, 'host')} in both"
    hosts = sorted(_hosts(difference, limit), key=itemgetter(0))
    lines = [_summary(difference, names), f"--- {names[0]}", f"+++ {names[1]}"]
    for _, block in hosts[:limit]:
        lines += block
    if len(hosts) > limit:
        lines.append(f"and {len(hosts) - limit} more: --limit {len(hosts)} shows them all")
    return "\n".join(map(printable, lines))


def _summary(difference: Difference, names: Names) -> str:
    parts = (
        (difference.only_a, f"only in {names[0]}"),
        (difference.only_b, f"only in {names[1]}"),
        (difference.changed, "changed"),
    )
    said = ", ".join(f"{len(hosts)} {words}" for hosts, words in parts if hosts)
    verb = "differs" if difference.hosts == 1 else "differ"
    return f"{_count(difference.hosts, 'host')} {verb}: {said}; {difference.same} alike"


def _hosts(difference: Difference, limit: int) -> Iterator[tuple[str, list[str]]]:
    for mark, services in (("-", difference.only_a), ("+", difference.only_b)):
        for service in services:
            yield service.host, [f"{mark} {service.host}: {_size(service)}"]
    for change in difference.changed:
        yield change.host, [f"  {change.host}", *_bounded(_lines(change), limit)]


def _size(service: Service) -> str:
    ports = ", ".join(port.name for port in service.ports) or "no port"
    return f"{ports}; {_count(len(service.endpoints), 'endpoint')}"


def _bounded(lines: Iterable[str], limit: int) -> Iterator[str]:
    """Return at most ``limit`` lines, and how many there would be more."""
    rest = iter(lines)
    yield from islice(rest, limit)
    left = sum(1 for _ in rest)
    if left:
        yield f"    and {left} more"


def _lines(change: HostChange) -> Iterator[str]:
    if change.namespace is not None:
        yield f"    namespace: {_text(change.namespace[0])} -> {_text(change.namespace[1])}"
    yield from _apart("port", change.ports, _port)
    yield from _apart("alias", change.aliases, str)
    yield from _apart("virtual address", change.addresses, str)
    yield from _apart("label", change.labels, "=".join)
    yield from _apart("source", change.sources, _source)
    yield from _apart("export to", change.export_to, str)
    yield from _apart("endpoint", change.endpoints, _endpoint)
    for each in change.changed:
        yield f"    endpoint {_place(each.a)}: {_fields(each)}"


def _apart(what: str, apart: Apart[T], words: Callable[[T], str]) -> Iterator[str]:
    for mark, found in (("-", apart.a), ("+", apart.b)):
        for each in found:
            yield f"    {mark} {what} {words(each)}"


def _port(port: Port) -> str:
    return f"{port.name}: {port.number}, {port.protocol}"


def _source(source: Source) -> str:
    return f"{source.registry}:{source.name}"


def _endpoint(endpoint: Endpoint) -> str:
    said = [f"weight {endpoint.weight}", str(endpoint.health)]
    if locality := str(endpoint.locality):
        said.append(locality)
    said += map("=".join, endpoint.labels)
    if endpoint.network:
        said.append(f"network {endpoint.network}")
    if endpoint.service_account:
        said.append(f"service account {endpoint.service_account}")
    return f"{_place(endpoint)}: {', '.join(said)}"


def _place(endpoint: Endpoint) -> str:
    ports = " ".join(f"{name}={number}" for name, number in endpoint.ports)
    return f"{endpoint.address} {ports}".rstrip()


def _fields(change: EndpointChange) -> str:
    return ", ".join(
        f"{field.name} {_text(field.a)} -> {_text(field.b)}" for field in change.fields()
    )


def _text(value: str | None) -> str:
    return "none" if value is None else value or '""'


def _count(number: int, one: str) -> str:
    return f"{number} {one}{'' if number == 1 else 's'}"


def as_json(difference: Difference, names: Names, hosts: tuple[int, int], notes: list[str]) -> str:
    """Return all that differs; ``a`` and ``b`` are the sides, and what is alike is left out."""
    found = {
        "a": {"name": names[0], "hosts": hosts[0]},
        "b": {"name": names[1], "hosts": hosts[1]},
        "same": difference.same,
        "only_a": [service_object(service) for service in difference.only_a],
        "only_b": [service_object(service) for service in difference.only_b],
        "changed": [_change(change) for change in difference.changed],
        "not_compared": notes,
    }
    try:
        return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
    except UnicodeEncodeError:
        # A file's name that is no UTF-8 is half surrogate pairs, which can be written escaped only.
        return json.dumps(found, indent=2)


def _change(change: HostChange) -> dict[str, object]:
    found: dict[str, object] = {"host": change.host}
    if change.namespace is not None:
        found["namespace"] = dict(zip("ab", change.namespace, strict=True))
    apart: dict[str, dict[str, list[object]]] = {
        "ports": _sides(change.ports, asdict),
        "aliases": _sides(change.aliases, str),
        "addresses": _sides(change.addresses, str),
        "labels": _sides(change.labels, list),
        "sources": _sides(change.sources, asdict),
        "export_to": _sides(change.export_to, str),
        "endpoints": _sides(change.endpoints, endpoint_object),
    }
    found |= {name: sides for name, sides in apart.items() if any(sides.values())}
    if change.changed:
        found["changed_endpoints"] = [
            {
                "a": endpoint_object(each.a),
                "b": endpoint_object(each.b),
                "fields": [field.name for field in each.fields()],
            }
            for each in change.changed
        ]
    return found


def _sides(apart: Apart[T], plain: Callable[[T], object]) -> dict[str, list[object]]:
    return {"only_a": list(map(plain, apart.a)), "only_b": list(map(plain, apart.b))}
