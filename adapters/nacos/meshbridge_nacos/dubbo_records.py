"""Reads what Nacos holds of one instance as what Dubbo means by it; pure.

Dubbo puts all parameters of its URL into the instance's metadata, and its weight, too: Nacos' own
is always 1 then (NacosRegistry.java, createInstance). What a person changes in Nacos counts
nevertheless: a weight there is multiplied, and what is switched off or sick stays so.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final, NamedTuple

from meshbridge import BadData, Consumer, Health, Instance, InstancePort, ServiceId
from meshbridge_dubbo import (
    ApplicationInstance,
    Provider,
    Url,
    dubbo_instance,
    not_a_provider,
    read_consumer,
    read_provider,
)
from meshbridge_dubbo.application import is_dubbos
from meshbridge_dubbo.provider import instance_id, moment
from meshbridge_nacos.dubbo_names import DubboName

AGAIN: Final = "register it again, or mend the record in the Nacos console"
_DEFAULT: Final = "default."
_ANYWHERE: Final = "0.0.0.0:1"
"""Stands for the address of each, where their common part is read."""
Pairs = tuple[tuple[str, str], ...]
"""Metadata, sorted by their keys."""


class Fault(NamedTuple):
    """A record that cannot be read, or of which something must be said."""

    service: ServiceId
    """What it is about."""
    record: str
    """The instance's id, or what names the record; empty if nothing of the service can be read."""
    reason: str
    remedy: str = AGAIN

    @property
    def subject(self) -> ServiceId | tuple[ServiceId, str]:
        """What the core is told of as unreadable."""
        return (self.service, self.record) if self.record else self.service


class Path(NamedTuple):
    """Names one instance of an application."""

    application: str
    instance: str


class Caller(NamedTuple):
    """A consumer, and the service that it asks for."""

    asked: ServiceId
    consumer: Consumer


def provider(named: DubboName, instance: Instance) -> Provider:
    """Return the provider that an instance below ``providers:`` is.

    Its id is ``protocol://address:port``, as in every registry. Raises BadData.
    """
    started, common = _apart(instance.metadata, "timestamp")
    _, common = _apart(common, "pid")  # so that one interface's and application's are alike
    like = _like(common)
    if not named.means(like.service):
        raise BadData(f"it stands under {named.service} but is one of {like.service}")
    (port,) = instance.ports
    if not port.number:
        raise BadData("it has no port")
    host = f"[{instance.address}]" if ":" in instance.address else instance.address
    known = like.instance
    protocol, _, path = known.id.partition(_ANYWHERE)
    well = known.health is Health.HEALTHY
    # Without dataclasses.replace: it takes as long as all else here, and there are many of these.
    return Provider(
        like.service,
        like.application,
        Instance(
            f"{protocol}{host}:{port.number}{path}",
            instance.address,
            _at(known.ports, port.number),
            known.weight * instance.weight,
            instance.health if well else known.health,
            known.metadata,
            known.zone or instance.zone,
            moment(started),
        ),
        like.methods,
        like.serialization,
        like.level,
        enabled=like.enabled and instance.health is Health.HEALTHY,
    )


def provider_id(instance: Instance) -> str:
    """Return what an instance below ``providers:`` is known by, as far as that can be read."""
    pairs = dict(instance.metadata)
    protocol, path = pairs.get("protocol", ""), pairs.get("path", "")
    if not protocol:
        return instance.id
    return instance_id(Url(protocol, instance.address, instance.ports[0].number, path, pairs))


def caller(instance: Instance) -> Caller:
    """Return the consumer that an instance below ``consumers:`` is. Raises BadData."""
    parameters = _parameters(instance)
    path = parameters.get("path", "")
    url = Url(parameters.get("protocol", ""), instance.address, 0, path, parameters)
    return Caller(*read_consumer(url))


def application_of(application: str, instance: Instance) -> ApplicationInstance | None:
    """Return the instance of a Dubbo application; ``None`` where somebody else registered it.

    Raises BadData.
    """
    pairs = dict(instance.metadata)
    if not is_dubbos(pairs):
        return None
    (port,) = instance.ports
    base = replace(instance, registered_at=moment(pairs.get("timestamp", "")))
    read = dubbo_instance(application, base, port.number, pairs)
    return replace(read, instance=replace(read.instance, weight=1.0))


def _apart(pairs: Pairs, key: str) -> tuple[str, Pairs]:
    """Return what a key says in sorted pairs, empty if nothing, and the pairs without it."""
    place = bisect_left(pairs, (key,))
    if place == len(pairs) or pairs[place][0] != key:
        return "", pairs
    return pairs[place][1], pairs[:place] + pairs[place + 1 :]


@lru_cache(maxsize=4_096)
def _like(common: Pairs) -> Provider:
    """Read what providers have in common that differ in address and port. Raises BadData."""
    parameters = _undefaulted(dict(common))
    protocol = parameters.get("protocol", "")
    if not protocol:
        raise BadData("its metadata tell no protocol")
    path = parameters.get("path") or parameters.get("interface", "")
    address, _, port = _ANYWHERE.partition(":")
    url = Url(protocol, address, int(port), path, parameters)
    known = not_a_provider(url)
    if known is not None:
        raise BadData(f"it is no provider but {known}")
    return read_provider(url)


@lru_cache(maxsize=16_384)
def _at(ports: tuple[InstancePort, ...], number: int) -> tuple[InstancePort, ...]:
    """Return the ports with another number."""
    return tuple(replace(each, number=number) for each in ports)


def _parameters(instance: Instance) -> Mapping[str, str]:
    return _undefaulted(dict(instance.metadata))


def _undefaulted(parameters: dict[str, str]) -> Mapping[str, str]:
    """Return the parameters with ``default.x`` of Dubbo 2.6 as ``x``, unless there is a plain x."""
    defaults = {k.removeprefix(_DEFAULT): v for k, v in parameters.items() if _is_default(k)}
    if not defaults:
        return parameters
    return defaults | {k: v for k, v in parameters.items() if not _is_default(k)}


def _is_default(key: str) -> bool:
    return key.startswith(_DEFAULT)
