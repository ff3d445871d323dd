"""Turns what Eureka says about an instance into the core's words, record by record; pure."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal, cast

from meshbridge import BadData, Health, Instance, InstancePort, metadata
from meshbridge_eureka.decoding import Listed
from meshbridge_eureka.entry import Entry, Fault
from meshbridge_eureka.fields import (
    Record,
    any_record,
    flag,
    inner,
    number,
    record_of,
    shown,
    text_of,
    texts,
)

Names = Literal["vip", "application"]
"""What services are called by: the ``vipAddress`` of their instances, or their application."""

MOST_NAMES: Final = 100
"""Names that one instance may stand under."""
LATE: Final = 240_000
"""Milliseconds that what is told of a lease may be old by the server's own caches of answers."""

_HEALTH: Final = {
    "UP": Health.HEALTHY,
    "STARTING": Health.DISABLED,
    "OUT_OF_SERVICE": Health.DISABLED,
}
"""All else is UNHEALTHY: DOWN, UNKNOWN, and what no server of Netflix' knows."""
_OVERRIDABLE: Final = frozenset({"UP", "OUT_OF_SERVICE"})
_OVERRIDES: Final = frozenset({"UP", "DOWN", "STARTING", "OUT_OF_SERVICE"})
_UNKNOWN: Final = "UNKNOWN"
_DEFAULT_CENTERS: Final = frozenset({"MyOwn", "Netflix", "Amazon"})
"""Names of data centers that say where instances run in general, not which place it is."""
_DEFAULT_LEASE: Final = {"durationInSecs": 90, "renewalIntervalInSecs": 30}
_LEASE_KEYS: Final = {
    "durationInSecs": "eureka.lease-seconds",
    "renewalIntervalInSecs": "eureka.renewal-seconds",
}
_SECRET: Final = "user.password"  # noqa: S105 - where it stands
"""Metadata by which Spring Boot Admin logs in to an instance: nobody else's business."""
_IP: Final = re.compile(
    r"\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f.:]*(?:%\w+)?", re.ASCII
)
_SHARED: Final = 256
"""Characters of a text that is kept for all who have the same: longer ones would fill memory."""
_WHOLE: Final = re.compile(r"\+?[0-9]{1,20}")
_HEAVIEST: Final = 2**31 - 1
_USUAL: Final = 1.0
_PLACEHOLDER: Final = "${"
_NO_PORT: Final = (
    "enable one: eureka.instance.non-secure-port-enabled or eureka.instance.secure-port-enabled"
)


def application_of(held: object) -> str:
    """Return the application that a record names, empty if it names none."""
    found = any_record(held).get("app")
    return found if isinstance(found, str) else ""


def id_of(held: object) -> str:
    """Return the id by which the server knows the instance, empty if the record has none.

    Old clients tell none: Amazon's id of the machine is it then, or the host's name
    (InstanceInfo.getId).
    """
    record = any_record(held)
    found = record.get("instanceId")
    if not found:
        found = _center_metadata(record).get("instance-id") or record.get("hostName")
    return found if isinstance(found, str) else ""


def is_overdue(held: object, now: int) -> bool:
    """Return whether the server keeps an instance whose lease was over long ago.

    It does when it preserves itself: too few of all instances have renewed. What it tells as the
    last renewal is later by the lease's duration (Lease.renew), which is added again to be sure.
    """
    lease = inner(any_record(held), "leaseInfo")
    renewed = number(lease.get("lastRenewalTimestamp"))
    duration = number(lease.get("durationInSecs"))
    if not renewed or not duration:
        return False
    return renewed + 2_000 * duration + LATE < now


def read(
    listed: Listed, application: str, identity: str, names: Names, before: Entry | None = None
) -> Entry:
    """Return what a record says, which may be why it cannot be read.

    ``before`` is what was said of the same instance the last time.
    """
    held = listed.held
    record = any_record(held)
    status, action = record.get("status"), record.get("actionType")
    instance = fault = None
    called = before.names if before is not None else (application.lower(),)
    try:
        record_of(held, "the record")
        called = _called(record, application, names)
        instance = _instance(listed, record, identity)
    except BadData as bad:
        cause = bad.args[0]
        fault = cause if isinstance(cause, Fault) else Fault(str(cause))
    entry = Entry(
        application=application,
        id=identity or f"instance[{listed.position}]",
        names=called,
        status=status if isinstance(status, str) and status else _UNKNOWN,
        instance=instance,
        fault=fault,
        mark=listed.mark,
        updated=number(record.get("lastUpdatedTimestamp")) or 0,
        begun=number(record.get("lastDirtyTimestamp")) or 0,
        action=action if isinstance(action, str) else "",
        identified=bool(identity),
    )
    return entry.as_it_was(before)


def _called(record: Record, application: str, names: Names) -> tuple[str, ...]:
    if names == "application":
        return (application.lower(),)
    addresses = text_of(record, "vipAddress")
    vips = _vips if len(addresses) <= _SHARED else _vips.__wrapped__
    return vips(addresses) or (application.lower(),)


@lru_cache(maxsize=4_096)
def _vips(addresses: str) -> tuple[str, ...]:
    """Return the services of a list: callers find them whatever the case, as by Eureka's client.

    ``${...}`` stands where a client could not tell the name (Applications.addInstanceToMap).
    """
    found = {each.strip().lower(): None for each in addresses.split(",")}
    called = tuple(each for each in found if each and _PLACEHOLDER not in each)
    if len(called) > MOST_NAMES:
        raise BadData(f"its vipAddress has {len(called)} names, more than {MOST_NAMES}")
    return called


def _instance(listed: Listed, record: Record, identity: str) -> Instance:
    if listed.reason:
        raise BadData(listed.reason)
    if not identity:
        raise BadData("it has no instanceId")
    pairs = texts(record.get("metadata"), "its metadata")
    lease = inner(record, "leaseInfo")
    for key, name in _LEASE_KEYS.items():
        seconds = number(lease.get(key))
        if seconds is not None and seconds != _DEFAULT_LEASE[key]:
            pairs[name] = str(seconds)
    pairs.pop(_SECRET, None)
    # When a server took it up is no metadata: each server has its own moment, and which server is
    # asked must make no difference to what the mesh gets.
    registered = number(lease.get("registrationTimestamp"))
    return Instance(
        identity,
        _address(record),
        _ports(record, pairs),
        weight=_weight(pairs),
        health=_health(record),
        metadata=metadata(pairs),
        zone=_zone(record, pairs),
        registered_at=registered / 1000 if registered else None,
    )


def _health(record: Record) -> Health:
    """Return the health of the status that the server serves: overrides are in it already.

    Servers before that rule tell both: an override counts then, but where the instance itself says
    that it is not up (DownOrStartingRule, OverrideExistsRule).
    """
    status = text_of(record, "status")
    overridden = record.get("overriddenStatus") or record.get("overriddenstatus")
    if status in _OVERRIDABLE and isinstance(overridden, str) and overridden in _OVERRIDES:
        status = overridden
    return _HEALTH.get(status, Health.UNHEALTHY)


def _address(record: Record) -> str:
    address = text_of(record, "ipAddr").strip()
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    if _IP.fullmatch(bare):
        return bare
    found = text_of(record, "hostName").strip() or bare
    if not found:
        raise BadData("it has neither an ipAddr nor a hostName")
    return found


def _ports(record: Record, pairs: Mapping[str, str]) -> tuple[InstancePort, ...]:
    # InstanceInfo's defaults where it is not told which of the two is enabled.
    plain = _port(record.get("port"), "its port", enabled=True)
    secure = _port(record.get("securePort"), "its securePort", enabled=False)
    if plain is None and secure is None:
        raise BadData(Fault("neither its port nor its securePort is enabled", _NO_PORT))
    ports: list[InstancePort] = []
    if plain is not None and plain != secure:
        ports.append(_instance_port(plain, pairs.get("protocol") or "http", secure=False))
    if secure is not None:
        ports.append(_instance_port(secure, "https", secure=True))
    return tuple(ports)


@lru_cache(maxsize=4_096)
def _instance_port(port: int, protocol: str, *, secure: bool) -> InstancePort:
    return InstancePort(port, protocol, secure)


def _port(held: object, what: str, *, enabled: bool) -> int | None:
    """Return the port, None if it is not enabled."""
    told = held
    if isinstance(held, dict):
        record = cast("Record", held)
        told = record.get("$")
        try:
            enabled = flag(record.get("@enabled"), default=enabled)
        except BadData as bad:
            raise BadData(f"of {what} {bad}") from None
    if not enabled or held is None:
        return None
    port = number(told)
    if port is None:
        raise BadData(f"{what} is {shown(told)}")
    return port


def _weight(pairs: Mapping[str, str]) -> float:
    """Return the weight as clients of Spring Cloud read it, whose Integer.parseInt this is.

    For them, what is no whole number above 0 is none (WeightedServiceInstanceListSupplier).
    """
    told = pairs.get("weight")
    if told is None or not _WHOLE.fullmatch(told):
        return _USUAL
    weight = int(told)
    return float(weight) if 0 < weight <= _HEAVIEST else _USUAL


def _zone(record: Record, pairs: Mapping[str, str]) -> str:
    zone = pairs.get("zone") or _center_metadata(record).get("availability-zone")
    if isinstance(zone, str) and zone:
        return zone
    name = inner(record, "dataCenterInfo").get("name")
    return name if isinstance(name, str) and name not in _DEFAULT_CENTERS else ""


def _center_metadata(record: Record) -> Record:
    return inner(inner(record, "dataCenterInfo"), "metadata")
