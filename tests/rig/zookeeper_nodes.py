"""The nodes that Dubbo and Spring Cloud write, for those who stand in for many of them."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

STARTED = 1767225600000
"""When every provider began, in milliseconds: long enough ago to be warm."""


@dataclass(frozen=True, slots=True)
class Node:
    """An ephemeral node, by whose name or data an instance is told."""

    path: str
    data: bytes = b""


def provider(
    interface: str, scheme: str, address: str, port: int, params: Mapping[str, str] | None = None
) -> Node:
    """Return what tells of a provider of an interface; ``params`` go before the usual ones."""
    said = {
        "application": "crowd",
        "category": "providers",
        "dubbo": "2.0.2",
        "interface": interface,
        "methods": "greet",
        "release": "3.3.6",
        "side": "provider",
        "timestamp": str(STARTED),
        **(params or {}),
    }
    url = f"{scheme}://{address}:{port}/{interface}?{urlencode(said)}"
    return Node(f"/dubbo/{quote(interface, safe='')}/providers/{quote(url, safe='')}")


def spring(
    service: str, address: str, port: int, metadata: Mapping[str, str] | None = None
) -> Node:
    """Return what tells of an instance of a Spring Cloud service; one place has one name."""
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{service}/{address}:{port}"))
    payload = {
        "@class": "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance",
        "id": service,
        "name": service,
        "metadata": {"instance_status": "UP", **(metadata or {})},
    }
    instance = {
        "name": service,
        "id": name,
        "address": address,
        "port": port,
        "sslPort": None,
        "payload": payload,
        "registrationTimeUTC": STARTED,
        "serviceType": "DYNAMIC",
        "uriSpec": None,
    }
    return Node(f"/services/{service}/{name}", json.dumps(instance).encode())
