"""How the mesh knows an endpoint: its name in telemetry, and the sidecar that may stand before it.

Sidecars report a call under the names of its two ends. Where the called one has no sidecar, istiod
tells callers the name in the endpoint's labels (canonical-name, else app.kubernetes.io/name, else
app; likewise for the revision), and else that of the ServiceEntry: one service would have one name
where it is called with a sidecar and another where without (pkg/kube/labels/labels.go).
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from meshbridge.problems import ProblemKind
from meshbridge.publish.findings import Findings, quoted
from meshbridge.publish.hosts import as_label
from meshbridge.publish.labels import CANONICAL_NAME, CANONICAL_REVISION, value_fault
from meshbridge.publish.mesh import TLS_MODE, MeshRules, account_fault
from meshbridge.registration import Instance, Metadata, ServiceId
from meshbridge.service import Labels

_NAMES: Final = (CANONICAL_NAME, "app.kubernetes.io/name", "app")
_REVISIONS: Final = (CANONICAL_REVISION, "app.kubernetes.io/version", "version")


class Identity(NamedTuple):
    """How the mesh knows an endpoint."""

    labels: Labels
    service_account: str


class Identities:
    """Those of one registration's instances; equal labels are one object."""

    def __init__(self, service: ServiceId, mesh: MeshRules | None, findings: Findings) -> None:
        """Report to these findings."""
        self._name = service.name if not value_fault(service.name) else as_label(service.name)
        self._mesh = mesh
        self._findings = findings
        self._made: dict[tuple[Labels, Labels], Labels] = {}

    def of(self, instance: Instance, labels: Labels) -> Identity:
        """Return the identity of an instance whose metadata make these labels."""
        mesh = self._mesh
        own = dict(labels)
        further = self._canonical(own, instance.metadata)
        account = ""
        if mesh is not None and mesh.selects(instance.metadata):
            account = self._account(instance, mesh)
            further = (*further, (TLS_MODE, mesh.tls_mode))
        if not further:
            return Identity(labels, account)
        key = (labels, further)
        if key not in self._made:
            self._made[key] = tuple(sorted((own | dict(further)).items()))
        return Identity(self._made[key], account)

    def _canonical(self, own: Mapping[str, str], metadata: Metadata) -> Labels:
        """Return what the labels lack for istiod to name the endpoint as its service.

        A revision is said only where metadata that are no label tell one: without any istiod says
        ``latest`` by itself, and each label is bytes for each endpoint.
        """
        further: list[tuple[str, str]] = []
        if self._name and not any(key in own for key in _NAMES):
            further.append((CANONICAL_NAME, self._name))
        if not any(key in own for key in _REVISIONS):
            told = (text for key in _REVISIONS for found, text in metadata if found == key)
            revision = next((text for text in told if text and not value_fault(text)), "")
            if revision:
                further.append((CANONICAL_REVISION, revision))
        return tuple(further)

    def _account(self, instance: Instance, mesh: MeshRules) -> str:
        account = mesh.service_account.of(instance.metadata)
        key = mesh.service_account.key
        if not key or (account and not account_fault(account)):
            return account
        found = f"names {quoted(account)}" if account else "names none"
        self._findings.instance(
            instance.id,
            ProblemKind.INVALID_INSTANCE,
            f"its metadata {quoted(key)} {found} as its service account, so callers refuse its "
            "certificate as soon as another instance names one",
            f"let it register {account_fault('')}",
        )
        return ""
