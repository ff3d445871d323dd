"""What is sent of a resource that istiod has already: its name and version, a tenth of the bytes.

istiod looks at the body of a resource only if its version differs from the stored one. A resource
whose version istiod has is kept, whatever its body is; one of another version, or one that istiod
refused, is refused again, because the body is no resource of the kind, and what istiod held stays.
So a stub can never bring wrong data, but to an istiod that holds nothing it says nothing and counts
as an answer: it is due only after the resource was acknowledged on the same stream.
"""

from meshbridge.protos.gen.google.protobuf.any_pb2 import Any as AnyMessage
from meshbridge.protos.gen.istio.mcp.v1alpha1.metadata_pb2 import Metadata
from meshbridge.protos.gen.istio.mcp.v1alpha1.resource_pb2 import Resource
from meshbridge_xds.wire import message_field

_TYPE = Resource.DESCRIPTOR.full_name
# The body must be of a type that is linked into istiod, or the resource counts as missing.
_BODY = AnyMessage(type_url="google.protobuf.Empty")
_RESOURCES = 2
"""The number of ``resources`` in a DiscoveryResponse."""


def stub(name: str, version: str) -> bytes:
    """Return the ``resources`` field of a response for ``namespace/name`` in this version."""
    resource = Resource(metadata=Metadata(name=name, version=version), body=_BODY)
    wrapped = AnyMessage(type_url=_TYPE, value=resource.SerializeToString(deterministic=True))
    return message_field(_RESOURCES, wrapped.SerializeToString(deterministic=True))
