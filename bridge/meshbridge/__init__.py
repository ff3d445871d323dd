"""Bridges service registries into an Istio or Envoy mesh.

This package is the core and the SDK for adapters; what is exported here is the SDK.
"""

from meshbridge.adapter import (
    Adapter,
    AdapterType,
    Changed,
    Context,
    Emit,
    Gone,
    Listing,
    NamesDomain,
    Removed,
    Stale,
    Update,
)
from meshbridge.errors import BadData, RegistryRejected, RegistryUnavailable
from meshbridge.poll import Fetched, poll
from meshbridge.registration import (
    Consumer,
    Health,
    Instance,
    InstancePort,
    Kind,
    RegisteredService,
    ServiceId,
    metadata,
)

__all__ = [
    "Adapter",
    "AdapterType",
    "BadData",
    "Changed",
    "Consumer",
    "Context",
    "Emit",
    "Fetched",
    "Gone",
    "Health",
    "Instance",
    "InstancePort",
    "Kind",
    "Listing",
    "NamesDomain",
    "RegisteredService",
    "RegistryRejected",
    "RegistryUnavailable",
    "Removed",
    "ServiceId",
    "Stale",
    "Update",
    "metadata",
    "poll",
]
