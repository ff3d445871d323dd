"""Reads the names of providers of which others of their kind were read before; pure."""

from functools import lru_cache
from typing import NamedTuple

from meshbridge import BadData, Instance, InstancePort
from meshbridge_dubbo.provider import Provider, moment, not_a_provider, port, read_provider
from meshbridge_dubbo.url import read_common, split


class _Like(NamedTuple):
    """What providers have in common that differ in their address and in when they began."""

    provider: Provider
    protocol: str
    """What stands before the address in the ids of their instances."""
    path: str
    """What stands behind the port there."""


def provider_named(name: str) -> Provider | None:
    """Return what :func:`read_provider` does of a URL's name, ``None`` where that must be asked.

    What providers have in common is read once (:func:`meshbridge_dubbo.url.split`).
    """
    parts = split(name)
    like = None if parts is None or not parts.port else _like(parts.common)
    if parts is None or like is None:
        return None
    told = like.provider
    known = told.instance
    instance = Instance(
        f"{like.protocol}{parts.address}:{parts.port}{like.path}",
        parts.address,
        _at(known.ports, parts.port),
        known.weight,
        known.health,
        known.metadata,
        known.zone,
        moment(parts.own.get("timestamp", "")),
    )
    return Provider(
        told.service,
        told.application,
        instance,
        told.methods,
        told.serialization,
        enabled=told.enabled,
    )


@lru_cache(maxsize=256)
def _like(common: str) -> _Like | None:
    """Return what providers of a kind have in common, if that can be read."""
    url = read_common(common)
    if url is None or not_a_provider(url) is not None:
        return None
    try:
        provider = read_provider(url)
    except BadData:
        return None
    protocol = f"{url.protocol}://"
    path = provider.instance.id.removeprefix(f"{protocol}{url.endpoint}")
    return _Like(provider, protocol, path)


@lru_cache(maxsize=16_384)
def _at(ports: tuple[InstancePort, ...], number: int) -> tuple[InstancePort, ...]:
    """Return the ports with another number."""
    return tuple(port(number, each.protocol, secure=each.secure) for each in ports)
