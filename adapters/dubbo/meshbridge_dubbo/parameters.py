"""Chooses, of all that Dubbo says of a provider or consumer, what configuration can use; pure."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from meshbridge.registration import Metadata, metadata

MOST: Final = 64
"""Pairs that are kept of one URL, the first by name."""
LONGEST: Final = 256
"""Characters of a key or a value that is kept."""

_TECHNICAL: Final = frozenset(
    {
        # Said elsewhere: in the service's name, the port, the weight, the health, the time.
        "interface",
        "path",
        "protocol",
        "weight",
        "timestamp",
        "enabled",
        "disabled",
        "ssl-enabled",
        "methods",
        "prefer.serialization",
        "category",
        "side",
        # Of the process and of how it registers: nobody can choose by it.
        "anyhost",
        "background",
        "bind.ip",
        "bind.port",
        "check",
        "deprecated",
        "dubbo",
        "dynamic",
        "executor-management-mode",
        "file-cache",
        "generic",
        "logger",
        "mapping-type",
        "mapping.type",
        "metadata-service-port",
        "metadata-type",
        "pid",
        "REGISTRY_CLUSTER",
        "register",
        "register-mode",
        "registry-cluster-type",
        "revision",
        "service-name-mapping",
        "service.name",
        "sticky",
        "unloadClusterRelated",
        # How a call is made, which is the caller's business, and for each method besides.
        "actives",
        "async",
        "connections",
        "delay",
        "executes",
        "ext.protocol",
        "heartbeat",
        "iothreads",
        "lazy",
        "payload",
        "preferred.protocol",
        "queues",
        "retries",
        "threadpool",
        "threads",
        "timeout",
        # A secret between provider and consumer.
        "token",
    }
)
_TECHNICAL_KINDS: Final = ("qos.", "qos-", "dubbo.metadata", "dubbo.endpoints", "default.")


def kept(parameters: Mapping[str, str], methods: str = "") -> Metadata:
    """Return the parameters of Dubbo's that are worth a place, bounded as :func:`bounded` does.

    Its technical ones, secrets, and those of single methods (``sayHello.timeout``, where
    ``methods`` names ``sayHello``) are left out.
    """
    return bounded(
        {
            key: value
            for key, value in parameters.items()
            if key not in _TECHNICAL
            and not key.startswith(_TECHNICAL_KINDS)
            and not ("." in key and key.partition(".")[0] in _names(methods))
        }
    )


def bounded(pairs: Mapping[str, str]) -> Metadata:
    """Return the pairs without those that are empty, too long or not printable, 64 at most."""
    good = {
        key: value
        for key, value in pairs.items()
        if value
        and len(value) <= LONGEST
        and len(key) <= LONGEST
        and key.isprintable()
        and value.isprintable()
    }
    if len(good) > MOST:
        good = dict(sorted(good.items())[:MOST])
    return _shared(metadata(good))


def zone_of(parameters: Mapping[str, str]) -> str:
    """Return ``region/zone``, or as much of it as is told; ``publish.locality`` reads it."""
    region, zone = parameters.get("region", ""), parameters.get("zone", "")
    told = f"{region}/{zone}" if region and "/" not in zone else zone
    return told if len(told) <= LONGEST else ""


@lru_cache(maxsize=4_096)
def _names(methods: str) -> frozenset[str]:
    return frozenset(methods.split(","))


@lru_cache(maxsize=16_384)
def _shared(pairs: Metadata) -> Metadata:
    """Return pairs equal to these, the same each time: providers of one application repeat them."""
    return pairs
