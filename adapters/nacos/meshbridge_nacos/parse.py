"""Turns what Nacos says about a service into a registration, record by record; pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, cast

import msgspec

from meshbridge import (
    BadData,
    Health,
    Instance,
    InstancePort,
    RegisteredService,
    ServiceId,
    metadata,
)
from meshbridge.steps import LARGE, Steps, at_once
from meshbridge_dubbo.url import shown
from meshbridge_nacos.options import DEFAULT_GROUP, PUBLIC

Record = Mapping[str, object]
"""A JSON object as decoded."""

DEFAULT_CLUSTER = "DEFAULT"
SEPARATOR = "@@"
"""Between group and service where Nacos writes both in one name."""
PROTOCOL_KEY = "protocol"
"""Metadata by which a registration says what it speaks."""
SECURE_KEY = "secure"
"""Metadata of Spring Cloud Alibaba: ``true`` for an instance that speaks TLS."""
NO_LABELS: Final = frozenset(
    {"IPv6", "management.context-path", "management.endpoints.web.base-path"}
)
"""What Spring Cloud Alibaba registers by itself and no label can hold: an address in brackets and
paths. Kept, each instance would have a problem entry for what nobody did wrong."""
NOT_A_NUMBER: Final = {"NaN", "Infinity", "-Infinity"}
"""How Java's JSON writes the numbers that JSON has no sign for."""
SLICE = 400
"""Instances that are read before others get a turn: about 3 ms."""
_TEXTS: Final = frozenset({str})
_PARTS: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_ANYTHING: Final[Callable[[msgspec.Raw], object]] = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Reading:
    """A service as far as it could be read."""

    service: RegisteredService
    faults: tuple[tuple[str, str], ...] = ()
    """(instance id, reason) of each record that could not be read, in the server's order."""


def service_id(namespace: str, group: str, name: str) -> ServiceId:
    """Return the identity, with Nacos' defaults left empty."""
    return ServiceId(
        namespace="" if namespace == PUBLIC else namespace,
        group="" if group == DEFAULT_GROUP else group,
        name=name,
    )


def plain_name(group: str, name: str) -> str:
    """Return the service's name without the group that some interfaces put before it."""
    return name.removeprefix(group + SEPARATOR)


def told_at(info: Record) -> int | None:
    """Return when the server made the record, in milliseconds of its own clock, if it says so."""
    told = info.get("lastRefTime")
    return told if isinstance(told, int) and not isinstance(told, bool) else None


def is_protected(info: Record) -> bool:
    """Say whether the record is under protection, which makes its health no truth.

    All of its instances are unhealthy, or more than the service's threshold allows, and the server
    calls every one of them healthy (nacos: ServiceUtil.java:256).
    """
    return info.get("reachProtectionThreshold") is True


def mark(info: Record) -> int | None:
    """Return by what the instances in a record are known again, None where they are to be read.

    Servers repeat themselves: each subscription is followed by a push of what was answered. Under
    protection the same words may mean something else.
    """
    hosts = info.get("hosts")
    if not isinstance(hosts, msgspec.Raw) or is_protected(info):
        return None
    return hash(bytes(memoryview(hosts)))


def size_of(info: Record) -> int:
    """Return how many bytes of a record's instances are not decoded."""
    hosts = info.get("hosts")
    return len(memoryview(hosts)) if isinstance(hosts, msgspec.Raw) else 0


def read_service(identity: ServiceId, info: Record) -> Reading:
    """Return the service of a ``ServiceInfo`` record.

    Raises BadData when it holds no list of instances: that is not a service without instances.
    """
    return at_once(reading(identity, info))


def reading(identity: ServiceId, info: Record, before: Iterable[Instance] = ()) -> Steps[Reading]:
    """Do as :func:`read_service`, and pause after every :data:`SLICE` instances.

    An instance that is as it was ``before`` is that very object: whoever compares two readings of
    12,000 instances is then done at once.
    """
    hosts = info.get("hosts")
    if isinstance(hosts, msgspec.Raw):
        hosts = _parted(hosts)
        if size_of(info) >= LARGE:
            yield
    if not isinstance(hosts, list):
        raise BadData(f"its list of instances is {shown(hosts)}")
    protected = is_protected(info)
    known = {each.id: each for each in before}
    instances: dict[str, Instance] = {}
    faults: list[tuple[str, str]] = []
    for position, host in enumerate(cast("list[object]", hosts)):
        if position % SLICE == SLICE - 1:
            yield
        try:
            instance = _read_instance(_decoded(host), protected=protected)
        except BadData as bad:
            faults.append((_unreadable_id(host, position), str(bad)))
        else:
            # One address, port and cluster twice (ephemeral and persistent): they are one process.
            last = known.get(instance.id)
            instances[instance.id] = last if last is not None and last == instance else instance
    return Reading(RegisteredService(identity, tuple(instances.values())), tuple(faults))


def instance_id(address: str, port: int, cluster: str) -> str:
    """Return what an instance is known by: Nacos' own ``instanceId`` is no key (it is a choice).

    The default cluster is left out: ``10.1.0.1:8080``, ``10.1.0.1:8080@hz``.
    """
    host = f"[{address}]" if ":" in address else address
    return f"{host}:{port}" if cluster == DEFAULT_CLUSTER else f"{host}:{port}@{cluster}"


def _parted(hosts: msgspec.Raw) -> object:
    """Return a list's elements as they came, or what there is in place of a list."""
    is_list = bytes(memoryview(hosts)[:1]) == b"["
    return _decoded(hosts, _PARTS if is_list else _ANYTHING)


def _decoded(held: object, decode: Callable[[msgspec.Raw], object] = _ANYTHING) -> object:
    """Return what is held, also where its JSON was left alone until now. Raises BadData."""
    if not isinstance(held, msgspec.Raw):
        return held
    try:
        return decode(held)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadData("the record is no JSON that can be read") from None


def _read_instance(host: object, *, protected: bool) -> Instance:
    if not isinstance(host, dict):
        raise BadData(f"the record is {shown(host)}")
    record = cast("Record", host)
    registered, port = record.get("ip"), record.get("port")
    if not isinstance(registered, str) or not registered:
        raise BadData(f"its ip is {shown(registered)}")
    if not isinstance(port, int) or isinstance(port, bool):
        raise BadData(f"its port is {shown(port)}")
    cluster = record.get("clusterName") or DEFAULT_CLUSTER
    if not isinstance(cluster, str):
        raise BadData(f"its clusterName is {shown(cluster)}")
    pairs = _pairs(record)
    address = _plain_address(registered)
    return Instance(
        id=instance_id(address, port, cluster),
        address=address,
        ports=(_port(port, pairs),),
        weight=_weight(record),
        health=_health(record, protected=protected),
        metadata=metadata(pairs),
        zone="" if cluster == DEFAULT_CLUSTER else cluster,
    )


def _plain_address(registered: str) -> str:
    """Return the address without the brackets that Spring Cloud Alibaba puts around IPv6."""
    bracketed = registered.startswith("[") and registered.endswith("]")
    return registered[1:-1] if bracketed else registered


def _port(number: int, pairs: Mapping[str, str]) -> InstancePort:
    secure = pairs.get(SECURE_KEY, "").lower() == "true"
    protocol = pairs.get(PROTOCOL_KEY, "")
    if secure and protocol in {"", "http"}:
        protocol = "https"
    return InstancePort(number, protocol, secure)


def _weight(record: Record) -> float:
    weight = record.get("weight", 1.0)
    if isinstance(weight, str) and weight in NOT_A_NUMBER:
        return float(weight)
    if not isinstance(weight, int | float) or isinstance(weight, bool):
        raise BadData(f"its weight is {shown(weight)}")
    try:
        return float(weight)
    except OverflowError:
        raise BadData("its weight is too large for a number") from None


def _health(record: Record, *, protected: bool) -> Health:
    if not _flag(record, "enabled"):
        return Health.DISABLED
    if not _flag(record, "healthy"):
        return Health.UNHEALTHY
    return Health.DEGRADED if protected else Health.HEALTHY


def _flag(record: Record, key: str) -> bool:
    flag = record.get(key, True)
    if not isinstance(flag, bool):
        raise BadData(f"its field {key} is {shown(flag)}")
    return flag


def _pairs(record: Record) -> dict[str, str]:
    held = record.get("metadata")
    if held is None:
        return {}
    if not isinstance(held, dict):
        raise BadData(f"its metadata is {shown(held)}")
    found = cast("dict[str, object]", held)
    if _TEXTS.issuperset(map(type, found.values())) and NO_LABELS.isdisjoint(found):
        return cast("dict[str, str]", found)  # nearly always, and ten times faster
    pairs: dict[str, str] = {}
    for key, value in found.items():
        if value is None:
            continue  # Java's way to say that the key has no value
        if not isinstance(value, str):
            raise BadData(f"its metadata {shown(key)} is {shown(value)}")
        if key not in NO_LABELS:
            pairs[key] = value
    return pairs


def _unreadable_id(host: object, position: int) -> str:
    """Return the instance's id if its parts can be read, else the server's own, else its place."""
    if isinstance(host, msgspec.Raw):
        try:
            host = _decoded(host)
        except BadData:
            return f"hosts[{position}]"
    if isinstance(host, dict):
        record = cast("Record", host)
        address, port = record.get("ip"), record.get("port")
        cluster = record.get("clusterName") or DEFAULT_CLUSTER
        if isinstance(address, str) and isinstance(port, int) and isinstance(cluster, str):
            return instance_id(_plain_address(address), port, cluster)
        theirs = record.get("instanceId")
        if isinstance(theirs, str) and theirs:
            return theirs
    return f"hosts[{position}]"
