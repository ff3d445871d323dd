"""Every message that Envoy, gRPC and istiod are spoken to with, typed, in one private pool.

Import messages as upstream documents them, below ``meshbridge.protos.gen``::

    from meshbridge.protos.gen.envoy.config.cluster.v3.cluster_pb2 import Cluster
    from meshbridge.protos.gen.google.protobuf.any_pb2 import Any
    from meshbridge.protos.gen.google.protobuf.duration_pb2 import Duration
    from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import ServiceEntry

Well-known types (Any, Duration, Struct, the wrappers) must come from there too: the classes of
``google.protobuf`` belong to another pool and are refused as fields. ``json_format`` needs
``descriptor_pool=private_pool()`` as soon as an Any is inside. ``gen`` is made by the build hook.
"""

from meshbridge.protos.pool import message_class, private_pool

__all__ = ["message_class", "private_pool"]
