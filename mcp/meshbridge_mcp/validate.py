"""Leaves out of a service whatever istiod would refuse, so that no bad detail costs the host.

istiod refuses in silence: a ServiceEntry that breaks one of its rules is dropped whole, or its old
value stays for ever, and nobody is told.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from meshbridge.problems import Problem, ProblemKind
from meshbridge.service import Endpoint, Labels, Locality, Port, Service, first_source
from meshbridge_mcp.legal import (
    HIGHEST_WEIGHT,
    LOWEST_WEIGHT,
    PROTOCOLS,
    REVISION,
    SEVERAL_HOSTS,
    is_address,
    is_host,
    is_label_key,
    is_label_value,
    is_namespace,
    is_port_name,
    is_port_number,
)

Report = Callable[[ProblemKind, str, str, str], None]
"""Takes (kind, where in the service or empty, reason, remedy)."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """A service that istiod takes, and what had to be left out of it."""

    service: Service | None
    """None when its host or namespace is no legal name: there is nothing to call it then."""
    problems: tuple[Problem, ...]


def repair(service: Service, *, names: bool = False) -> Repaired:
    """Return the service without what istiod would refuse; the same object if it takes all.

    ``names`` lets endpoints pass whose address is a DNS name: they need resolution DNS.
    """
    source = first_source(service, "mcp")
    found: list[Problem] = []

    def report(kind: ProblemKind, where: str, reason: str, remedy: str) -> None:
        subject = f"{source.name} {where}" if where else source.name
        found.append(Problem(source.registry, subject, kind, reason, remedy))

    if not _is_nameable(service, report):
        return Repaired(None, tuple(found))
    ports = _ports(service.ports, report)
    repaired = replace(
        service,
        ports=ports,
        endpoints=_endpoints(service, {port.name for port in ports}, report, names=names),
        labels=_service_labels(service.labels, report),
        aliases=_aliases(service, ports, report),
        addresses=_addresses(service.addresses, report),
    )
    return Repaired(service if repaired == service else repaired, tuple(found))


def _is_nameable(service: Service, report: Report) -> bool:
    if not is_host(service.host):
        report(
            ProblemKind.INVALID_NAME,
            "",
            f"istiod takes no host {service.host!r}",
            "choose another with `publish.host`",
        )
        return False
    if not is_namespace(service.namespace):
        report(
            ProblemKind.INVALID_NAME,
            "",
            f"{service.namespace!r} is no name of a namespace",
            "set `publish.namespace` to at most 63 of a-z, 0-9 and `-`",
        )
        return False
    return True


def _ports(ports: Iterable[Port], report: Report) -> tuple[Port, ...]:
    """Keep the ports that are legal and whose name and number nothing before them has."""
    kept: list[Port] = []
    for port in ports:
        if reason := _port_fault(port, kept):
            report(
                ProblemKind.INVALID_PORT,
                f"port {port.number}",
                reason,
                "name the service's ports with `publish.ports`",
            )
        else:
            kept.append(port)
    return tuple(kept)


def _port_fault(port: Port, others: Iterable[Port]) -> str:
    if not is_port_number(port.number):
        return "it is not between 1 and 65535"
    if port.protocol not in PROTOCOLS:
        return f"istiod is not told of protocol {port.protocol!r}"
    if not is_port_name(port.name):
        return f"istiod takes no port name {port.name!r}"
    if any(other.number == port.number or other.name == port.name for other in others):
        return "another port of the service has its number or name"
    return ""


def _aliases(service: Service, ports: Iterable[Port], report: Report) -> tuple[str, ...]:
    """Keep what can be a further host of the ServiceEntry."""
    plain = [port.name for port in ports if port.protocol not in SEVERAL_HOSTS]
    kept: list[str] = []
    for alias in service.aliases:
        if not is_host(alias):
            reason, remedy = "istiod takes no such host", "correct `publish.aliases`"
        elif plain:
            reason = f"istiod takes one name for a host with a port like {plain[0]}"
            remedy = "call it by its host, or publish that port under a host of its own"
        else:
            kept.append(alias)
            if "." not in alias:
                _report_short(alias, report)
            continue
        report(ProblemKind.INVALID_NAME, f"alias {alias}", reason, remedy)
    return tuple(kept)


def _report_short(alias: str, report: Report) -> None:
    report(
        ProblemKind.OTHER,
        f"alias {alias}",
        f"it is balanced only: in a rule istiod reads it as {alias}.default.svc.cluster.local",
        "let callers that need rules use its host, or an alias with a dot",
    )


def _addresses(addresses: tuple[str, ...], report: Report) -> tuple[str, ...]:
    """Keep one: with several istiod serves an unpredictable one, and repeats all endpoints."""
    kept: list[str] = []
    for address in addresses:
        if kept or not is_address(address):
            reason = "a host has one virtual address" if kept else "it is not an IP address"
            remedy = "set `publish.addresses` to `virtual` or `none`"
            report(ProblemKind.OTHER, f"virtual address {address}", reason, remedy)
        else:
            kept.append(address)
    return tuple(kept)


def _service_labels(labels: Labels, report: Report) -> Labels:
    """Keep legal labels, without the one that lets istiods of another revision delete the host."""
    kept = tuple((key, value) for key, value in labels if _label_fault(key, value) is None)
    for key, value in labels:
        if fault := _label_fault(key, value):
            _report_label(report, key, fault, "")
    if any(key == REVISION for key, _ in kept):
        _report_label(report, REVISION, "it would hide the host from other revisions", "")
        kept = tuple(pair for pair in kept if pair[0] != REVISION)
    return kept


def _endpoints(
    service: Service, ports: set[str], report: Report, *, names: bool
) -> tuple[Endpoint, ...]:
    """Keep legal endpoints with their legal ports and labels; say bad labels once per key."""
    kept: list[Endpoint] = []
    labels: Counter[tuple[str, str]] = Counter()
    for endpoint in service.endpoints:
        if not _is_reachable(endpoint.address, report, names=names):
            continue
        repaired = _endpoint(endpoint, ports, report)
        if repaired is None:
            continue
        for key, value in repaired.labels:
            if fault := _label_fault(key, value):
                labels[key, fault] += 1
        if labels:
            repaired = replace(repaired, labels=_legal(repaired.labels))
        kept.append(repaired)
    for (key, fault), times in sorted(labels.items()):
        _report_label(report, key, fault, f" of {times} instances" if times > 1 else "")
    return tuple(kept)


def _is_reachable(address: str, report: Report, *, names: bool) -> bool:
    if is_address(address) or (names and is_host(address)):
        return True
    report(
        ProblemKind.INVALID_INSTANCE,
        address,
        "istiod takes only an IP address as an endpoint here",
        "register the instance with its IP address",
    )
    return False


def _endpoint(endpoint: Endpoint, names: set[str], report: Report) -> Endpoint | None:
    ports = _endpoint_ports(endpoint, names, report)
    if not ports:
        report(
            ProblemKind.INVALID_INSTANCE,
            endpoint.address,
            "it has none of the service's ports",
            "register a port, or name the service's with `publish.ports`",
        )
        return None
    weight = min(max(endpoint.weight, LOWEST_WEIGHT), HIGHEST_WEIGHT)
    if weight != endpoint.weight:
        report(
            ProblemKind.INVALID_INSTANCE,
            endpoint.address,
            f"weight {endpoint.weight} is sent as {weight}",
            f"register a weight between {LOWEST_WEIGHT / 100:g} and {HIGHEST_WEIGHT / 100:g}",
        )
    locality = _locality(endpoint, report)
    if (ports, weight, locality) == (endpoint.ports, endpoint.weight, endpoint.locality):
        return endpoint
    return replace(endpoint, ports=ports, weight=weight, locality=locality)


def _endpoint_ports(
    endpoint: Endpoint, names: set[str], report: Report
) -> tuple[tuple[str, int], ...]:
    kept: dict[str, int] = {}
    for name, number in endpoint.ports:
        if name in names and name not in kept and is_port_number(number):
            kept[name] = number
        else:
            report(
                ProblemKind.INVALID_PORT,
                f"{endpoint.address}:{number}",
                f"port {name!r} is none of the service's, is there twice or has no legal number",
                "register the instance with a port between 1 and 65535",
            )
    return tuple(sorted(kept.items()))


def _locality(endpoint: Endpoint, report: Report) -> Locality:
    """Keep a locality that survives istiod's ``region/zone/sub-zone``, or send none."""
    locality = endpoint.locality
    parts = (locality.region, locality.zone, locality.sub_zone)
    if not any("/" in part or not part.isprintable() for part in parts):
        return locality
    report(
        ProblemKind.INVALID_INSTANCE,
        endpoint.address,
        f"locality {parts!r} has a `/` or an unprintable character in a part",
        "correct the zone in the registry, or choose another source with `publish.locality`",
    )
    return Locality()


def _legal(labels: Labels) -> Labels:
    return tuple((key, value) for key, value in labels if _label_fault(key, value) is None)


def _label_fault(key: str, value: str) -> str | None:
    if not is_label_key(key):
        return "istiod takes no such key"
    if not is_label_value(value):
        return "istiod takes at most 63 of A-Z, a-z, 0-9, `-`, `_` and `.` as a value"
    return None


def _report_label(report: Report, key: str, fault: str, where: str) -> None:
    report(
        ProblemKind.INVALID_LABEL,
        f"label {key!r}{where}",
        fault,
        "rename it with `publish.labels.rename` or drop it with `publish.labels.keep`",
    )
