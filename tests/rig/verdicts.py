"""What meshbridge and istiod say of a broken service, side by side, and why we may be stricter."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random

from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import (
    ServiceEntry,
    ServicePort,
)
from meshbridge.protos.gen.istio.networking.v1alpha3.workload_entry_pb2 import WorkloadEntry
from meshbridge.service import Service
from meshbridge_mcp.legal import PROTOCOLS
from meshbridge_mcp.resource import LATE, Document, Encoded, encode
from meshbridge_mcp.validate import repair
from rig import breaking_endpoints, breaking_names
from rig.breaking import Rule
from rig.istio_rules import is_namespace, refused_by_istiod, takes_label
from rig.odd_services import OURS, plain_service

RULES = (*breaking_names.RULES, *breaking_endpoints.RULES)
NAMED = breaking_endpoints.NAMED
"""Rules for endpoints whose address may be a DNS name."""

KEPT, REPAIRED, REFUSED = "kept", "repaired", "refused"
"""What we do with a service: it is sent as it is, without a detail, or not at all."""


@dataclass(frozen=True, slots=True)
class Case:
    """One broken service, as it would go out if nobody looked at it."""

    rule: Rule
    number: int
    service: Service
    entry: ServiceEntry | None
    raw: Encoded | None
    """None, as the entry, where no message can say it."""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name of the unrepaired resource, as ``/debug/configz`` shows them."""
        return self.service.namespace or "default", f"raw-{self.number}"

    @property
    def ours(self) -> str:
        """What we do with it."""
        repaired = repair(self.service, names=self.rule in NAMED).service
        if repaired is None:
            return REFUSED
        return KEPT if repaired is self.service else REPAIRED

    @property
    def foretold(self) -> bool:
        """Whether our own copy of istio's rules says that istiod takes it."""
        return (
            self.raw is not None
            and self.entry is not None
            and not refused_by_istiod(self.entry)
            and "/" not in self.service.namespace
        )

    def __str__(self) -> str:
        """Say what was done to which service."""
        return f"{self.rule.name}: {self.service}"


def cases(seed: int, each: int) -> list[Case]:
    """Return so many cases of each rule."""
    chance = Random(seed)  # noqa: S311 - to be the same each time
    made: list[Case] = []
    for rule in (*RULES, *NAMED):
        for _ in range(each):
            service = rule.change(chance, plain_service(chance, len(made)))
            made.append(_case(rule, len(made), service))
    return made


def _case(rule: Rule, number: int, service: Service) -> Case:
    """Return it with what would be sent if nothing was checked."""
    try:
        entry = _entry(service)
        if rule in NAMED:
            entry.resolution = ServiceEntry.DNS
        document = Document(service.namespace, f"raw-{number}", LATE, service.labels, (), entry)
        return Case(rule, number, service, entry, encode(document))
    except ValueError:  # a number of more bits, or half a surrogate pair
        return Case(rule, number, service, None, None)


def _entry(service: Service) -> ServiceEntry:
    return ServiceEntry(
        hosts=[service.host, *service.aliases],
        addresses=service.addresses,
        ports=[
            ServicePort(
                number=port.number,
                protocol=PROTOCOLS.get(port.protocol, port.protocol.upper()),
                name=port.name,
            )
            for port in service.ports
        ],
        location=ServiceEntry.MESH_INTERNAL,
        resolution=ServiceEntry.STATIC,
        endpoints=[
            WorkloadEntry(
                address=each.address,
                ports=dict(each.ports),
                labels=dict(each.labels),
                locality=str(each.locality),
                weight=each.weight,
            )
            for each in service.endpoints
        ],
    )


def _names(service: Service) -> tuple[str, ...]:
    return service.host, *service.aliases


def _texts(service: Service) -> Iterable[str]:
    return (*service.addresses, *(each.address for each in service.endpoints))


def _keys(service: Service) -> list[str]:
    pairs = [*service.labels, *(pair for each in service.endpoints for pair in each.labels)]
    return [key for key, _ in pairs]


def _are_labels(pairs: Iterable[tuple[str, str]]) -> bool:
    return all(takes_label(*pair) for pair in pairs)


STRICTER: Mapping[str, Callable[[Service], bool]] = {
    "a wildcard is the name of no service": lambda service: any(
        "*" in name for name in _names(service)
    ),
    "no caller asks for a name with a dot at its end": lambda service: any(
        name.endswith(".") for name in (*_names(service), *_texts(service))
    ),
    "callers read a name that ends in a number as an address": lambda service: any(
        name.rpartition(".")[2].isdigit() for name in (*_names(service), *_texts(service))
    ),
    "a label is all that Kubernetes takes as a namespace, and istiod looks at none": (
        lambda service: not is_namespace(service.namespace)
    ),
    "of a resource's labels Kubernetes takes fewer, and istiod looks at none": (
        lambda service: not _are_labels(service.labels)
    ),
    "labels of endpoints are held to the same rule as those of services": lambda service: (
        not all(_are_labels(each.labels) for each in service.endpoints)
    ),
    "no domain has a label of more than 63 characters, nor has the prefix of a key": (
        lambda service: any(
            len(part) > 63 for key in _keys(service) for part in key.rpartition("/")[0].split(".")
        )
    ),
    "a revision would hide the host from other istiods": (
        lambda service: "istio.io/rev" in dict(service.labels)
    ),
    "we name ports ourselves, in lower case": (
        lambda service: any(port.name != port.name.lower() for port in service.ports)
    ),
    "no service of ours has the protocol": (
        lambda service: any(port.protocol not in OURS for port in service.ports)
    ),
    "Envoy takes no address with a zone": lambda service: any(
        "%" in text for text in _texts(service)
    ),
    "a network is no virtual address": lambda service: any(
        "/" in address for address in service.addresses
    ),
    "of several virtual addresses istiod serves any": lambda service: len(service.addresses) > 1,
    "an instance has an IP address": lambda service: any(
        each.address.startswith("unix:") for each in service.endpoints
    ),
    "istiod would give an endpoint without ports all of the service's": lambda service: any(
        not each.ports for each in service.endpoints
    ),
    "of one name an endpoint has one port": lambda service: any(
        len(dict(each.ports)) < len(each.ports) for each in service.endpoints
    ),
    "istiod reads 0 as 1, and Envoy adds weights up in 32 bits": lambda service: (
        not all(1 <= each.weight <= 10**7 for each in service.endpoints)
    ),
    "istiod takes a slash for the next part of a locality": lambda service: any(
        "/" in part or not part.isprintable()
        for each in service.endpoints
        for part in (each.locality.region, each.locality.zone, each.locality.sub_zone)
    ),
}
"""Where istiod takes what we do not send: the reason, and what it applies to."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What both said of a case."""

    case: Case
    ours: str
    istiod: str
    """``takes``, ``refuses`` or, where nobody could ask it, ``cannot be told``."""

    @property
    def reasons(self) -> list[str]:
        """Why we may be stricter here."""
        return [reason for reason, applies in STRICTER.items() if applies(self.case.service)]

    @property
    def agrees(self) -> bool:
        """Whether both let it through or neither does."""
        return (self.ours == KEPT) == (self.istiod == "takes")

    @property
    def is_explained(self) -> bool:
        """Whether both agree, or we are stricter with a reason."""
        return self.agrees or (self.ours != KEPT and bool(self.reasons))


def verdicts(made: Iterable[Case], held: Iterable[tuple[str, str]]) -> list[Verdict]:
    """Return what both said; ``held`` are the (namespace, name) in istiod's store."""
    there = frozenset(held)
    return [
        Verdict(
            case,
            case.ours,
            "cannot be told" if case.raw is None else ("takes" if case.key in there else "refuses"),
        )
        for case in made
    ]


def table(found: Iterable[Verdict]) -> str:
    """Return how often each pair of verdicts was found, by rule."""
    counted = Counter((each.case.rule.name, each.ours, each.istiod) for each in found)
    return "\n".join(
        f"{name:48} {times:3} {ours:8} istiod {istiod}"
        for (name, ours, istiod), times in counted.items()
    )
