"""What the file says: pure functions from its YAML to registrations, each record on its own.

A record that cannot be read spoils itself only: it is named, with its line and the reason, and
all others are read. Values that are absurd but of the right form pass: they are judged later, by
the same rules for all registries.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from meshbridge import Health, Instance, InstancePort, RegisteredService, ServiceId, metadata
from meshbridge.registration import Metadata
from meshbridge_file.yaml import Mapping, Scalar, Sequence, UnreadableFile, Value

_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_SERVICE_KEYS = ("name", "namespace", "group", "metadata", "instances")
_INSTANCE_KEYS = (
    "address",
    "port",
    "ports",
    "protocol",
    "secure",
    "weight",
    "healthy",
    "zone",
    "metadata",
)
_PORT_KEYS = ("port", "protocol", "secure")
_LONGEST = 60
_REMEDY = "mend it in the file; until then what was read before is kept"


class _Malformed(Exception):  # noqa: N818 - it says what it is
    """One record, or one of its values, cannot be read."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A record that cannot be read."""

    subject: ServiceId | tuple[ServiceId, str]
    reason: str
    known: bool
    """Whether ``subject`` is surely the id that the record has when it can be read."""
    remedy: str = _REMEDY


@dataclass(slots=True)
class Content:
    """What a file holds."""

    services: list[RegisteredService] = field(default_factory=list[RegisteredService])
    faults: list[Fault] = field(default_factory=list[Fault])


def content(document: Value | None) -> Content:
    """Return what the file's document holds. Raises UnreadableFile if it has another form."""
    if not isinstance(document, Mapping):
        raise UnreadableFile("it is empty or no mapping; `services: []` says that there are none")
    unknown = [key for key in document.items if key != "services"]
    if unknown:
        raise UnreadableFile(f"line {document.line}: {_unknown(unknown[0], ('services',))}")
    listed = document.items.get("services")
    if not isinstance(listed, Sequence):
        raise UnreadableFile("`services` is no list; `services: []` says that there are none")
    found = Content()
    seen: set[ServiceId] = set()
    for position, value in enumerate(listed.items):
        _service(value, position, seen, found)
    return found


def _service(value: Value, position: int, seen: set[ServiceId], found: Content) -> None:
    place = f"services[{position}]"
    try:
        record = _mapping(value, "a service")
        service_id = ServiceId(
            _text(record, "namespace"), _text(record, "group"), _required(record, "name")
        )
    except _Malformed as fault:
        unknown = ServiceId("", "", place)
        found.faults.append(Fault(unknown, f"line {value.line}: {fault}", known=False))
        return
    if service_id in seen:
        reason = f"line {value.line}: the service {service_id} stands there twice; the first counts"
        found.faults.append(
            Fault((service_id, place), reason, known=True, remedy="merge the two into one")
        )
        return
    seen.add(service_id)
    try:
        _known_keys(record, _SERVICE_KEYS)
        pairs = _metadata(record)
        listed = _list(record, "instances")
    except _Malformed as fault:
        found.faults.append(Fault(service_id, f"line {value.line}: {fault}", known=True))
        return
    instances = _instances(service_id, listed, found.faults)
    found.services.append(RegisteredService(service_id, instances, pairs))


def _instances(
    service_id: ServiceId, values: Iterable[Value], faults: list[Fault]
) -> tuple[Instance, ...]:
    found: dict[str, Instance] = {}
    spoiled: set[str] = set()
    for position, value in enumerate(values):
        place = f"instances[{position}]"
        instance_id = _identity(value)
        try:
            instance = _instance(value)
        except _Malformed as fault:
            subject = instance_id or place
            spoiled.add(subject)
            reason = f"line {value.line}: {fault}"
            faults.append(Fault((service_id, subject), reason, known=instance_id is not None))
            continue
        if instance.id in found or instance.id in spoiled:
            reason = f"line {value.line}: {instance.id} stands there twice; the first counts"
            faults.append(
                Fault((service_id, place), reason, known=True, remedy="remove one of the two")
            )
            continue
        found[instance.id] = instance
    return tuple(found.values())


def _identity(value: Value) -> str | None:
    """Return the id of an instance if that much of it can be read."""
    try:
        record = _mapping(value, "an instance")
        return f"{_required(record, 'address')}:{_ports(record)[0].number}"
    except _Malformed:
        return None


def _instance(value: Value) -> Instance:
    record = _mapping(value, "an instance")
    _known_keys(record, _INSTANCE_KEYS)
    address = _required(record, "address")
    ports = _ports(record)
    return Instance(
        id=f"{address}:{ports[0].number}",
        address=address,
        ports=ports,
        weight=_number(record, "weight", 1.0),
        health=Health.HEALTHY if _truth(record, "healthy", default=True) else Health.UNHEALTHY,
        metadata=_metadata(record),
        zone=_text(record, "zone"),
    )


def _ports(record: Mapping) -> tuple[InstancePort, ...]:
    several = record.items.get("ports")
    if several is None:
        return (_port(record),)
    for key in _PORT_KEYS:
        if key in record.items:
            raise _Malformed(f"`{key}` stands beside `ports`; it belongs into its items")
    if not isinstance(several, Sequence) or not several.items:
        raise _Malformed("`ports` is no list with at least one port")
    ports: list[InstancePort] = []
    for value in several.items:
        each = _mapping(value, "a port")
        _known_keys(each, _PORT_KEYS)
        ports.append(_port(each))
    return tuple(ports)


def _port(record: Mapping) -> InstancePort:
    text = _required(record, "port")
    value = record.items["port"]
    if not _WHOLE.fullmatch(text) or (isinstance(value, Scalar) and value.quoted):
        raise _Malformed(f"`port` is {_shown(text)}; a whole number is allowed")
    secure = _truth(record, "secure", default=False)
    return InstancePort(int(text), _text(record, "protocol"), secure)


def _mapping(value: Value, what: str) -> Mapping:
    if not isinstance(value, Mapping):
        raise _Malformed(f"{what} must have keys with values")
    return value


def _list(record: Mapping, key: str) -> list[Value]:
    value = record.items.get(key)
    if value is None:
        return []
    if not isinstance(value, Sequence):
        raise _Malformed(f"`{key}` is no list; `{key}: []` says that there are none")
    return value.items


def _known_keys(record: Mapping, known: tuple[str, ...]) -> None:
    for key in record.items:
        if key not in known:
            raise _Malformed(_unknown(key, known))


def _unknown(key: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(key, known, n=1)
    hint = f"did you mean `{near[0]}`? " if near else ""
    return f"unknown key {_shown(key)}; {hint}Known here: {', '.join(known)}"


def _scalar(record: Mapping, key: str) -> Scalar | None:
    value = record.items.get(key)
    if value is None:
        return None
    if not isinstance(value, Scalar):
        raise _Malformed(f"`{key}` must be a single value")
    return None if value.empty else value


def _text(record: Mapping, key: str) -> str:
    value = _scalar(record, key)
    return value.text if value else ""


def _required(record: Mapping, key: str) -> str:
    text = _text(record, key)
    if not text:
        raise _Malformed(f"`{key}` is missing")
    return text


def _number(record: Mapping, key: str, default: float) -> float:
    value = _scalar(record, key)
    if value is None:
        return default
    if not value.quoted and _NUMBER.fullmatch(value.text):
        return float(value.text)
    if not value.quoted and _SPECIAL.fullmatch(value.text):
        if value.text.lower().endswith("nan"):
            return math.nan
        return -math.inf if value.text.startswith("-") else math.inf
    raise _Malformed(f"`{key}` is {_shown(value.text)}; a number is allowed")


def _truth(record: Mapping, key: str, *, default: bool) -> bool:
    value = _scalar(record, key)
    if value is None:
        return default
    if not value.quoted and value.text.lower() in {"true", "false"}:
        return value.text.lower() == "true"
    raise _Malformed(f"`{key}` is {_shown(value.text)}; true or false is allowed")


def _metadata(record: Mapping) -> Metadata:
    value = record.items.get("metadata")
    if value is None or (isinstance(value, Scalar) and value.empty):
        return ()
    if not isinstance(value, Mapping):
        raise _Malformed("`metadata` must have keys with values")
    pairs: dict[str, str] = {}
    for key, each in value.items.items():
        if not isinstance(each, Scalar):
            raise _Malformed(f"`metadata.{key}` must be a single value")
        pairs[key] = "" if each.empty else each.text
    return metadata(pairs)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
