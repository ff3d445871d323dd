"""Reads the names under which Dubbo registers its interfaces in Nacos; pure."""

from dataclasses import dataclass
from typing import Final

from meshbridge import BadData, ServiceId
from meshbridge_dubbo.provider import service_id
from meshbridge_dubbo.url import shown

SEPARATOR: Final = ":"
PROVIDERS: Final = "providers"
CONSUMERS: Final = "consumers"
_RULES: Final = frozenset({"configurators", "routers"})
_CATEGORIES: Final = _RULES | {PROVIDERS, CONSUMERS}
_WHOLE, _WITH_ONE, _PLAIN = 4, 3, 2
"""Parts of ``category:interface:version:group``; a legacy name leaves empty ones out."""


@dataclass(frozen=True, slots=True)
class DubboName:
    """What the name of a Nacos service of Dubbo's says."""

    category: str
    service: ServiceId
    """Without a namespace: that of a Dubbo interface is nowhere but in its own name."""
    either: str = ""
    """Of a legacy name: the version, as ``service`` has it, or the group; it does not say which."""

    def means(self, told: ServiceId) -> bool:
        """Return whether a record that tells this of itself belongs under the name."""
        if not self.either:
            return told == self.service
        other = ServiceId("", self.either, self.service.name)
        return told in (self.service, other)


def is_dubbos_name(name: str) -> bool:
    """Return whether Dubbo alone registers services of such a name."""
    return name.partition(SEPARATOR)[0] in _CATEGORIES and SEPARATOR in name


def is_read(name: str) -> bool:
    """Return whether anything is made of the service of this name, so that it must be asked for.

    Nothing is of what stands under ``configurators:`` and ``routers:``. Dubbo's own consumers do
    not read it either: "Nacos does not support configurators and routers from registry"
    (NacosRegistry.java, toUrlWithEmpty).
    """
    return not (is_dubbos_name(name) and name.partition(SEPARATOR)[0] in _RULES)


def read_name(name: str) -> DubboName:
    """Read a name for which :func:`is_dubbos_name` holds.

    Its parts are interface, version and group; empty ones stay (URL.getColonSeparatedKey), but for
    Dubbo up to 2.7.3 and with ``nacos.register-compatible``, which leave them out
    (NacosRegistry.java, getLegacySubscribedServiceName; URL.getCompatibleColonSeparatedKey).

    Raises BadData.
    """
    category, *parts = name.split(SEPARATOR)
    if len(parts) + 1 not in {_WHOLE, _WITH_ONE, _PLAIN}:
        raise BadData(f"its name is {shown(name)}, not {category}:interface:version:group")
    interface, version, group = (*parts, "", "")[:3]
    either = version if len(parts) + 1 == _WITH_ONE else ""
    return DubboName(category, service_id(interface, group, version), either)
