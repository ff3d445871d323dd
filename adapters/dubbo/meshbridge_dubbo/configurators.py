"""Reads Dubbo's configurators, from ``override://`` URLs and from its configuration centre; pure.

Only what a rule says of ``weight`` and ``disabled`` is read; all else of it is for callers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from meshbridge import BadData, ServiceId
from meshbridge_dubbo.overrides import ANYWHERE, Remark, Rule, Rules
from meshbridge_dubbo.provider import ANY, identity, service_id, weight_of
from meshbridge_dubbo.rule_match import Match, read_match
from meshbridge_dubbo.rule_text import (
    MOST_BYTES,
    Value,
    a_list,
    a_mapping,
    a_word,
    read_yaml,
    words,
)
from meshbridge_dubbo.url import Url, flag, parse_url, shown, whole_number

SUFFIX: Final = ".configurators"
_MOST: Final = 1_000
"""Rules that one text may come to: addresses times applications or services."""
_IN_A_DOCUMENT: Final = "say it in a routing document that matches the callers' source labels"


@dataclass(frozen=True, slots=True)
class _Configurator:
    """One rule, in the form to which Dubbo brings all of them (ConfigParser.java)."""

    thing: str
    url: Url
    listening: ServiceId | None
    """Whose consumers read it; ``None``: those of an application."""
    match: Match | None = None
    legacy: bool = False


def read_override(url: Url, interface: str) -> Rules:
    """Read what stands in ``/dubbo/<interface>/configurators``.

    Dubbo-admin marks with ``compatible_config`` what it also wrote into the configuration centre,
    for consumers before 2.7; newer ones skip it (RegistryDirectory.java:802). Raises BadData.
    """
    if url.parameters.get("compatible_config"):
        return Rules()
    if url.interface not in (interface, ANY):
        reason = f"it is for {url.interface} and stands where those of {interface} look"
        return Rules(remarks=(Remark(str(url), reason, "move it below its own interface"),))
    listening = service_id(
        interface, url.parameters.get("group", ""), url.parameters.get("version", "")
    )
    return _judged(_Configurator(str(url), url, listening, legacy=True))


def service_of(key: str) -> ServiceId | None:
    """Return whose consumers read the rules of this key; ``None``: those of an application.

    The key is ``interface:version:group.configurators`` with empty parts kept
    (URL.getColonSeparatedKey), or ``application.configurators``. Raises BadData.
    """
    name = key.removesuffix(SUFFIX)
    if ":" not in name:
        return None
    interface, *parts = name.split(":")
    if len(parts) != 2:  # noqa: PLR2004 - version and group
        raise BadData(f"its key is {shown(key)}, not interface:version:group{SUFFIX}")
    return service_id(interface, group=parts[1], version=parts[0])


def read_configurators(key: str, data: bytes) -> Rules:
    """Read the configurators that stand in the configuration centre under ``key``.

    Raises BadData: Dubbo, too, ignores all of a text of which it cannot read a part.
    """
    listening = service_of(key)
    urls = _old_form(data)
    if urls is not None:
        return _joined(_judged(_Configurator(key, url, listening)) for url in urls)
    told = read_yaml(data)
    if told is None:
        return Rules()
    rule = a_mapping(told, "the rule")
    return _joined(
        _judged(_Configurator(key, url, listening, match))
        for each in a_list(rule.get("configs"), "configs")
        for url, match in _item(rule, a_mapping(each, "one of configs"))
    )


def _old_form(data: bytes) -> list[Url] | None:
    """Return the URLs of a JSON list of them, the form before 2.7; ``None`` for another form."""
    if len(data) > MOST_BYTES or not data.lstrip().startswith(b"["):
        return None
    try:
        texts = msgspec.json.decode(data, type=list[str])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return [parse_url(text) for text in texts]


def _item(rule: dict[str, Value], item: dict[str, Value]) -> Iterable[tuple[Url, Match | None]]:
    """Return an item as the URLs that Dubbo makes of it, one for each address and caller.

    Raises BadData.
    """
    parameters = a_mapping(item.get("parameters"), "parameters of one of configs")
    if not parameters or None in parameters.values():
        raise BadData("one of configs sets no parameter, or one to nothing")
    effects = {key: value for key, value in parameters.items() if isinstance(value, str)}
    key = a_word(rule.get("key"), "key")
    side = a_word(item.get("side"), "side")
    addresses = words(item.get("addresses"), "addresses") or [ANYWHERE]
    providers = words(item.get("providerAddresses"), "providerAddresses")
    if a_word(rule.get("scope"), "scope") == "application":
        keys, applications = words(item.get("services"), "services") or [ANY], [key]
    else:
        keys, applications = [key], words(item.get("applications"), "applications") or [""]
    if len(addresses) * len(keys) * len(applications) > _MOST:
        raise BadData(f"one of configs comes to more than {_MOST} rules")
    general = a_word(item.get("type"), "type") in {"", "general"}
    enabled = rule.get("enabled") or "true" if general else item.get("enabled")
    version = a_word(rule.get("configVersion"), "configVersion")
    common = {
        **effects,
        "side": side,
        "enabled": a_word(enabled, "enabled") or "false",
        "providerAddresses": ",".join(providers),
        "configVersion": version or "null",  # so does Dubbo, and takes it for a new one
    }
    match = read_match(item.get("match")) if version.startswith("v3.0") else None
    for address in addresses:
        host = ANYWHERE if address.partition(":")[0] == ANYWHERE else address  # no port counts
        for named in keys:
            interface, group, service_version = _parts(named)
            for application in applications:
                names = {"group": group, "version": service_version, "application": application}
                yield Url("override", host, 0, interface, common | names), match


def _parts(key: str) -> tuple[str, str, str]:
    """Return interface, group and version of ``group/interface:version``. Raises BadData."""
    if not key:
        raise BadData("its key, or a service it names, is missing")
    group, _, rest = key.rpartition("/")
    interface, _, version = rest.partition(":")
    return interface, group, version


def _judged(one: _Configurator) -> Rules:
    """Return the rule, if all consumers of the service do the same by it. Raises BadData."""
    parameters = one.url.parameters
    weight, disabled = parameters.get("weight", ""), parameters.get("disabled", "")
    if not (weight or disabled) or not flag(parameters, "enabled", default=True):
        return Rules()
    if parameters.get("side") == "provider":
        return Rules()  # the provider does it itself and registers anew (RegistryProtocol.java:895)
    listening = one.listening
    if listening is None:
        return _for_some(one.thing, f"application {one.thing.removesuffix(SUFFIX)}")
    obstacle = _nowhere(one, listening) or _unclear(one)
    if obstacle:
        return Rules(remarks=(Remark(one.thing, *obstacle),))
    callers = _callers(one)
    if callers:
        return _for_some(one.thing, callers)
    url = one.url
    rule = Rule(
        listening,
        addresses=tuple(filter(None, parameters.get("providerAddresses", "").split(","))),
        endpoint=url.endpoint if url.port and not _modern(url) else "",
        match=one.match.provider if one.match else None,
        weight=weight_of(weight) if weight else None,
        disabled=flag(parameters, "disabled", default=False) if disabled else None,
        order=(url.address, whole_number(parameters.get("priority", "")) or 0),
        legacy=one.legacy,
    )
    return Rules((rule,))


def _modern(url: Url) -> bool:
    """Return whether the rule is of 2.7 or later (AbstractConfigurator.java:80)."""
    return bool(url.parameters.get("configVersion"))


def _nowhere(one: _Configurator, listening: ServiceId) -> tuple[str, str] | None:
    """Return reason and remedy of a rule that no consumer applies."""
    side = one.url.parameters.get("side", "")
    sides = {"consumer"} if _modern(one.url) else {"consumer", "", ANY}
    if side not in sides:
        return "its side is not consumer, so that Dubbo applies it nowhere", "say side: consumer"
    if one.url.interface != ANY and identity(one.url) != listening:
        return (
            f"it is for {identity(one.url)} and stands where those of {listening} look",
            "let its key be group/interface:version of the service that it stands for",
        )
    if one.match and not one.match.allows(listening):
        return "its match.service names other services", "drop match.service"
    return None


def _unclear(one: _Configurator) -> tuple[str, str] | None:
    """Return reason and remedy of a rule whose effect cannot be told from the registry."""
    if one.url.protocol == "absent":
        return "it sets only what a provider leaves out", "use override:// instead of absent://"
    unclear = one.match.unclear if one.match else ""
    if any(key.startswith("~") for key in one.url.parameters):
        unclear = "other parameters of the URL"
    if unclear:
        return f"it asks for {unclear}, which consumers answer differently", _IN_A_DOCUMENT
    return None


def _callers(one: _Configurator) -> str:
    """Return which consumers alone apply it; empty: all of them."""
    application = one.url.parameters.get("application", "")
    if application not in ("", ANY):
        return f"application {application}"
    if one.url.address != ANYWHERE and (_modern(one.url) or not one.url.port):
        return f"address {one.url.address}"
    return ""


def _for_some(thing: str, callers: str) -> Rules:
    reason = f"it is for callers of {callers} only, and a host is the same for all callers"
    return Rules(remarks=(Remark(thing, reason, _IN_A_DOCUMENT),))


def _joined(parts: Iterable[Rules]) -> Rules:
    found = list(parts)
    return Rules(
        tuple(dict.fromkeys(rule for each in found for rule in each.rules)),
        tuple(dict.fromkeys(remark for each in found for remark in each.remarks)),
    )
