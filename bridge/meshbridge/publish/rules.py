"""The ``publish:`` block of a registry: checked whole when it is read, so that nothing fails later.

Every message says what was found and what is allowed; the place is the reader's to add.
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from ipaddress import ip_network
from typing import Annotated, Final, Literal, cast

from pydantic import AfterValidator, BeforeValidator, StrictBool, model_validator

from meshbridge.publish.addresses import Network
from meshbridge.publish.blocks import Block, Pairs, Pattern
from meshbridge.publish.hosts import (
    DEFAULT_TEMPLATE,
    check_host_rule,
    legal_host,
    parse_template,
    reserved_host,
)
from meshbridge.publish.labels import key_fault, reserved, value_fault
from meshbridge.publish.locality import (
    LocalitySource,
    LocalityTable,
    UnreadableLocality,
    read_locality,
)
from meshbridge.publish.mesh import MeshRules
from meshbridge.publish.ports import REGISTERED, PortRule, read_port_rule
from meshbridge.registration import Instance, ServiceId
from meshbridge.service import Locality

_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LATER: Final[Mapping[str, str]] = {
    "destination-rules": "automatic DestinationRules",
}


def _alias(text: str) -> str:
    parts = parse_template(text)
    fixed = not any(piece.field for part in parts for piece in part)
    if fixed and (not legal_host(text) or reserved_host(text)):
        message = (
            f"found {text!r}; allowed: a host name that is not localhost nor under svc or "
            "cluster.local"
        )
        raise ValueError(message)
    return text


def check_domain(text: str) -> str:
    """Return the text if it can be ``publish.domain``, else raise ValueError."""
    if text and (not legal_host(text) or reserved_host(text)):
        message = (
            f"found {text!r}; allowed: a DNS name in lower case that is not localhost nor under "
            "svc or cluster.local"
        )
        raise ValueError(message)
    return text


def check_namespace(text: str) -> str:
    """Return the text if it can be ``publish.namespace``, else raise ValueError."""
    if text and not _NAMESPACE.fullmatch(text):
        message = f"found {text!r}; allowed: up to 63 of a-z, 0-9 and '-', as in Kubernetes"
        raise ValueError(message)
    return text


def _protocol(text: str) -> str:
    if text not in REGISTERED:
        message = f"found {text!r}; allowed: {', '.join(REGISTERED)}"
        raise ValueError(message)
    return text


def _share(text: str | None) -> str | None:
    if text == "":
        message = "found an empty name; allowed: the name of a group of registries, or nothing"
        raise ValueError(message)
    return text


def _export_to(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return who may see the services; istiod would refuse a host whole for what is wrong here."""
    for text in texts:
        if text not in ("*", ".") and not _NAMESPACE.fullmatch(text):
            message = f"found {text!r}; allowed: '.' (the own namespace), '*', or a namespace"
            raise ValueError(message)
    if len(set(texts)) < len(texts) or ("*" in texts and len(texts) > 1):
        message = f"found {', '.join(texts)}; allowed: '*' alone, or each namespace once"
        raise ValueError(message)
    return texts


def _network_name(text: str) -> str:
    if why := value_fault(text):
        message = f"found {text!r}; allowed: a network's name, but {why}"
        raise ValueError(message)
    return text


def _network(value: object) -> object:
    if isinstance(value, Network):
        return value
    try:
        return ip_network(value if isinstance(value, str) else "")
    except ValueError:
        message = f"found {value!r}; allowed: a network such as 127.0.0.0/8, with no host bits set"
        raise ValueError(message) from None


def _renames(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    targets: set[str] = set()
    for key, target in pairs:
        if why := key_fault(target):
            message = f"found {key}: {target}; allowed: a label key, and {why}"
            raise ValueError(message)
        if reserved(target) and "meshbridge.io" in target:
            message = f"found {key}: {target}; allowed: a key that is not under meshbridge.io"
            raise ValueError(message)
        if target in targets:
            message = f"found two keys renamed to {target}; allowed: one"
            raise ValueError(message)
        targets.add(target)
    return pairs


def _table(value: object) -> object:
    """Turn {network: region/zone/sub-zone} into a table, the most specific network first."""
    if isinstance(value, LocalityTable):
        return value
    if not isinstance(value, Mapping):
        message = f"found {value!r}; allowed: a mapping such as {{10.1.0.0/16: region/zone}}"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns only ValueError into a message
    rows: list[tuple[Network, Locality]] = []
    for network, text in cast("Mapping[object, object]", value).items():
        if not isinstance(network, str) or not isinstance(text, str) or not text.strip("/ "):
            message = f"found {network!r}: {text!r}; allowed: like 10.1.0.0/16: region/zone"
            raise ValueError(message)
        try:
            rows.append((cast("Network", _network(network)), read_locality(text)))
        except UnreadableLocality as fault:
            message = f"found {text!r}: {fault}; allowed: region/zone/sub-zone"
            raise ValueError(message) from fault
    rows.sort(key=lambda row: (-row[0].prefixlen, str(row[0])))
    return LocalityTable(tuple(rows))


class InstanceRules(Block):
    """Which instances are published."""

    match: Pairs = ()
    """Metadata an instance must have, key and value exactly, all of them."""


class LabelRules(Block):
    """Which metadata become labels."""

    keep: tuple[Pattern, ...] = ("*",)
    rename: Annotated[Pairs, AfterValidator(_renames)] = ()


class LocalityRules(Block):
    """Where the locality of an instance is looked for, in this order."""

    from_: tuple[LocalitySource, ...] = ("metadata", "cluster", "cidr")
    cidr: Annotated[LocalityTable, BeforeValidator(_table)] = LocalityTable()


class PublishRules(Block):
    """How the services of one registry appear in the mesh."""

    include: tuple[Pattern, ...] = ("*",)
    exclude: tuple[Pattern, ...] = ()
    instances: InstanceRules = InstanceRules()
    host: Annotated[str, AfterValidator(check_host_rule)] = DEFAULT_TEMPLATE
    domain: Annotated[str, AfterValidator(check_domain)] = ""
    """Empty until the settings fill in what the adapter says, or its name."""
    aliases: tuple[Annotated[str, AfterValidator(_alias)], ...] = ()
    namespace: Annotated[str, AfterValidator(check_namespace)] = ""
    """Empty means the registry's name."""
    ports: Annotated[PortRule, BeforeValidator(read_port_rule)] = PortRule()
    protocol: Annotated[str, AfterValidator(_protocol)] = "http"
    labels: LabelRules = LabelRules()
    locality: LocalityRules = LocalityRules()
    addresses: Literal["virtual", "none", "endpoints"] | None = None
    """``None`` means virtual for hosts with a tcp or dubbo port, and none otherwise."""
    keep_last: StrictBool = True
    allow_addresses: tuple[Annotated[Network, BeforeValidator(_network)], ...] = ()
    share: Annotated[str | None, AfterValidator(_share)] = None
    mesh: MeshRules | None = None
    """``None``: no instance has a sidecar."""
    export_to: Annotated[tuple[str, ...], AfterValidator(_export_to)] = ()
    """Empty leaves it to istiod's mesh configuration."""
    network: Annotated[str, AfterValidator(_network_name)] = ""
    """Empty is the network that istiod takes by default."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_later(cls, value: object) -> object:
        for key in sorted(_keys(value) & _LATER.keys()):
            message = f"found {key}, but this version does not have {_LATER[key]}; take it out"
            raise ValueError(message)
        return value

    def selects(self, service: ServiceId) -> bool:
        """Return whether include and exclude let the service be published.

        A pattern is met by the whole identity (``prod/blue@@orders``) or by the bare name.
        """
        names = (str(service), service.name)
        return _any_meets(self.include, names) and not _any_meets(self.exclude, names)

    def selects_instance(self, instance: Instance) -> bool:
        """Return whether the instance has all the metadata of ``instances.match``."""
        return not self.instances.match or set(self.instances.match) <= set(instance.metadata)


def _keys(value: object) -> set[str]:
    if not isinstance(value, Mapping):
        return set()
    return {key for key in cast("Mapping[object, object]", value) if isinstance(key, str)}


def _any_meets(patterns: tuple[str, ...], names: tuple[str, ...]) -> bool:
    return any(
        pattern == "*" or fnmatchcase(name, pattern) for pattern in patterns for name in names
    )
