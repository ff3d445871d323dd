"""Turns one registration into what it claims in the mesh: a pure function of it and the rules."""

from collections.abc import Iterable, Mapping, Sequence

from meshbridge.problems import ProblemKind
from meshbridge.publish.claim import ClaimKey, Published
from meshbridge.publish.findings import Findings, printable, quoted
from meshbridge.publish.hosts import Wanted, fill_alias, reserved_host, wanted_host
from meshbridge.publish.identity import Identities
from meshbridge.publish.instances import Candidate, Sorted, sort_out
from meshbridge.publish.labels import LabelFault, Selection, select_labels
from meshbridge.publish.locality import NOWHERE, UnreadableLocality, locate
from meshbridge.publish.ports import report_misspelt, service_ports
from meshbridge.publish.registry import Registry
from meshbridge.publish.rules import PublishRules
from meshbridge.registration import Health, Kind, Metadata, RegisteredService, ServiceId
from meshbridge.service import Endpoint, Locality, Port, Source

_MOST_LABEL_FAULTS = 8
_PREFERRED = {Health.HEALTHY: 0, Health.DEGRADED: 1, Health.UNHEALTHY: 2}


def selected(registration: RegisteredService, registry: Registry) -> RegisteredService | None:
    """Return the registration with the instances that the rules select, or ``None`` if it is not.

    This is what the guard judges too: losses among what nobody publishes are none.
    """
    rules = registry.rules
    if not rules.selects(registration.id):
        return None
    if not rules.instances.match:
        return registration
    kept = tuple(each for each in registration.instances if rules.selects_instance(each))
    return RegisteredService(
        registration.id, kept, registration.metadata, registration.consumers, registration.kind
    )


def publish(registration: RegisteredService, registry: Registry, scope: str) -> Published | None:
    """Return what the registration claims, or ``None`` if include and exclude leave it out.

    What cannot be served is left out and stands in ``problems``; the rest is served. Where the
    registration names no protocol, and while it has no instances, a Dubbo interface has dubbo's
    port and all else that of ``publish.protocol``.
    """
    chosen = selected(registration, registry)
    if chosen is None:
        return None
    name = printable(str(chosen.id))
    findings = Findings(registry.name, name)
    protocol = "dubbo" if chosen.kind is Kind.DUBBO_INTERFACE else registry.rules.protocol
    wanted = wanted_host(chosen.id, chosen.kind, registry.rules.host, registry.domain)
    if wanted.host is None:
        _report_refusal(wanted, findings)
        sorted_out = Sorted((), ())
    else:
        sorted_out = sort_out(chosen.instances, protocol, registry, findings)
    ports = service_ports(registry.rules.ports, protocol, sorted_out.ports, findings)
    if "tcp" in ports:
        report_misspelt(sorted_out.ports, findings)
    metadata = [chosen.metadata, *(each.instance.metadata for each in sorted_out.candidates)]
    selections = _labels(metadata, registry.rules, findings)
    return Published(
        key=ClaimKey(registry.name, scope, chosen.id),
        kind=chosen.kind,
        order=registry.order,
        host=wanted.host,
        changes=wanted.changes,
        optional_parts=wanted.optional_parts,
        aliases=_aliases(chosen, registry, wanted, findings),
        namespace=registry.namespace,
        ports=tuple(sorted(ports.values())),
        endpoints=_endpoints(
            sorted_out.candidates, ports, selections[1:], chosen.id, registry.rules, findings
        ),
        labels=selections[0].labels,
        share=registry.rules.share,
        export_to=_export_to(registry),
        keep_last=registry.rules.keep_last,
        addresses=registry.rules.addresses,
        source=Source(registry.name, name),
        problems=findings.problems(),
    )


def _export_to(registry: Registry) -> tuple[str, ...]:
    """Return who may see the services; istiod refuses to be told the own namespace twice."""
    told = registry.rules.export_to
    return tuple(each for each in told if each != registry.namespace or "." not in told)


def _report_refusal(wanted: Wanted, findings: Findings) -> None:
    if wanted.reserved:
        findings.service(
            ProblemKind.REFUSED_HOST,
            wanted.refusal,
            "register it under another name, or use a host template that ends in {domain}",
        )
    else:
        findings.service(
            ProblemKind.INVALID_NAME,
            f"no host can be made of it: {wanted.refusal}",
            "register it under a name with letters or digits that fits into a host name",
        )


def _aliases(
    registration: RegisteredService, registry: Registry, host: Wanted, findings: Findings
) -> tuple[str, ...]:
    if host.host is None:
        return ()
    found: set[str] = set()
    for template in registry.rules.aliases:
        wanted = fill_alias(template, registration.id, registry.domain)
        if wanted.host is None:
            findings.service(
                ProblemKind.REFUSED_HOST,
                f"no alias can be made by {quoted(template)}: {wanted.refusal}",
                "change publish.aliases, or register it under another name",
            )
        elif reserved_host(wanted.host):
            findings.service(
                ProblemKind.REFUSED_HOST,
                f"the alias {wanted.host} is not a registry's to claim",
                "change publish.aliases, or register it under another name",
            )
        else:
            found.add(wanted.host)
    return tuple(sorted(found - {host.host}))


def _labels(
    metadata: Iterable[Metadata], rules: PublishRules, findings: Findings
) -> list[Selection]:
    """Select the labels of each metadata; each key is reported once per service."""
    keep, rename = rules.labels.keep, rules.labels.rename
    selections = [select_labels(each, keep, rename) for each in metadata]
    faults: dict[str, LabelFault] = {}
    for selection in selections:
        for fault in selection.faults:
            faults.setdefault(fault.key, fault)
    for key in sorted(faults)[:_MOST_LABEL_FAULTS]:
        fault = faults[key]
        reason = f"the label {quoted(key)} is left out: {fault.reason}"
        findings.service(ProblemKind.INVALID_LABEL, reason, fault.remedy)
    if len(faults) > _MOST_LABEL_FAULTS:
        findings.service(
            ProblemKind.INVALID_LABEL,
            f"{len(faults) - _MOST_LABEL_FAULTS} more labels are left out",
            "name the keys that are wanted in publish.labels.keep",
        )
    return selections


def _endpoints(
    candidates: Sequence[Candidate],
    ports: Mapping[str, Port],
    selections: Sequence[Selection],
    service: ServiceId,
    rules: PublishRules,
    findings: Findings,
) -> tuple[Endpoint, ...]:
    """Return the endpoints, sorted; an address with the same ports is one, at its healthiest."""
    found: dict[tuple[str, tuple[tuple[str, int], ...]], Endpoint] = {}
    named = {own: _named(own, ports) for own in {each.own.served for each in candidates}}
    identities = Identities(service, rules.mesh, findings)
    localities = _Localities(rules, findings)
    for candidate, selection in zip(candidates, selections, strict=True):
        identity = identities.of(candidate.instance, selection.labels)
        endpoint = Endpoint(
            address=candidate.address,
            ports=named[candidate.own.served],
            weight=candidate.weight,
            health=candidate.instance.health,
            locality=localities.of(candidate),
            labels=identity.labels,
            network=rules.network,
            service_account=identity.service_account,
        )
        key = (endpoint.address, endpoint.ports)
        other = found.setdefault(key, endpoint)
        if _PREFERRED[endpoint.health] < _PREFERRED[other.health]:
            found[key] = endpoint
    return tuple(endpoint for _, endpoint in sorted(found.items(), key=_by_key))


def _by_key(
    item: tuple[tuple[str, tuple[tuple[str, int], ...]], Endpoint],
) -> tuple[str, tuple[tuple[str, int], ...]]:
    return item[0]


def _named(
    own: tuple[tuple[str, int], ...], ports: Mapping[str, Port]
) -> tuple[tuple[str, int], ...]:
    """Return an instance's own numbers by the names of the service's ports, sorted by name."""
    return tuple(sorted((ports[protocol].name, number) for protocol, number in own))


class _Localities:
    """Those of one registration's instances, of which most tell the same."""

    def __init__(self, rules: PublishRules, findings: Findings) -> None:
        self._rules = rules.locality
        self._findings = findings
        self._by_address = bool(rules.locality.cidr.rows)
        self._last: tuple[Metadata, str] | None = None
        self._found = NOWHERE

    def of(self, candidate: Candidate) -> Locality:
        """Return where an instance runs; what cannot be carried is nowhere, and reported."""
        instance = candidate.instance
        last = self._last
        if last is not None and instance.metadata is last[0] and instance.zone == last[1]:
            return self._found
        try:
            found = locate(
                instance.metadata,
                instance.zone,
                candidate.address,
                self._rules.from_,
                self._rules.cidr,
            )
        except UnreadableLocality as fault:
            self._findings.instance(
                instance.id,
                ProblemKind.OTHER,
                f"its zone is not carried: {fault}",
                "register a zone such as region/zone/sub-zone of short printable words",
            )
            return NOWHERE
        if not self._by_address:
            self._last, self._found = (instance.metadata, instance.zone), found
        return found
