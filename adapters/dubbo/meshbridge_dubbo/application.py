"""Reads the instances of applications, Dubbo's and Spring Cloud's; pure."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from meshbridge import BadData, Health, Instance, InstancePort
from meshbridge_dubbo.decoding import (
    Record,
    a_list,
    a_port,
    a_text,
    an_object,
    decoded,
    record,
    texts,
)
from meshbridge_dubbo.parameters import bounded, kept, zone_of
from meshbridge_dubbo.provider import bounded_name, moment
from meshbridge_dubbo.url import flag, shown, whole_number

_ENDPOINTS: Final = "dubbo.endpoints"
_REVISION: Final = "dubbo.metadata.revision"
_STORAGE: Final = "dubbo.metadata.storage-type"
_SERVICE: Final = "dubbo.metadata-service.url-params"
_META_VERSION: Final = "meta-v"
_NO_REVISION: Final = "0"
"""Of an instance that exports nothing (RevisionResolver.EMPTY_REVISION)."""
_DUBBOS_CLASS: Final = "org.apache.dubbo."
_SPRINGS_CLASS: Final = "org.springframework."
_STATUS: Final = "instance_status"
_MOST_ENDPOINTS: Final = 64
_LONGEST_REVISION: Final = 100
"""Characters; Dubbo's is an MD5 sum in hexadecimal (RevisionResolver.java)."""
_LONGEST_ADDRESS: Final = 255
"""Characters, as DNS allows."""

_STATES: Final[Mapping[str, Health]] = {
    "": Health.HEALTHY,
    "UP": Health.HEALTHY,
    "OUT_OF_SERVICE": Health.DISABLED,
}
"""By Spring's ``instance_status``; with any other its own callers leave the instance out."""


class Framework(enum.Enum):
    """Who registered an instance."""

    DUBBO = "dubbo"
    SPRING = "spring"
    OTHER = "other"
    """Anybody who uses Curator's service discovery, whose form both of them use."""


@dataclass(frozen=True, slots=True)
class MetadataService:
    """Where an instance tells its interfaces itself."""

    port: int
    protocol: str
    version: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class ApplicationInstance:
    """One process of an application."""

    application: str
    instance: Instance
    framework: Framework = Framework.OTHER
    revision: str = ""
    """Of what it exports; instances of one revision export the same. Empty: nothing, not told."""
    storage: str = ""
    """``remote``: its metadata are in the registry; ``local``: it tells them itself."""
    metadata_version: str = ""
    """2.0.0 where MetadataServiceV2 answers over Triple, else 1.0.0 (``meta-v``)."""
    metadata_service: MetadataService | None = None
    """Where the registration tells it; with remote storage Dubbo does not."""
    exports: bool = False
    """Whether it may export interfaces: one of Dubbo's that does not say that it exports nothing.

    Dubbo 2.7.23 with ``registry-type=service`` tells no revision, whatever it exports.
    """

    @property
    def answers_over_triple(self) -> bool:
        """Whether its metadata service can be asked in plain gRPC, which Triple is."""
        return self.metadata_service is not None and self.metadata_version == "2.0.0"


def read_instance(application: str, node: str, data: bytes) -> ApplicationInstance:
    """Read what Curator's service discovery holds of an instance: the data of its node.

    Curator 5.1 writes no ``enabled``; missing is true. Raises BadData.
    """
    held = record(data, "the instance")
    payload = held.get("payload")
    # Curator lets anybody put anything there; those two put an object.
    told = cast("Record", payload) if isinstance(payload, dict) else {}
    kind = a_text(told.get("@class"), "its @class")
    pairs = texts(told.get("metadata"), "its metadata")
    address = _address(a_text(held.get("address"), "its address"))
    port = a_port(held.get("port"), "its port")
    enabled = True if held.get("enabled") is None else held["enabled"]
    if not isinstance(enabled, bool):
        raise BadData(f"its field enabled is {shown(enabled)}")
    registered_at = _registered_at(pairs, held)
    if is_dubbos(pairs) or kind.startswith(_DUBBOS_CLASS):
        base = Instance(node, address, (), registered_at=registered_at)
        return dubbo_instance(application, base, port, pairs, enabled=enabled)
    ports = _spring_ports(port, a_port(held.get("sslPort"), "its sslPort"), pairs)
    if not ports:
        raise BadData("it has no port")
    state = _STATES.get(pairs.get(_STATUS, "").upper(), Health.UNHEALTHY)
    instance = Instance(
        node,
        address,
        ports,
        health=state if enabled else Health.DISABLED,
        metadata=bounded({key: value for key, value in pairs.items() if key != _STATUS}),
        zone=zone_of(pairs),
        registered_at=registered_at,
    )
    spring = kind.startswith(_SPRINGS_CLASS) or _STATUS in pairs
    return ApplicationInstance(
        application, instance, Framework.SPRING if spring else Framework.OTHER
    )


def is_dubbos(pairs: Mapping[str, str]) -> bool:
    """Return whether an instance's metadata are those of a Dubbo application."""
    return _ENDPOINTS in pairs or _REVISION in pairs or _SERVICE in pairs


def dubbo_instance(
    application: str, base: Instance, port: int, pairs: Mapping[str, str], *, enabled: bool = True
) -> ApplicationInstance:
    """Return a Dubbo application's instance of the flat metadata that every registry holds.

    ``base`` gives id, address and registration time, ``port`` is the registered one. Raises
    BadData.
    """
    service = _metadata_service(pairs.get(_SERVICE, ""))
    ports = _endpoints(pairs.get(_ENDPOINTS, ""))
    if not ports:
        if not port:
            raise BadData("it has no port")
        same = service is not None and service.port == port
        ports = (InstancePort(port, service.protocol if service and same else "dubbo"),)
    out = not enabled or flag(pairs, "disabled", default=False)
    instance = Instance(
        base.id,
        base.address,
        ports,
        health=Health.DISABLED if out else base.health,
        metadata=kept({key: value for key, value in pairs.items() if key != _META_VERSION}),
        zone=zone_of(pairs) or base.zone,
        registered_at=base.registered_at,
    )
    revision = pairs.get(_REVISION, "")
    if len(revision) > _LONGEST_REVISION or not revision.isprintable():
        raise BadData(f"its {_REVISION} is {shown(revision)}, no revision")
    return ApplicationInstance(
        application,
        instance,
        Framework.DUBBO,
        "" if revision == _NO_REVISION else revision,
        pairs.get(_STORAGE, ""),
        pairs.get(_META_VERSION, ""),
        service,
        exports=revision != _NO_REVISION,
    )


def _address(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not bare or len(bare) > _LONGEST_ADDRESS or not bare.isprintable():
        raise BadData(f"its address is {shown(text or None)}")
    return bare


def _endpoints(text: str) -> tuple[InstancePort, ...]:
    if not text:
        return ()
    what = "its dubbo.endpoints"
    listed = a_list(decoded(text, what), what)
    if len(listed) > _MOST_ENDPOINTS:
        raise BadData(f"{what} lists more than {_MOST_ENDPOINTS}")
    ports: list[InstancePort] = []
    for each in listed:
        endpoint = an_object(each, f"an endpoint of {what}")
        port = a_port(endpoint.get("port"), f"a port of {what}")
        protocol = a_text(endpoint.get("protocol"), f"a protocol of {what}")
        if not port:
            raise BadData(f"{what} lists port 0 of protocol {shown(protocol)}")
        ports.append(InstancePort(port, bounded_name(protocol, "protocol")))
    return tuple(dict.fromkeys(ports))


def _metadata_service(text: str) -> MetadataService | None:
    """Return where the parameters say that it is.

    Dubbo 2.7 writes them for each protocol (its ServiceInstanceMetadataUtils.java:117), Dubbo 3
    for one, which they name.
    """
    if not text:
        return None
    what = "its dubbo.metadata-service.url-params"
    held = record(text, what)
    protocol = min((key for key, value in held.items() if isinstance(value, dict)), default="")
    told = texts(held[protocol] if protocol else held, what)
    port = whole_number(told.get("port", ""))
    if port is None or not 0 < port <= 65_535:  # noqa: PLR2004 - the highest port there is
        return None
    return MetadataService(
        port,
        protocol or told.get("protocol", "dubbo"),
        told.get("version", ""),
        told.get("group", ""),
    )


def _spring_ports(
    port: int, secure_port: int, pairs: Mapping[str, str]
) -> tuple[InstancePort, ...]:
    ports: list[InstancePort] = []
    if port and port != secure_port:
        ports.append(InstancePort(port, pairs.get("protocol", "")))
    if secure_port:
        ports.append(InstancePort(secure_port, "https", secure=True))
    return tuple(ports)


def _registered_at(pairs: Mapping[str, str], held: Record) -> float | None:
    found = moment(pairs.get("timestamp", ""))
    if found is None:
        found = moment(str(held.get("registrationTimeUTC")))
    return found
