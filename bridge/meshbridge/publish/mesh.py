"""Instances that have a sidecar of their own: which they are, and how callers' sidecars meet them.

istiod lets a caller use mutual TLS for an endpoint whose label ``security.istio.io/tlsMode`` is
``istio``, or that has a service account and no such label; all others it calls in plain text
(pilot/pkg/serviceregistry/serviceentry/conversion.go, getTLSModeFromWorkloadEntry). So an endpoint
of one sort needs no word about it, and one host may have both.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal, cast

from pydantic import BeforeValidator

from meshbridge.publish.blocks import Block, Pairs
from meshbridge.registration import Metadata

TLS_MODE: Final = "security.istio.io/tlsMode"

_LONGEST: Final = 253
_ACCOUNT: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """Under which name of Kubernetes the instances run; empty: that is not known."""

    name: str = ""
    key: str = ""
    """The metadata in which each instance says its own, instead of ``name``."""

    def of(self, metadata: Metadata) -> str:
        """Return the service account of an instance as it says it, or empty."""
        if not self.key:
            return self.name
        return next((text for key, text in metadata if key == self.key), "")


def account_fault(text: str) -> str:
    """Return why this can be no service account in Kubernetes, or an empty text."""
    if len(text) <= _LONGEST and _ACCOUNT.fullmatch(text):
        return ""
    return f"at most {_LONGEST} of a-z, 0-9, '-' and '.', as in Kubernetes"


def _read(value: object) -> object:
    """Turn ``shop`` or ``{from: a-metadata-key}`` into a :class:`ServiceAccount`."""
    if isinstance(value, ServiceAccount):
        return value
    if isinstance(value, str) and not account_fault(value):
        return ServiceAccount(name=value)
    if isinstance(value, Mapping):
        mapping = cast("Mapping[object, object]", value)
        key = mapping.get("from")
        if len(mapping) == 1 and isinstance(key, str) and key:
            return ServiceAccount(key=key)
    message = (
        f"found {value!r}; allowed: {account_fault('')}, or {{from: the metadata key in which "
        "instances say it}"
    )
    raise ValueError(message)


class MeshRules(Block):
    """Which instances have a sidecar, and what is known of it."""

    match: Pairs
    """Metadata that an instance with a sidecar has, key and value exactly; ``{}``: all have one.

    It has no default: callers with a sidecar could not call an instance without one any more.
    """
    service_account: Annotated[ServiceAccount, BeforeValidator(_read)] = ServiceAccount()
    tls_mode: Literal["istio", "disabled"] = "istio"

    def selects(self, metadata: Metadata) -> bool:
        """Return whether an instance with this metadata has a sidecar."""
        return not self.match or set(self.match) <= set(metadata)
