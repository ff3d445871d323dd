"""How the mesh knows an endpoint: its name in telemetry, and the sidecar that may stand before it.

Sidecars report a call under the names of its two ends. Where the called one has no sidecar, istiod
tells callers the name in the endpoint's labels (canonical-name, else app.kubernetes.io/name, else
app; likewise for the revision), and else that of the ServiceEntry: one service would have one name
where it is called with a sidecar and another where without (pkg/kube/labels/labels.go).
"""

from typing import Final, NamedTuple

from meshbridge.problems import ProblemKind
from meshbridge.publish.findings import Findings, quoted
from meshbridge.publish.hosts import as_label
from meshbridge.publish.labels import CANONICAL_NAME, CANONICAL_REVISION, value_fault
from meshbridge.publish.mesh import TLS_MODE, MeshRules, account_fault
from meshbridge.registration import Instance, Metadata, ServiceId
from meshbridge.service import Labels

_NAMES: Final = frozenset((CANONICAL_NAME, "app.kubernetes.io/name", "app"))
_REVISIONS: Final = (CANONICAL_REVISION, "app.kubernetes.io/version", "version")


class Identity(NamedTuple):
    """How the mesh knows an endpoint."""

    labels: Labels
    service_account: str = ""
    fault: str = ""
    """What is wrong with the service account that the instance names, if anything is."""


class Identities:
    """Those of one registration's instances; equal labels are one object."""

    def __init__(self, service: ServiceId, mesh: MeshRules | None, findings: Findings) -> None:
        """Report to these findings."""
        self._name = service.name if not value_fault(service.name) else as_label(service.name)
        self._mesh = mesh
        self._findings = findings
        self._made: dict[Metadata, Identity] = {}
        self._labels: dict[Labels, Labels] = {}

    def of(self, instance: Instance, labels: Labels) -> Identity:
        """Return the identity of an instance whose metadata make these labels."""
        metadata = instance.metadata
        made = self._made.get(metadata)
        if made is None:
            made = self._made[metadata] = self._make(metadata, labels)
        if made.fault:
            self._findings.instance(
                instance.id,
                ProblemKind.INVALID_INSTANCE,
                made.fault,
                f"let it register {account_fault('')}",
            )
        return made

    def _make(self, metadata: Metadata, labels: Labels) -> Identity:
        further = self._canonical(metadata, labels)
        mesh = self._mesh
        if mesh is None or not mesh.selects(metadata):
            return Identity(self._joined(labels, further))
        own = tuple(pair for pair in labels if pair[0] != TLS_MODE)
        joined = self._joined(own, (*further, (TLS_MODE, mesh.tls_mode)))
        account, key = mesh.service_account.of(metadata), mesh.service_account.key
        if not key or (account and not account_fault(account)):
            return Identity(joined, account)
        found = f"names {quoted(account)}" if account else "names none"
        fault = (
            f"its metadata {quoted(key)} {found} as its service account, so callers refuse its "
            "certificate as soon as another instance names one"
        )
        return Identity(joined, fault=fault)

    def _joined(self, labels: Labels, further: Labels) -> Labels:
        """Return all of them; those that are there already as they are, without a copy."""
        joined = tuple(sorted((*labels, *further))) if further else labels
        return self._labels.setdefault(joined, joined)

    def _canonical(self, metadata: Metadata, labels: Labels) -> Labels:
        """Return what the labels lack for istiod to name the endpoint as its service.

        A revision is said only where metadata that are no label tell one: without any istiod says
        ``latest`` by itself, and each label is bytes for each endpoint.
        """
        keys = {key for key, _ in labels}
        further: list[tuple[str, str]] = []
        if self._name and _NAMES.isdisjoint(keys):
            further.append((CANONICAL_NAME, self._name))
        if keys.isdisjoint(_REVISIONS):
            told = (text for key in _REVISIONS for found, text in metadata if found == key)
            revision = next((text for text in told if text and not value_fault(text)), "")
            if revision:
                further.append((CANONICAL_REVISION, revision))
        return tuple(further)
