"""Makes labels of metadata: legal ones only, and none that would steer the mesh from outside."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from typing import Final

from meshbridge.publish.findings import quoted
from meshbridge.registration import Metadata
from meshbridge.service import Labels

_LONGEST_PREFIX: Final = 253
_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_VALUE: Final = re.compile(rf"({_NAME.pattern})?")
_PREFIX: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

_RESERVED: Final = ("istio.io", "k8s.io", "kubernetes.io", "meshbridge.io")
"""Key prefixes, with all below them, that registry data may not set.

A registrant could otherwise drain others' traffic to nothing (``istio.io/draining``), switch mTLS
(``security.istio.io/tlsMode``), move itself near to everyone (``topology.kubernetes.io/zone``) or
join a subset (``meshbridge.io/in-…``).
"""
_RESERVED_NAMES: Final = ("istio-locality",)
"""istiod reads an endpoint's locality from this label, in front of the locality field."""

CANONICAL_NAME: Final = "service.istio.io/canonical-name"
CANONICAL_REVISION: Final = "service.istio.io/canonical-revision"
_OPEN: Final = (CANONICAL_NAME, CANONICAL_REVISION)
"""They steer nothing: by them an instance says what telemetry is to call it."""


@dataclass(frozen=True, slots=True)
class LabelFault:
    """A label that is left out."""

    key: str
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Selection:
    """The labels made of some metadata, and what is left out of them."""

    labels: Labels
    faults: tuple[LabelFault, ...] = ()


def key_fault(key: str) -> str:
    """Return why Istio or Kubernetes would refuse the key, or an empty text."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > _LONGEST_PREFIX or not _PREFIX.fullmatch(prefix)):
        return "the part before / must be a DNS name in lower case of at most 253 characters"
    if not _NAME.fullmatch(name):
        return (
            "a key has 1 to 63 letters, digits, '-', '_' or '.', "
            "and begins and ends with a letter or digit"
        )
    return ""


def value_fault(value: str) -> str:
    """Return why Istio or Kubernetes would refuse the value, or an empty text."""
    if _VALUE.fullmatch(value):
        return ""
    return (
        f"the value {quoted(value)} is not possible: it has at most 63 letters, digits, '-', "
        "'_' or '.', and begins and ends with a letter or digit"
    )


def reserved(key: str) -> bool:
    """Return whether only the mesh itself may set this key."""
    prefix, _, _ = key.rpartition("/")
    return key in _RESERVED_NAMES or (
        key not in _OPEN
        and any(prefix == each or prefix.endswith(f".{each}") for each in _RESERVED)
    )


@dataclass(frozen=True, slots=True)
class _KeyRule:
    """What becomes of one metadata key, whatever its value."""

    label: str
    """The label's key, or empty if there is none."""
    renamed: bool = False
    fault: LabelFault | None = None


@lru_cache(maxsize=256)
def _key_rules(
    keep: tuple[str, ...], rename: tuple[tuple[str, str], ...]
) -> Callable[[str], _KeyRule]:
    """Return the decision on keys under one configuration, remembered: the same keys come always.

    The memory is bounded, because a registrant may invent keys without end.
    """
    return lru_cache(maxsize=8_192)(partial(_key_rule, keep, dict(rename)))


def _key_rule(keep: tuple[str, ...], names: Mapping[str, str], key: str) -> _KeyRule:
    if key in names:
        return _KeyRule(names[key], renamed=True)
    if not any(fnmatchcase(key, pattern) for pattern in keep):
        return _KeyRule("")
    if reserved(key):
        reason = "registry data may not set keys that steer the mesh"
        remedy = "register it under another key, or rename it with publish.labels.rename"
        return _KeyRule("", fault=LabelFault(key, reason, remedy))
    if reason := key_fault(key):
        remedy = "rename it with publish.labels.rename, or leave it out of labels.keep"
        return _KeyRule("", fault=LabelFault(key, reason, remedy))
    return _KeyRule(key)


@lru_cache(maxsize=16_384)
def select_labels(
    metadata: Metadata, keep: tuple[str, ...], rename: tuple[tuple[str, str], ...]
) -> Selection:
    """Return the labels for the metadata of a service or an instance.

    ``keep`` holds patterns on the registered keys. A renamed key is kept without being in
    ``keep``, may have any legal name (an administrator wrote it), and has precedence over a key
    that is registered under the new name.
    """
    rule_of = _key_rules(keep, rename)
    labels: list[tuple[str, str]] = []
    renamed: dict[str, str] = {}
    faults: list[LabelFault] = []
    for pair in metadata:
        key, value = pair
        rule = rule_of(key)
        if rule.fault is not None:
            faults.append(rule.fault)
        elif rule.label and not _VALUE.fullmatch(value):
            remedy = "register a legal value, or leave the key out of publish.labels.keep"
            faults.append(LabelFault(key, value_fault(value), remedy))
        elif rule.renamed:
            renamed[rule.label] = value
        elif rule.label:
            labels.append(pair)
    chosen = tuple(sorted({**dict(labels), **renamed}.items())) if renamed else tuple(labels)
    # The same tuple where nothing changed: labels then cost no memory of their own.
    return Selection(metadata if chosen == metadata else chosen, tuple(faults))
