"""Service ports follow from protocols alone, never from the order or choice of instances."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, Literal, cast

from meshbridge.problems import ProblemKind
from meshbridge.publish.findings import Findings, quoted
from meshbridge.registration import InstancePort
from meshbridge.service import Port

STANDARD: Final[Mapping[str, int]] = {
    "http": 80,
    "https": 443,
    "grpc": 50051,
    "dubbo": 20880,
    "tcp": 9000,
}
"""The port that callers use, by protocol (``docs/configuration.md``)."""

REGISTERED: Final[Mapping[str, str]] = {
    "http": "http",
    "rest": "http",
    "hessian": "http",
    "https": "https",
    "grpc": "grpc",
    "tri": "grpc",
    "dubbo": "dubbo",
    "tcp": "tcp",
}
"""What registries call a protocol, and what it is on the wire; all else is tcp."""

HIGHEST: Final = 65_535

_LONGEST: Final = 16
"""Characters of a word that is compared with the known ones."""
_ALIKE: Final = 0.75
"""From here on a word counts as misspelt: redis or thrift are like no known one."""

DIRECT: Final = frozenset(("http", "grpc"))
"""What can be called by an instance's address and be routed all the same: its requests tell a
proxy which address was meant. Over https nobody but the two ends can read that."""
MOST_DIRECT: Final = 20
"""Ports of instances that a host declares: each is a listener and a cluster at every proxy."""


@dataclass(frozen=True, slots=True)
class PortRule:
    """Which number a service port gets: ``publish.ports``."""

    mode: Literal["standard", "instance"] = "standard"
    numbers: tuple[tuple[str, int], ...] = ()
    """(protocol, number) where the configuration names its own, sorted."""

    def table(self) -> dict[str, int]:
        """Return the number for each protocol, as long as instances are not asked."""
        return {**STANDARD, **dict(self.numbers)}


@dataclass(frozen=True, slots=True)
class OwnPorts:
    """The ports of an instance as they can be served."""

    served: tuple[tuple[str, int], ...]
    """(protocol, number): the first registered of each protocol, sorted."""
    impossible: tuple[int, ...]
    """Numbers that are no ports."""
    shadowed: tuple[tuple[str, int], ...]
    """Ports that are not served, because an earlier one has the same protocol."""
    misspelt: tuple[tuple[str, str], ...] = ()
    """Words that are no known protocol, each with the known one that it is like."""


@dataclass(frozen=True, slots=True)
class DirectPorts:
    """The instances' own ports as service ports, each sorted by number."""

    declared: tuple[Port, ...]
    """Those to declare beside the ports that the service has."""
    beyond: tuple[Port, ...] = ()
    """More than a host may declare."""
    contested: tuple[Port, ...] = ()
    """Those on a number that another protocol has, or wants as well."""


def read_port_rule(value: object) -> object:
    """Turn what YAML holds under ``ports`` into a :class:`PortRule`.

    Raises ValueError, saying what is allowed, for an unknown word or protocol, a number outside
    1 to 65535, and two protocols on one number.
    """
    if isinstance(value, PortRule):
        return value
    if value == "instance":
        return PortRule("instance")
    if value == "standard":
        return PortRule()
    if not isinstance(value, Mapping) or not value:
        message = f"found {value!r}; allowed: standard, instance, or numbers like {{http: 8080}}"
        raise ValueError(message)
    items = cast("Mapping[object, object]", value).items()
    numbers = tuple(sorted(_number(key, number) for key, number in items))
    rule = PortRule("standard", numbers)
    _refuse_shared(rule)
    return rule


def _number(protocol: object, number: object) -> tuple[str, int]:
    if not isinstance(protocol, str) or protocol not in STANDARD:
        message = f"found protocol {protocol!r}; allowed: {', '.join(STANDARD)}"
        raise ValueError(message)
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= HIGHEST:
        message = f"found {number!r} for {protocol}; allowed: a whole number from 1 to {HIGHEST}"
        raise ValueError(message)
    return protocol, number


def _refuse_shared(rule: PortRule) -> None:
    taken: dict[int, str] = {}
    for protocol, number in sorted(rule.table().items()):
        other = taken.setdefault(number, protocol)
        if other != protocol:
            message = (
                f"found port {number} for both {other} and {protocol}; "
                "allowed: one protocol per number, so give the other one a number as well"
            )
            raise ValueError(message)


def wire_protocol(registered: str, *, secure: bool, default: str) -> str:
    """Return one of :data:`STANDARD` for the protocol as registered (``tri``, ``Rest``, "")."""
    protocol = REGISTERED.get((registered.strip() or default).lower(), "tcp")
    return "https" if secure and protocol == "http" else protocol


@lru_cache(maxsize=16_384)
def own_ports(ports: tuple[InstancePort, ...], default: str) -> OwnPorts:
    """Sort out an instance's ports; ``default`` is the protocol of those that name none."""
    served: dict[str, int] = {}
    impossible: list[int] = []
    shadowed: list[tuple[str, int]] = []
    misspelt: set[tuple[str, str]] = set()
    for port in ports:
        protocol = wire_protocol(port.protocol, secure=port.secure, default=default)
        if not 1 <= port.number <= HIGHEST:
            impossible.append(port.number)
        elif served.setdefault(protocol, port.number) != port.number:
            shadowed.append((protocol, port.number))
        if protocol == "tcp":
            misspelt.update(_misspelt(port.protocol))
    return OwnPorts(
        tuple(sorted(served.items())),
        tuple(impossible),
        tuple(sorted(shadowed)),
        tuple(sorted(misspelt)),
    )


@lru_cache(maxsize=1_024)
def _misspelt(registered: str) -> tuple[tuple[str, str], ...]:
    """Return the word with the known one that it is like, if it is no known one and like one."""
    word = registered.strip().lower()
    if word in REGISTERED or len(word) > _LONGEST:
        return ()
    # What is like tcp is taken for that.
    return tuple(
        (word, like) for like in get_close_matches(word, REGISTERED, 1, _ALIKE) if like != "tcp"
    )


def report_misspelt(instances: Sequence[OwnPorts], findings: Findings) -> None:
    """Report each word once that is no known protocol, and like one."""
    found = Counter(each for own in instances for each in own.misspelt)
    for (word, like), count in sorted(found.items()):
        findings.service(
            ProblemKind.INVALID_PORT,
            f"{count} of {len(instances)} instances register the protocol "
            f"{quoted(word)}, which is not known: it is tcp",
            f"if {quoted(like)} is meant, register that; known are {', '.join(REGISTERED)}",
        )


def service_ports(
    rule: PortRule, default: str, instances: Iterable[OwnPorts], findings: Findings
) -> dict[str, Port]:
    """Return the service's port for each protocol that its instances have.

    A service without instances has the port of ``default``: there is no history to ask, and what
    instances registered before must not differ between two bridges.
    """
    numbers: dict[str, set[int]] = {}
    for own in instances:
        for protocol, number in own.served:
            numbers.setdefault(protocol, set()).add(number)
    protocols = sorted(numbers) or [wire_protocol(default, secure=False, default=default)]
    table = rule.table()
    if rule.mode == "instance":
        table = _agreed(table, numbers, findings)
    return {protocol: service_port(protocol, table[protocol]) for protocol in protocols}


def service_port(protocol: str, number: int) -> Port:
    """Return the service port of this number, under the name that each such port has."""
    return Port(number, protocol, f"{protocol}-{number}")


def direct_ports(ports: Iterable[Port], own: Iterable[tuple[str, int]]) -> DirectPorts:
    """Return a service port for each distinct port of instances, the lowest if they are many.

    ``ports`` are those that the service has anyway, ``own`` (protocol, number) of instances, in
    any order and any number of times.
    """
    taken = {port.number: port.protocol for port in ports}
    wanted: dict[int, set[str]] = {}
    for protocol, number in own:
        wanted.setdefault(number, set()).add(protocol)
    declared: list[Port] = []
    contested: list[Port] = []
    for number, protocols in sorted(wanted.items()):
        others = {taken[number]} if number in taken else set[str]()
        if len(protocols | others) > 1:
            contested += (service_port(each, number) for each in sorted(protocols - others))
        elif not others:
            declared += (service_port(each, number) for each in protocols)
    return DirectPorts(
        tuple(declared[:MOST_DIRECT]), tuple(declared[MOST_DIRECT:]), tuple(contested)
    )


def _agreed(
    table: dict[str, int], numbers: Mapping[str, set[int]], findings: Findings
) -> dict[str, int]:
    """Take the instances' own numbers where all agree and no two protocols meet on one."""
    chosen = dict(table)
    for protocol, found in sorted(numbers.items()):
        if len(found) == 1:
            chosen[protocol] = next(iter(found))
            continue
        shown = ", ".join(str(number) for number in sorted(found)[:5])
        findings.service(
            ProblemKind.INVALID_PORT,
            f"the instances disagree about their {protocol} port ({shown}), "
            f"so callers use {table[protocol]}",
            "let them agree, or say publish.ports: standard",
        )
    used = [chosen[protocol] for protocol in numbers]
    if len(set(used)) == len(used):
        return chosen
    findings.service(
        ProblemKind.INVALID_PORT,
        "two protocols of the instances would have one service port, so callers use the standard "
        "ones",
        "give each protocol a port of its own, or say publish.ports: standard",
    )
    return table
