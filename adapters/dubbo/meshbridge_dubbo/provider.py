"""Turns the URL of a provider or a consumer into what the core knows; pure."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from meshbridge import BadData, Consumer, Health, Instance, InstancePort, ServiceId
from meshbridge_dubbo.parameters import kept, zone_of
from meshbridge_dubbo.url import Url, flag, shown, whole_number

NORMAL_WEIGHT: Final = 100
"""Dubbo's weight of a provider that says nothing: 1.0 (Constants.DEFAULT_WEIGHT)."""
NO_VERSION: Final = "0.0.0"
ANY: Final = "*"
_LONGEST: Final = 512
"""Characters of an interface, group, version, path, protocol or application."""
_LONGEST_METHODS: Final = 4_096
_LATEST: Final = 253_402_300_800_000
"""Milliseconds until the year 10000: what lies beyond is no moment."""

_NO_PROVIDERS: Final[Mapping[str, str]] = {
    "override": "a configurator",
    "absent": "a configurator",
    "condition": "a routing rule",
    "tag": "a routing rule",
    "script": "a routing rule",
    "route": "a routing rule",
    "consumer": "a consumer",
    "empty": "Dubbo's sign for an empty list",
    "injvm": "reachable inside of its own process only",
}
_CATEGORIES: Final[Mapping[str, str]] = {
    "configurators": "a configurator",
    "routers": "a routing rule",
    "consumers": "a consumer",
}
_SECURE: Final = frozenset({"https", "wss", "grpcs"})


class Level(enum.Enum):
    """Where a provider was told; some rules reach only one of them."""

    INTERFACE = "interface"
    """A URL of its own, as all Dubbo writes by default up to 2.7 and 3 writes beside the other."""
    APPLICATION = "application"
    """An instance of an application, and what its metadata say of its interfaces."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One address that serves one interface."""

    service: ServiceId
    application: str
    instance: Instance
    """Its id is ``protocol://address:port``, and ``/path`` where that is not the interface."""
    methods: str = ""
    """Their names, with commas between them; empty where they are more than 4,096 characters."""
    serialization: str = ""
    """``prefer.serialization``: what it likes to be spoken to in, the best first."""
    level: Level = Level.INTERFACE
    enabled: bool = True
    """False after ``enabled=false``, which no rule takes back: consumers never see it."""


def not_a_provider(url: Url) -> str | None:
    """Say what a URL is that may stand among providers and is none; ``None`` for a provider.

    An unknown protocol is a provider's: anybody may teach Dubbo one (UrlUtils.java, isProvider).
    """
    known = _NO_PROVIDERS.get(url.protocol)
    return known or _CATEGORIES.get(url.parameters.get("category", ""))


def read_provider(url: Url, level: Level = Level.INTERFACE) -> Provider:
    """Return what the URL of a provider tells.

    ``disabled=true`` and ``enabled=false`` both take it out: a consumer drops the one when it
    makes its invokers (RegistryDirectory.java:478), the other when it reads (UrlUtils.isMatch).

    Raises BadData.
    """
    known = not_a_provider(url)
    if known is not None:
        raise BadData(f"it is no provider but {known}")
    if not url.port:
        raise BadData("it has no port")
    parameters = url.parameters
    service = identity(url)
    if ANY in (service.name, service.group, service.version):
        raise BadData(f"it is registered for every service: {shown(str(service))}")
    application = bounded_name(parameters.get("application", ""), "application")
    methods = parameters.get("methods", "")
    enabled = flag(parameters, "enabled", default=True)
    disabled = flag(parameters, "disabled", default=False) or not enabled
    instance = Instance(
        id=instance_id(url),
        address=url.address,
        ports=_ports(url),
        weight=weight_of(parameters.get("weight", "")),
        health=Health.DISABLED if disabled else Health.HEALTHY,
        metadata=kept(parameters, methods),
        zone=zone_of(parameters),
        registered_at=moment(parameters.get("timestamp", "")),
    )
    return Provider(
        service,
        application,
        instance,
        _short(methods, _LONGEST_METHODS),
        _short(parameters.get("prefer.serialization", ""), _LONGEST),
        level,
        enabled,
    )


def read_consumer(url: Url) -> tuple[ServiceId, Consumer]:
    """Return which service a consumer asks for, and who it is; group and version may be ``*``.

    Raises BadData.
    """
    if url.protocol != "consumer":
        raise BadData(f"it is no consumer but a URL of {shown(url.protocol)}")
    application = bounded_name(url.parameters.get("application", ""), "application")
    parameters = url.parameters
    process = bounded_name(parameters.get("pid") or parameters.get("timestamp", ""), "pid")
    return identity(url), Consumer(
        id=f"{url.endpoint}#{application}#{process}",
        address=url.address,
        application=application,
        metadata=kept(parameters, parameters.get("methods", "")),
    )


def identity(url: Url) -> ServiceId:
    """Return the service that a URL is about.

    Version 0.0.0 is none: a call that asks for no version says 0.0.0 (RpcInvocation.java:143), a
    provider leaves it out of the key by which it finds what was called
    (GroupServiceKeyCache.java:65), and Spring's XML writes it for none
    (DubboBeanDefinitionParser.java:427).

    Raises BadData.
    """
    parameters = url.parameters
    return service_id(url.interface, parameters.get("group", ""), parameters.get("version", ""))


@lru_cache(maxsize=65_536)
def service_id(interface: str, group: str, version: str) -> ServiceId:
    """Return the identity of an interface. Raises BadData."""
    if not interface:
        raise BadData("it names no interface")
    if version == NO_VERSION:
        version = ""
    return ServiceId(
        "",
        bounded_name(group, "group"),
        bounded_name(interface, "interface"),
        bounded_name(version, "version"),
    )


def asks_for(asked: ServiceId, told: ServiceId) -> bool:
    """Return whether a consumer that asks for the one gets the other (UrlUtils.java, isMatch).

    A consumer's group may be several, or ``*``; so may its version be ``*``.
    """
    return (
        asked.name in (ANY, told.name)
        and (asked.group == ANY or told.group in asked.group.split(","))
        and asked.version in (ANY, told.version)
    )


def instance_id(url: Url) -> str:
    """Return what one provider is known by wherever it is told."""
    plain = url.path in ("", url.interface)
    return f"{url.protocol}://{url.endpoint}" if plain else str(url)


def moment(text: str) -> float | None:
    """Return milliseconds since 1970 as seconds; ``None`` where they are no moment."""
    number = whole_number(text)
    return number / 1_000 if number is not None and 0 < number < _LATEST else None


def _ports(url: Url) -> tuple[InstancePort, ...]:
    """Return its port, once for each protocol it understands there.

    ``ext.protocol`` names further ones on the same port, and a consumer takes the one it likes
    (RegistryDirectory.java, getEffectiveProtocol).
    """
    secure = flag(url.parameters, "ssl-enabled", default=False)
    more = url.parameters.get("ext.protocol", "")
    first = port(url.port, url.protocol, secure=secure)
    if not more:
        return (first,)
    others = dict.fromkeys(name for name in more.split(",") if name and name != url.protocol)
    return (
        first,
        *(port(url.port, bounded_name(each, "protocol"), secure=secure) for each in others),
    )


@lru_cache(maxsize=16_384)
def port(number: int, protocol: str, *, secure: bool) -> InstancePort:
    """Return a port, the same each time: most providers listen on the same one."""
    return InstancePort(number, protocol, secure or protocol in _SECURE)


def weight_of(text: str) -> float:
    """Return Dubbo's weight relative to its default. Raises BadData."""
    if not text:
        return 1.0
    number = whole_number(text)
    if number is None:
        raise BadData(f"its weight is {shown(text)}, no number")
    return number / NORMAL_WEIGHT


def _short(text: str, longest: int) -> str:
    return _shared(text) if len(text) <= longest else ""


@lru_cache(maxsize=16_384)
def _shared(text: str) -> str:
    """Return a text equal to this, the same each time: providers of one application repeat it.

    ``sys.intern`` would keep whatever a registry ever held: Python 3.12 never lets such a text go.
    """
    return text


def bounded_name(text: str, what: str) -> str:
    """Return the name, if it is one that can be shown and kept. Raises BadData."""
    if len(text) > _LONGEST:
        raise BadData(f"its {what} is longer than {_LONGEST} characters")
    if not text.isprintable():
        raise BadData(f"its {what} holds characters that cannot be printed")
    return _shared(text)
