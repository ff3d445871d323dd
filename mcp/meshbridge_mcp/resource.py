"""One configuration resource of any kind, and the bytes in which istiod gets it.

The same document has the same bytes and the same version on every replica and in every process:
nothing is in them that comes from a clock, a counter or a process.
"""

import hashlib
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from meshbridge.protos.gen.google.protobuf.any_pb2 import Any as AnyMessage
from meshbridge.protos.gen.google.protobuf.timestamp_pb2 import Timestamp
from meshbridge.protos.gen.istio.mcp.v1alpha1.metadata_pb2 import Metadata
from meshbridge.protos.gen.istio.mcp.v1alpha1.resource_pb2 import Resource
from meshbridge.service import Labels
from meshbridge_mcp.kinds import NETWORKING

LATE = 4_102_444_800
"""2100-01-01 in Unix seconds."""
_RANKS = 2**31
"""With it the latest create_time is of 2168; Go counts nanoseconds in 64 bits up to 2262."""

_PREFIX = "type.googleapis.com/"
_RESOURCE_TYPE = f"{_PREFIX}{Resource.DESCRIPTOR.full_name}"

SpecT_co = TypeVar("SpecT_co", bound=Message, covariant=True)


@dataclass(frozen=True, slots=True)
class Document(Generic[SpecT_co]):
    """One resource, not yet encoded; its kind is that of its spec."""

    namespace: str
    name: str
    created_at: int
    """Unix time in seconds; :func:`late` makes it."""
    labels: Labels
    annotations: Labels
    spec: SpecT_co

    @property
    def kind(self) -> str:
        """``group/Kind``, as in :mod:`meshbridge_mcp.kinds`."""
        return f"{NETWORKING}/{self.spec.DESCRIPTOR.name}"

    @property
    def full_name(self) -> str:
        """``namespace/name``, by which istiod knows it among those of its kind."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Encoded:
    """One resource as istiod gets it."""

    name: str
    """``namespace/name``"""
    version: str
    """Hash of all that is sent of it."""
    resource: bytes
    """A serialised ``google.protobuf.Any`` that holds an ``istio.mcp.v1alpha1.Resource``."""


def late(identity: bytes) -> int:
    """Return a create_time for the resource that this digest, of 8 bytes or more, stands for.

    It is late, because in istiod the older resource wins a conflict and a user's own should; and
    it differs from resource to resource, because among equals chance decides.
    """
    return LATE + int.from_bytes(identity[-8:]) % _RANKS


def encode(document: Document[Message]) -> Encoded:
    """Return the bytes of a document, the same on every replica and in every process."""
    metadata = Metadata(
        name=document.full_name,
        create_time=Timestamp(seconds=document.created_at),
        labels=dict(document.labels),
        annotations=dict(document.annotations),
    )
    spec = document.spec
    body = spec.SerializeToString(deterministic=True)
    content = hashlib.sha256(metadata.SerializeToString(deterministic=True) + b"\0" + body)
    metadata.version = content.hexdigest()[:16]
    # Always the v1alpha3 message, also where the type asked for says v1: istiod knows no other.
    body_type = f"{_PREFIX}{spec.DESCRIPTOR.full_name}"
    resource = Resource(metadata=metadata, body=AnyMessage(type_url=body_type, value=body))
    wrapped = AnyMessage(
        type_url=_RESOURCE_TYPE, value=resource.SerializeToString(deterministic=True)
    )
    return Encoded(metadata.name, metadata.version, wrapped.SerializeToString(deterministic=True))
