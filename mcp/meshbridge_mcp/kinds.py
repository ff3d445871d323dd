"""Which types istiod asks for and what each means, whatever its release calls them.

A type URL is ``group/version/Kind`` without a prefix. The version changed with istio's releases
(v1alpha3 until 1.23, v1 since) while the content did not, so what counts is group and kind; and the
answer must repeat the URL as asked, or istiod takes it for an unknown type and never gets ready.
"""

from meshbridge_xds.resources import ResourceType

NETWORKING = "networking.istio.io"
SERVICE_ENTRY = f"{NETWORKING}/ServiceEntry"
WORKLOAD_ENTRY = f"{NETWORKING}/WorkloadEntry"
VIRTUAL_SERVICE = f"{NETWORKING}/VirtualService"

FROM_SERVICES = (SERVICE_ENTRY, WORKLOAD_ENTRY, VIRTUAL_SERVICE)
"""Unanswered until services are known: an empty answer would delete what istiod holds.

In the order of answers that are due together: a VirtualService sends to what must be there.
"""

_WORKLOADS_FIRST = (WORKLOAD_ENTRY, SERVICE_ENTRY, VIRTUAL_SERVICE)

NOT_ISTIOS = "not istio's"
"""Types of Envoy's own: an Envoy sent to the wrong port must not be told that it has none."""

WITHHELD = (*FROM_SERVICES, NOT_ISTIOS)
"""Not answered while nothing is known of it, and of Envoy's own types nothing ever is."""

_PARTS = 3
_KNOWN = frozenset(
    {
        *FROM_SERVICES,
        "extensions.istio.io/TrafficExtension",
        "extensions.istio.io/WasmPlugin",
        f"{NETWORKING}/DestinationRule",
        f"{NETWORKING}/EnvoyFilter",
        f"{NETWORKING}/Gateway",
        f"{NETWORKING}/ProxyConfig",
        f"{NETWORKING}/Sidecar",
        f"{NETWORKING}/WorkloadGroup",
        "security.istio.io/AuthorizationPolicy",
        "security.istio.io/PeerAuthentication",
        "security.istio.io/RequestAuthentication",
        "telemetry.istio.io/Telemetry",
    }
)


def resource_type(type_url: str, *, workloads_first: bool = False) -> ResourceType:
    """Return how a type is served: always whole, since to istiod absence is removal.

    Every type of istiod's form is answered, also one of a later release: it is not ready before.

    ``workloads_first`` is for endpoints that are WorkloadEntries: a ServiceEntry that selects what
    istiod does not have yet has no endpoints. Otherwise they go last, because what a ServiceEntry
    selected until now must not go before the ServiceEntry has endpoints of its own.
    """
    parts = type_url.split("/")
    if len(parts) != _PARTS:
        return ResourceType(url=type_url, offered_as=NOT_ISTIOS)
    group, _, kind = parts
    name = f"{group}/{kind}"
    label = kind if name in _KNOWN else "other"
    order = _WORKLOADS_FIRST if workloads_first else FROM_SERVICES
    rank = order.index(name) if name in order else len(order)
    return ResourceType(url=type_url, offered_as=name, label=label, stubs=True, rank=rank)
