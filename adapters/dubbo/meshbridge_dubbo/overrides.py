"""Applies Dubbo's configurators to providers, as all consumers of a service do; pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from meshbridge import Health, ServiceId
from meshbridge_dubbo.provider import Level, Provider

ANYWHERE: Final = "0.0.0.0"  # noqa: S104 - Dubbo's sign for every address, nothing is bound


@dataclass(frozen=True, slots=True)
class AddressMatch:
    """``match.providerAddress`` of a v3.0 rule; the first that is told and fits decides."""

    cird: str = ""
    """Dubbo's spelling. It is asked with the port, which no network can hold: it fits nothing
    but the same text, or everything (AddressMatch.java, NetUtils.java:772)."""
    wildcard: str = ""
    exact: str = ""

    def fits(self, endpoint: str) -> bool:
        """Return whether it means the provider at ``address:port``."""
        if self.cird and (self.cird == endpoint or self.cird.strip() in {"*", "*.*.*.*"}):
            return True
        if self.wildcard:
            return self.wildcard in {ANYWHERE, "*"} or _fits_glob(self.wildcard, endpoint)
        return bool(self.exact) and self.exact == endpoint


@dataclass(frozen=True, slots=True)
class Rule:
    """What every consumer of a service does to the providers that the rule means."""

    service: ServiceId
    addresses: tuple[str, ...] = ()
    """``address`` or ``address:port``, 0.0.0.0 for any; none of them: all providers."""
    endpoint: str = ""
    """One that must fit besides: what an ``override://`` URL with a port is for."""
    match: AddressMatch | None = None
    weight: float | None = None
    disabled: bool | None = None
    order: tuple[str, int] = (ANYWHERE, 0)
    """(address, priority): of two rules the greater has the last word (Configurator.java)."""
    legacy: bool = False
    """From an ``override://`` URL below the interface: those who read applications do not see
    it, and a rule of the configuration centre has the last word (RegistryDirectory.java:651)."""

    def means(self, provider: Provider) -> bool:
        """Return whether consumers apply it to this provider."""
        if provider.service != self.service:
            return False
        if self.legacy and provider.level is not Level.INTERFACE:
            return False
        address = provider.instance.address
        host = f"[{address}]" if ":" in address else address
        endpoint = f"{host}:{provider.instance.ports[0].number}"
        if self.endpoint and not _names(self.endpoint, address, endpoint):
            return False
        if self.addresses and not any(_names(each, address, endpoint) for each in self.addresses):
            return False
        return self.match is None or self.match.fits(endpoint)


@dataclass(frozen=True, slots=True)
class Remark:
    """A rule, or a part of it, that is not applied."""

    thing: str
    """As it is known in the registry."""
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configurators of one place say."""

    rules: tuple[Rule, ...] = ()
    remarks: tuple[Remark, ...] = ()


def apply(provider: Provider, rules: Iterable[Rule]) -> Provider:
    """Return the provider as consumers see it after these rules.

    ``disabled: false`` takes back a ``disabled=true`` of the provider's own, but not
    ``enabled=false`` (RegistryDirectory.java:478, UrlUtils.java, isMatch).
    """
    meant = sorted(
        (rule for rule in rules if rule.means(provider)),
        key=lambda rule: (not rule.legacy, rule.order),
    )
    if not meant:
        return provider
    instance = provider.instance
    weight, health = instance.weight, instance.health
    for rule in meant:
        if rule.weight is not None:
            weight = rule.weight
        if rule.disabled is not None and provider.enabled:
            health = Health.DISABLED if rule.disabled else Health.HEALTHY
    return replace(provider, instance=replace(instance, weight=weight, health=health))


def _names(pattern: str, address: str, endpoint: str) -> bool:
    """Return whether a provider's address fits (AbstractConfigurator.java, isV27ConditionMatch)."""
    host, _, port = pattern.rpartition(":")
    if host == ANYWHERE:
        return port in {"*", endpoint.rpartition(":")[2]}
    return pattern in {endpoint, address, ANYWHERE, f"[{address}]"}


def _fits_glob(pattern: str, value: str) -> bool:
    """Return whether the value fits a pattern whose last ``*`` stands for anything."""
    head, star, tail = pattern.rpartition("*")
    return value.startswith(head) and value.endswith(tail) if star else value == pattern
