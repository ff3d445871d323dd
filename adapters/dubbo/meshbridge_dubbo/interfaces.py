"""Tells which interfaces an application's instances serve, of its metadata or of a guess; pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final

from meshbridge import BadData, Health, Instance
from meshbridge_dubbo.application import ApplicationInstance
from meshbridge_dubbo.decoding import MOST_BYTES, a_port, a_text, an_object, record, texts
from meshbridge_dubbo.definition import Variant
from meshbridge_dubbo.parameters import kept
from meshbridge_dubbo.provider import (
    Level,
    Provider,
    bounded_name,
    not_a_provider,
    read_provider,
)
from meshbridge_dubbo.url import Url, shown

MOST_INTERFACES: Final = 20_000
"""Of one application."""
_MOST_APPLICATIONS: Final = 2_000
_NO_PORT: Final = -1
"""Of an interface whose port is not told (MetadataInfo.java:500)."""
_NO_VARIANTS: Final[Mapping[str, Collection[Variant]]] = MappingProxyType({})
_PLAIN: Final = (Variant("", ""),)
_OF_AN_INTERFACE: Final = frozenset({"application", "group", "version"})


@dataclass(frozen=True, slots=True)
class Exported:
    """An interface that an application exports with one protocol."""

    interface: str
    group: str
    version: str
    protocol: str
    port: int
    """0 where the metadata leave it to the instance's endpoints."""
    path: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ApplicationMetadata:
    """What the instances of one revision of an application export."""

    application: str
    revision: str
    exported: tuple[Exported, ...]
    faults: tuple[tuple[str, str], ...] = ()
    """(key in the metadata, reason) of each interface that could not be read."""


@dataclass(frozen=True, slots=True)
class Served:
    """What an instance serves, as far as it could be read."""

    providers: tuple[Provider, ...]
    faults: tuple[tuple[str, str], ...] = ()
    """(``group/interface:version:protocol``, reason) of each that could not be read."""


def read_metadata(data: bytes) -> ApplicationMetadata:
    """Read an application's metadata as Dubbo stores them in a registry. Raises BadData."""
    held = record(data, "the metadata")
    services = an_object(held.get("services", {}), "its services")
    if len(services) > MOST_INTERFACES:
        raise BadData(f"it exports more than {MOST_INTERFACES} interfaces")
    found: list[Exported] = []
    faults: list[tuple[str, str]] = []
    for key in sorted(services):
        try:
            found.append(_exported(services[key]))
        except BadData as bad:
            faults.append((key, str(bad)))
    return ApplicationMetadata(
        a_text(held.get("app"), "its app"),
        a_text(held.get("revision"), "its revision"),
        tuple(found),
        tuple(faults),
    )


def exported(  # noqa: PLR0913 - the fields of Dubbo's own record
    *,
    name: str,
    group: str,
    version: str,
    protocol: str,
    port: int,
    path: str,
    params: Mapping[str, str],
) -> Exported:
    """Return one interface of the fields that a provider's metadata service tells of it.

    They are those of ServiceInfoV2 in Dubbo's metadata_service_v2.proto. Raises BadData.
    """
    if not name or not protocol:
        raise BadData(f"its name is {shown(name)} and its protocol {shown(protocol)}")
    return Exported(
        name,
        group,
        version,
        bounded_name(protocol, "protocol"),
        max(port, 0),
        bounded_name(path or name, "path"),
        params,
    )


def providers_of(instance: ApplicationInstance, metadata: ApplicationMetadata) -> Served:
    """Return what the instance serves, as its providers' own URLs would tell it.

    A port in the metadata goes before the instance's endpoint of that protocol, and the
    interface's parameters before the instance's (ServiceInstancesChangedListener.java:407,
    InstanceAddressURL.java:213).
    """
    served = _served(instance, metadata.exported)
    return Served(served.providers, metadata.faults + served.faults)


def guessed_providers(
    instance: ApplicationInstance,
    interfaces: Iterable[str],
    variants: Mapping[str, Collection[Variant]] = _NO_VARIANTS,
) -> Served:
    """Return what the instance serves if it serves these interfaces on each of its endpoints.

    That is all that the mapping of interfaces to applications tells. ``variants`` are the groups
    and versions of an interface, where they are known; else it has neither.
    """
    return _served(
        instance,
        (
            Exported(name, group, version, port.protocol, port.number, name, {})
            for name in sorted(interfaces)
            for group, version in sorted(variants.get(name) or _PLAIN)
            for port in instance.instance.ports
        ),
    )


def application_instance(instance: ApplicationInstance, providers: Iterable[Provider]) -> Instance:
    """Return the application's instance with what all its providers agree on.

    Weight, tag, region, zone and labels are told of interfaces only; where they differ, the
    application has none of its own.
    """
    own = instance.instance
    told = [each.instance for each in providers]
    if not told:
        return own
    weights = {each.weight for each in told}
    zones = {each.zone for each in told}
    agreed = set(told[0].metadata).intersection(*(each.metadata for each in told))
    pairs = {key: value for key, value in agreed if key not in _OF_AN_INTERFACE}
    return replace(
        own,
        weight=weights.pop() if len(weights) == 1 else own.weight,
        zone=own.zone or (zones.pop() if len(zones) == 1 else ""),
        metadata=kept(pairs | dict(own.metadata)),
    )


def read_mapping(data: bytes) -> frozenset[str]:
    """Read which applications serve an interface: their names with commas. Raises BadData.

    An IP address among them is none but that of the client that made the node: Dubbo lets Curator
    fill nodes with it, also those that it adds names to later.
    """
    if len(data) > MOST_BYTES:
        raise BadData(f"the mapping is larger than {MOST_BYTES} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise BadData("the mapping is not UTF-8") from None
    stripped = (each.strip() for each in text.split(","))
    names = frozenset(name for name in stripped if name and not _is_ip_address(name))
    if len(names) > _MOST_APPLICATIONS:
        raise BadData(f"the mapping names more than {_MOST_APPLICATIONS} applications")
    for name in names:
        if not name.isprintable() or "/" in name:
            raise BadData(f"the mapping names {shown(name)}, no application")
    return names


def _is_ip_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _exported(value: object) -> Exported:
    told = an_object(value, "it")
    port = told.get("port")
    return exported(
        name=a_text(told.get("name"), "its name"),
        group=a_text(told.get("group"), "its group"),
        version=a_text(told.get("version"), "its version"),
        protocol=a_text(told.get("protocol"), "its protocol"),
        port=0 if port == _NO_PORT else a_port(port, "its port"),
        path=a_text(told.get("path"), "its path"),
        params=texts(told.get("params"), "its params"),
    )


def _served(instance: ApplicationInstance, interfaces: Iterable[Exported]) -> Served:
    providers: list[Provider] = []
    faults: list[tuple[str, str]] = []
    for each in interfaces:
        url = _url(instance, each)
        if not_a_provider(url) is not None:
            continue  # injvm is exported, too
        try:
            providers.append(_provider(instance.instance, url))
        except BadData as bad:
            faults.append((_key(each), str(bad)))
    return Served(tuple(providers), tuple(faults))


def _url(instance: ApplicationInstance, told: Exported) -> Url:
    own = instance.instance
    port = told.port or next(
        (each.number for each in own.ports if each.protocol == told.protocol), own.ports[0].number
    )
    parameters = {
        "application": instance.application,
        **dict(own.metadata),
        **told.parameters,
        "interface": told.interface,
        "group": told.group,
        "version": told.version,
    }
    return Url(told.protocol, own.address, port, told.path, parameters)


def _provider(own: Instance, url: Url) -> Provider:
    """Return the provider; where its instance is out, it is so whatever a rule says."""
    provider = read_provider(url, Level.APPLICATION)
    told = replace(provider.instance, registered_at=own.registered_at)
    if own.health is Health.HEALTHY:
        return replace(provider, instance=told)
    return replace(provider, instance=replace(told, health=own.health), enabled=False)


def _key(told: Exported) -> str:
    """Return the key by which Dubbo's metadata hold it (MetadataInfo.java:66)."""
    group = f"{told.group}/" if told.group else ""
    version = f":{told.version}" if told.version else ""
    return f"{group}{told.interface}{version}:{told.protocol}"
