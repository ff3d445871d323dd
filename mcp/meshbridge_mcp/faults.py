"""What istiod refuses in what its documents have in common: hosts, durations, labels, destinations.

The rules are those of istio's own validation; each function names the one it follows.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, cast

from google.protobuf.message import Message

from meshbridge.protos.gen.google.protobuf.duration_pb2 import Duration
from meshbridge.protos.gen.istio.networking.v1alpha3.virtual_service_pb2 import (
    Destination,
    Percent,
)
from meshbridge_mcp.legal import (
    is_dns_label,
    is_domain,
    is_label_key,
    is_label_value,
    is_port_number,
)

_SECOND = 10**9
_MILLISECOND = 10**6
_LONGEST = 2**63 - 1
"""Nanoseconds: what Go makes of any longer duration. They are no whole milliseconds."""
_SMALLEST_SHARE = 0.0001

NO_PORT = "a port is a number from 1 to 65535"
NO_DNS_LABEL = "a name here is 1 to 63 of a-z, A-Z, 0-9 and `-`, with `-` only inside"


class Fault(NamedTuple):
    """One thing for which istiod would refuse a document, and all that it says."""

    where: str
    """The path of the field, in the words of its YAML: ``http[0].retries.attempts``."""
    reason: str

    def __str__(self) -> str:
        """Return the line that people read."""
        return f"{self.where}: {self.reason}"


def at(where: str, faults: Iterable[Fault]) -> Iterator[Fault]:
    """Yield the faults of a part of a document as those of the whole."""
    for fault in faults:
        yield Fault(f"{where}.{fault.where}" if fault.where else where, fault.reason)


def unless(met: object, where: str, reason: str) -> Iterator[Fault]:
    """Yield one fault unless a condition is met."""
    if not met:
        yield Fault(where, reason)


def durations(message: Message, *fields: str) -> Iterator[Fault]:
    """Check those that are set (agent.ValidateDuration)."""
    for field in fields:
        if message.HasField(field):
            value = cast("Duration", getattr(message, field))
            nanoseconds = min(value.seconds * _SECOND + value.nanos, _LONGEST)
            yield from unless(
                nanoseconds >= _MILLISECOND and nanoseconds % _MILLISECOND == 0,
                _spelled(message, field),
                "a duration is 1ms or more, and in whole milliseconds",
            )


def within(message: Message, lowest: int, highest: int, *fields: str) -> Iterator[Fault]:
    """Check that numbers are between two others (ValidatePercent and its like)."""
    for field in fields:
        yield from unless(
            lowest <= cast("int", getattr(message, field)) <= highest,
            _spelled(message, field),
            f"it is not between {lowest} and {highest}",
        )


def percentage(value: Percent) -> Iterator[Fault]:
    """Check a share of requests (validatePercentage)."""
    yield from unless(
        value.value == 0 or _SMALLEST_SHARE <= value.value <= 100,  # noqa: PLR2004 - percent
        "percentage",
        f"a percentage is 0, or between {_SMALLEST_SHARE} and 100",
    )


def labels(field: str, pairs: Mapping[str, str]) -> Iterator[Fault]:
    """Check labels that select (labels.Instance.Validate)."""
    for key, value in sorted(pairs.items()):
        if not is_label_key(key):
            yield Fault(f"{field}[{key}]", "istiod takes no such label key")
        if not is_label_value(value):
            reason = "a label's value is at most 63 of a-z, A-Z, 0-9, `-`, `_` and `.`"
            yield Fault(f"{field}[{key}]", reason)


def destination(target: Destination) -> Iterator[Fault]:
    """Check where a route leads (validateDestination, validateSubsetName, validatePortSelector)."""
    yield from unless(
        target.host != "*" and is_domain(target.host), "host", "istiod takes no such host"
    )
    yield from unless(not target.subset or is_dns_label(target.subset), "subset", NO_DNS_LABEL)
    if target.HasField("port"):
        yield from unless(is_port_number(target.port.number), "port.number", NO_PORT)


def _spelled(message: Message, field: str) -> str:
    return message.DESCRIPTOR.fields_by_name[field].json_name
