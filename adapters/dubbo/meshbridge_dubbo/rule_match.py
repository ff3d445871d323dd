"""Reads ``match`` of a v3.0 configurator, and whether it asks for what callers differ in; pure."""

from dataclasses import dataclass
from typing import Final

from meshbridge import ServiceId
from meshbridge_dubbo.overrides import ANYWHERE, AddressMatch
from meshbridge_dubbo.rule_text import Value, a_list, a_mapping, a_word

_EVERYWHERE: Final = frozenset({ANYWHERE, "*"})


@dataclass(frozen=True, slots=True)
class TextMatch:
    """One of ``match.service.oneof``; the first that is told decides (StringMatch.java)."""

    exact: str = ""
    prefix: str = ""
    wildcard: str = ""

    def fits(self, text: str) -> bool:
        """Return whether it means this text."""
        if self.exact:
            return self.exact == text
        if self.prefix:
            return text.startswith(self.prefix)
        return self.wildcard in {"*", text}


@dataclass(frozen=True, slots=True)
class Match:
    """What a rule asks of the provider besides its service's name."""

    provider: AddressMatch | None = None
    unclear: str = ""
    """What it asks that consumers answer differently; empty where it asks no such thing."""
    services: tuple[TextMatch, ...] | None = None

    def allows(self, service: ServiceId) -> bool:
        """Return whether it leaves the rule to this service."""
        group = f"{service.group}/" if service.group else ""
        version = f":{service.version}" if service.version else ""
        key = f"{group}{service.name}{version}"
        return self.services is None or any(each.fits(key) for each in self.services)


def read_match(value: Value) -> Match | None:
    """Return what ``match`` asks, ``None`` where there is none. Raises BadData."""
    if value is None:
        return None
    told = a_mapping(value, "match")
    unclear = ""
    for key in ("app", "param"):
        if told.get(key) is not None:
            unclear = f"match.{key}"
    caller = _address(told.get("address"), "match.address")
    if caller and not (caller.cird in {"*", "*.*.*.*"} or caller.wildcard in _EVERYWHERE):
        unclear = "match.address"
    services = _services(told.get("service"))
    if services is None and told.get("service") is not None:
        unclear = "a regular expression of services"
    return Match(_address(told.get("providerAddress"), "match.providerAddress"), unclear, services)


def _services(value: Value) -> tuple[TextMatch, ...] | None:
    """Return which services are meant; ``None``: all, or those of Java's regular expressions."""
    if value is None:
        return None
    what = "match.service.oneof"
    listed = a_list(a_mapping(value, "match.service").get("oneof"), what)
    told = [a_mapping(each, f"one of {what}") for each in listed]
    if any(each.get("regex") is not None for each in told):
        return None
    return tuple(
        TextMatch(*(a_word(each.get(key), key) for key in ("exact", "prefix", "wildcard")))
        for each in told
    )


def _address(value: Value, what: str) -> AddressMatch | None:
    if value is None:
        return None
    told = a_mapping(value, what)
    return AddressMatch(*(a_word(told.get(key), what) for key in ("cird", "wildcard", "exact")))
