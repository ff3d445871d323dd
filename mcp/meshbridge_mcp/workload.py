"""Endpoints as istiod gets them: inline in a ServiceEntry, or selected by it.

A ServiceEntry selects WorkloadEntries of its namespace by a label. istiod joins the parts of a host
only where their selectors are equal (pilot/pkg/model/sidecar.go, canMergeServices), and gives each
endpoint that a part selects every port of that part. So only a host of one part can select its
endpoints.
"""

import hashlib

from meshbridge.protos.gen.istio.networking.v1alpha3.sidecar_pb2 import WorkloadSelector
from meshbridge.protos.gen.istio.networking.v1alpha3.workload_entry_pb2 import WorkloadEntry
from meshbridge.service import Endpoint

HOST_LABEL = "meshbridge.io/host"
"""A hash of the host that a WorkloadEntry belongs to; registry data cannot set it."""


def inline(endpoint: Endpoint) -> WorkloadEntry:
    """Return an endpoint as it stands in a ServiceEntry."""
    return WorkloadEntry(
        address=endpoint.address,
        ports=dict(endpoint.ports),
        labels=dict(endpoint.labels),
        network=endpoint.network,
        locality=str(endpoint.locality),
        weight=endpoint.weight,
        service_account=endpoint.service_account,
    )


def selected(host: str, endpoint: Endpoint) -> WorkloadEntry:
    """Return an endpoint as :func:`selector` finds it."""
    spec = inline(endpoint)
    spec.labels[HOST_LABEL] = _mark(host)
    return spec


def selector(host: str) -> WorkloadSelector:
    """Return what selects the endpoints of a host and nothing else."""
    return WorkloadSelector(labels={HOST_LABEL: _mark(host)})


def _mark(host: str) -> str:
    return hashlib.sha256(host.encode()).hexdigest()[:16]
