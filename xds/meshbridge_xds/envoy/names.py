"""How resources are called, and the type URLs and orders in which they are served.

Names follow istiod's (``outbound|<port>|<subset>|<host>``), so that people find in a proxy what
they know.
"""

from google.protobuf.message import Message

from meshbridge.protos.gen.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshbridge.protos.gen.envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from meshbridge.protos.gen.envoy.config.listener.v3.listener_pb2 import Listener
from meshbridge.protos.gen.envoy.config.route.v3.route_pb2 import RouteConfiguration
from meshbridge.protos.gen.google.protobuf.any_pb2 import Any as AnyMessage
from meshbridge_xds import wire
from meshbridge_xds.resources import ResourceType

_PREFIX = "type.googleapis.com/"


def type_url(message: type[Message]) -> str:
    """Return the type URL of a message."""
    return f"{_PREFIX}{message.DESCRIPTOR.full_name}"


def encoded(message: Message) -> bytes:
    """Return the message as an encoded ``Any``, in bytes that depend on its content alone.

    Maps are written in the order of their keys; without that they follow PYTHONHASHSEED.
    """
    return wire.packed_any(type_url(type(message)), message.SerializeToString(deterministic=True))


def packed(message: Message) -> AnyMessage:
    """Return the message as an ``Any``, to be put into another message."""
    value = message.SerializeToString(deterministic=True)
    return AnyMessage(type_url=type_url(type(message)), value=value)


CDS = type_url(Cluster)
EDS = type_url(ClusterLoadAssignment)
LDS = type_url(Listener)
RDS = type_url(RouteConfiguration)

PART = 1024 * 1024
"""Bytes of endpoints in one response: those of two thousand services with ten endpoints each."""

_TYPES = {
    kind.url: kind
    for kind in (
        ResourceType(CDS, rank=0, label="cds"),
        # Envoy waits for the endpoints of each cluster it is told of, even of one it knew.
        ResourceType(EDS, whole=False, part=PART, wildcard=False, rank=1, follows=CDS, label="eds"),
        ResourceType(LDS, rank=2, after=(CDS, EDS), label="lds"),
        ResourceType(
            RDS, whole=False, wildcard=False, rank=3, follows=LDS, after=(CDS, EDS), label="rds"
        ),
    )
}


def served_type(url: str) -> ResourceType:
    """Return how a type is served; one that is not ours is served as being empty."""
    return _TYPES.get(url) or ResourceType(url)


def cluster_name(host: str, port: int) -> str:
    """Return the name of the cluster of one service port; its endpoints have it too."""
    return f"outbound|{port}||{host}"


def parse_cluster_name(name: str) -> tuple[str, int] | None:
    """Return (host, port) of a cluster's name, or ``None`` if it is not one."""
    match name.split("|"):
        case ["outbound", port, "", host] if port.isascii() and port.isdigit():
            return host, int(port)
        case _:
            return None


def http_listener_name(address: str) -> str:
    """Return the name of the listener and of its routes, by where it listens."""
    return f"http|{address}"


def tcp_listener_name(address: str) -> str:
    """Return the name of a listener that forwards connections."""
    return f"tcp|{address}"
