"""Makes labels of metadata: legal ones only, and none that would steer the mesh from outside."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

from meshbridge.publish.findings import quoted
from meshbridge.registration import Metadata
from meshbridge.service import Labels

_LONGEST_PREFIX: Final = 253
_LONGEST: Final = 63
_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PREFIX: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

_RESERVED: Final = ("istio.io", "k8s.io", "kubernetes.io", "meshbridge.io")
"""Key prefixes, with all below them, that registry data may not set.

A registrant could otherwise drain others' traffic to nothing (``istio.io/draining``), switch mTLS
(``security.istio.io/tlsMode``), move itself near to everyone (``topology.kubernetes.io/zone``) or
join a subset (``meshbridge.io/in-…``).
"""
_RESERVED_NAMES: Final = ("istio-locality",)
"""istiod reads an endpoint's locality from this label, in front of the locality field."""


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
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        return (
            "a key has 1 to 63 letters, digits, '-', '_' or '.', "
            "and begins and ends with a letter or digit"
        )
    return ""


def value_fault(value: str) -> str:
    """Return why Istio or Kubernetes would refuse the value, or an empty text."""
    if value and (len(value) > _LONGEST or not _NAME.fullmatch(value)):
        return (
            f"the value {quoted(value)} is not possible: it has at most 63 letters, digits, '-', "
            "'_' or '.', and begins and ends with a letter or digit"
        )
    return ""


def reserved(key: str) -> bool:
    """Return whether only the mesh itself may set this key."""
    prefix, _, _ = key.rpartition("/")
    return key in _RESERVED_NAMES or any(
        prefix == each or prefix.endswith(f".{each}") for each in _RESERVED
    )


@lru_cache(maxsize=16_384)
def select_labels(
    metadata: Metadata, keep: tuple[str, ...], rename: tuple[tuple[str, str], ...]
) -> Selection:
    """Return the labels for the metadata of a service or an instance.

    ``keep`` holds patterns on the registered keys. A renamed key is kept without being in
    ``keep``, may have any legal name (an administrator wrote it), and has precedence over a key
    that is registered under the new name.
    """
    names = dict(rename)
    labels: dict[str, str] = {}
    renamed: dict[str, str] = {}
    faults: list[LabelFault] = []
    for key, value in metadata:
        target = names.get(key)
        if target is None and not any(fnmatchcase(key, pattern) for pattern in keep):
            continue
        if fault := _fault(key, value, target):
            faults.append(fault)
        elif target is None:
            labels[key] = value
        else:
            renamed[target] = value
    chosen = tuple(sorted({**labels, **renamed}.items()))
    return Selection(metadata if chosen == metadata else chosen, tuple(faults))


def _fault(key: str, value: str, target: str | None) -> LabelFault | None:
    if target is None and reserved(key):
        return LabelFault(
            key,
            "registry data may not set keys that steer the mesh",
            "register it under another key, or rename it with publish.labels.rename",
        )
    if target is None and (why := key_fault(key)):
        return LabelFault(
            key, why, "rename it with publish.labels.rename, or leave it out of labels.keep"
        )
    if why := value_fault(value):
        return LabelFault(key, why, "register a legal value, or leave it out of labels.keep")
    return None
