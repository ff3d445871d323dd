"""A pod as Istio makes one: a network of its own, in which Envoy takes whatever goes out."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from meshbridge.testing import FaultProxy
from rig.envoy import Envoy, bootstrap
from rig.istiod import Istiod
from rig.nacos import GRPC, Nacos
from rig.network import Namespace
from rig.waiting import until

OUTBOUND = 15001
"""Where istiod lets a sidecar take the connections that are redirected to it."""

PLAIN = {
    "apiVersion": "security.istio.io/v1",
    "kind": "PeerAuthentication",
    "metadata": {"name": "default", "namespace": "istio-system"},
    "spec": {"mtls": {"mode": "DISABLE"}},
}
"""What istiod must hold: an Envoy that redirects waits for certificates otherwise, and for ever."""


def in_turns(host: str) -> Mapping[str, object]:
    """Return what istiod must hold for the endpoints of a host to take connections in turns.

    Otherwise the one with the fewest takes each: whoever joined last, for as long as the callers
    that were there before keep theirs.
    """
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "in-turns", "namespace": "default"},
        "spec": {"host": host, "trafficPolicy": {"loadBalancer": {"simple": "ROUND_ROBIN"}}},
    }


@asynccontextmanager
async def sidecar_in(network: Namespace, istiod: Istiod, directory: Path) -> AsyncGenerator[Envoy]:
    """Let Envoy capture what goes out of the network, which is there; it knows only istiod."""
    host, _, port = istiod.discovery.rpartition(":")
    async with FaultProxy(host, int(port), host=network.outside) as way:
        fed = bootstrap(
            f"{network.outside}:{way.port}",
            api="DELTA_GRPC",
            node=f"sidecar~{network.inside}~caller-1.default~default.svc.cluster.local",
            cluster="caller.default",
            metadata={
                "NAMESPACE": "default",
                "CLUSTER_ID": "Kubernetes",
                "ISTIO_VERSION": "1.31.0",
                "INTERCEPTION_MODE": "REDIRECT",
                "LABELS": {"app": "caller"},
            },
        )
        admin = {"socket_address": {"address": network.inside, "port_value": 0}}
        fed["admin"] = {"address": admin}
        async with Envoy(directory, fed, before=network.proxy()) as envoy:
            await until(envoy.is_live, bool, within=20)
            network.capture(OUTBOUND)
            yield envoy


@asynccontextmanager
async def reached(nacos: Nacos, network: Namespace) -> AsyncGenerator[str]:
    """Give Nacos' address inside; a client takes the gRPC port for a thousand above it."""
    here, port, outside = "127.0.0.1", nacos.port, network.outside
    async with (
        FaultProxy(here, port, host=outside, port=port),
        FaultProxy(here, port + GRPC, host=outside, port=port + GRPC),
    ):
        yield f"{outside}:{port}"
