"""Makes the host of a registration: the same one on every bridge, legal everywhere, or none.

The rules stand in ``docs/configuration.md``. They look at one registration alone; what happens
when two reach one host is :mod:`meshbridge.catalog`'s.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import ne
from typing import Final

from meshbridge.registration import Kind, ServiceId

DEFAULT_TEMPLATE: Final = "{service}.{group?}.{namespace?}.{domain}"
DUBBO_DOMAIN: Final = "dubbo"
SCHEMES: Final = ("higress", "slime", "nacos-istio", "dubbo2istio")
"""Peers whose hosts ``publish.host`` can imitate, so that callers need not change at once."""

LONGEST_LABEL: Final = 63
LONGEST_HOST: Final = 243
"""DNS allows 253; ten are kept for the suffix of :func:`renamed`, which must always fit."""
_RENAMED_LABEL: Final = LONGEST_LABEL - len("-x12345678")

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LEGAL: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def _spelt(sign: str) -> str:
    lower = sign.lower()
    return lower if lower in _LEGAL else "-"


class _Spelling(dict[int, str]):
    """What each sign becomes in a host, one for one: a table for ``str.translate``."""

    def __missing__(self, code: int) -> str:
        return _spelt(chr(code))


_WITHOUT_DOTS: Final = _Spelling({code: _spelt(chr(code)) for code in range(128)})
_WITH_DOTS: Final = _Spelling({**_WITHOUT_DOTS, ord("."): "."})
_PIECE: Final = re.compile(r"\{([a-z]+)(\?)?\}|([a-z0-9-]+)")
_WHEN_EMPTY: Final[Mapping[str, str]] = {
    "group": "default-group",
    "namespace": "public",
    "version": "0-0-0",
}
"""How the registries spell the defaults that :class:`ServiceId` leaves empty."""
_FIELDS: Final = ("service", "group", "namespace", "version", "domain")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The host a registration asks for."""

    host: str | None
    """``None`` if no legal one can be made; ``refusal`` says why."""
    changes: int = 0
    """How many characters of the registered name had to change: the fewest keeps the host."""
    optional_parts: int = 0
    """Parts the host has because the registration is not in the registry's defaults."""
    refusal: str = ""
    reserved: bool = False
    """Whether it is refused for being somebody else's rather than for being illegal."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Fixed text, or a field to fill in."""

    text: str
    field: bool
    optional: bool


Template = tuple[tuple[_Piece, ...], ...]
"""The pieces of each part; parts are what stands between two dots."""


@lru_cache(maxsize=256)
def parse_template(text: str) -> Template:
    """Read a template such as ``{service}.{group?}.{domain}``.

    Raises ValueError, saying what was found and what is allowed.
    """
    return tuple(_parse_part(part) for part in text.split("."))


def _parse_part(part: str) -> tuple[_Piece, ...]:
    pieces: list[_Piece] = []
    position = 0
    while position < len(part):
        match = _PIECE.match(part, position)
        if match is None:
            message = (
                f"found {part[position:]!r}; allowed: lower case letters, digits, '-', dots and "
                f"the fields {', '.join(f'{{{field}}}' for field in _FIELDS)}, with ? if optional"
            )
            raise ValueError(message)
        pieces.append(_piece(match))
        position = match.end()
    if not pieces:
        message = "found an empty part between two dots; allowed: text or a field in each part"
        raise ValueError(message)
    if any(piece.optional for piece in pieces) and sum(piece.field for piece in pieces) > 1:
        message = (
            f"found {part!r}; allowed: an optional field with nothing but fixed text beside it, "
            "because the whole part between two dots goes when the field is empty"
        )
        raise ValueError(message)
    return tuple(pieces)


def _piece(match: re.Match[str]) -> _Piece:
    field, optional, text = match.groups()
    if field is None:
        return _Piece(text, field=False, optional=False)
    if field not in _FIELDS:
        message = f"found the field {{{field}}}; allowed: {', '.join(_FIELDS)}"
        raise ValueError(message)
    if optional and field not in _WHEN_EMPTY:
        message = f"found {{{field}?}}; allowed: {{{field}}}, because it is never empty"
        raise ValueError(message)
    return _Piece(field, field=True, optional=optional is not None)


def check_host_rule(text: str) -> str:
    """Return the text if it can be ``publish.host``, else raise ValueError.

    A template must name the service, or all services would meet in one host, and must end in the
    domain, because a registry claims hosts under its own domain only.
    """
    if text in SCHEMES:
        return text
    parts = parse_template(text)
    fields = {piece.text for part in parts for piece in part if piece.field}
    if "service" not in fields or parts[-1] != (_Piece("domain", field=True, optional=False),):
        message = (
            f"found {text!r}; allowed: a template with {{service}} that ends in .{{domain}} "
            f"(set publish.domain for another one), or one of {', '.join(SCHEMES)}"
        )
        raise ValueError(message)
    return text


def legal_host(text: str) -> bool:
    """Return whether istiod and Envoy both take this as a host: DNS in lower case."""
    labels = text.split(".")
    return (
        len(text) <= LONGEST_HOST
        and all(len(each) <= LONGEST_LABEL and _LABEL.fullmatch(each) for each in labels)
        and not labels[-1].isdigit()
    )


def reserved_host(host: str) -> bool:
    """Return whether the name is Kubernetes' or the machine's own, which nobody may claim."""
    return any(
        host == each or host.endswith(f".{each}") for each in ("localhost", "svc", "cluster.local")
    )


def wanted_host(service: ServiceId, kind: Kind, rule: str, domain: str) -> Wanted:
    """Return the host that the registration asks for under a template or a peer's scheme.

    Templates shape applications. Dubbo interfaces keep ``….dubbo`` in every registry, because
    their callers name interface, version and group and never a registry; only the two schemes of
    peers that bridge Dubbo change that.
    """
    if kind is Kind.DUBBO_INTERFACE:
        return _dubbo_host(service, rule)
    if rule == "slime":  # S: eureka/conversion.go and nacos/conversion.go, NsHost, K8SDomainSuffix
        return _filled("{service}.{domain}", service, f"{domain}.svc.cluster.local")
    if rule == "nacos-istio" or (rule == "higress" and domain == "nacos"):
        return _filled("{service}.{group}.{namespace}.{domain}", service, domain)
    if rule == "higress":  # its Eureka and ZooKeeper hosts have no group
        return _filled("{service}.{domain}", service, domain)
    return _filled(DEFAULT_TEMPLATE if rule == "dubbo2istio" else rule, service, domain)


def _dubbo_host(service: ServiceId, rule: str) -> Wanted:
    if rule == "dubbo2istio":
        text = "-".join(each for each in (service.name, service.group, _dashed(service)) if each)
    elif rule == "slime":  # its ':' is illegal in istiod, so it becomes '-' like all else
        text = ":".join((service.name, service.group, _dashed(service))).rstrip(":")
    else:
        return _filled("{service}.v-{version?}.g-{group?}.dubbo", service, DUBBO_DOMAIN)
    host, changes = _clean(text, dots=True)
    parts = bool(service.group) + bool(service.version)
    if host and ("." not in host or reserved_host(host)):
        why = f"the host {host} is not a registry's to claim"
        return Wanted(None, changes, parts, why, reserved=True)
    return _checked(host, changes, parts)


def _dashed(service: ServiceId) -> str:
    return service.version.replace(".", "-")


def fill_alias(template: str, service: ServiceId, domain: str) -> Wanted:
    """Return the alias that a template makes; the caller judges whether it may be claimed."""
    return _filled(template, service, domain)


def _filled(template: str, service: ServiceId, domain: str) -> Wanted:
    values = {
        "service": service.name,
        "group": service.group,
        "namespace": service.namespace,
        "version": service.version,
        "domain": domain,
    }
    parts: list[str] = []
    changes = optional_parts = 0
    for pieces in parse_template(template):
        if any(piece.optional and not values[piece.text] for piece in pieces):
            continue
        optional_parts += any(
            values[piece.text] and piece.text in _WHEN_EMPTY for piece in pieces if piece.field
        )
        part = ""
        for piece in pieces:
            if not piece.field:
                part += piece.text
                continue
            raw = values[piece.text] or _WHEN_EMPTY.get(piece.text, "")
            text, changed = _clean(raw, dots=piece.text in ("service", "domain"))
            if not text:
                return Wanted(None, refusal=_unspeakable(piece.text))
            part += text
            changes += changed
        parts.append(part)
    host, changed = _fit(".".join(parts))
    return _checked(host, changes + changed, optional_parts)


def _unspeakable(field: str) -> str:
    what = "the name" if field == "service" else f"its {field}"
    return f"{what} has none of the letters a-z and digits that hosts are made of"


def _checked(host: str, changes: int, optional_parts: int) -> Wanted:
    if not legal_host(host):
        why = (
            f"its host would be longer than {LONGEST_HOST} characters"
            if len(host) > LONGEST_HOST
            else "the name has none of the letters a-z, or its last part is a number"
        )
        return Wanted(None, changes, optional_parts, why)
    return Wanted(host, changes, optional_parts)


def as_label(raw: str) -> str:
    """Return registry data as one label of a host, or an empty text if it has nothing legal."""
    text, _ = _clean(raw, dots=False)
    return text


def _clean(raw: str, *, dots: bool) -> tuple[str, int]:
    """Return legal labels made of registry data, and how many characters that changed."""
    spelt = raw.translate(_WITH_DOTS if dots else _WITHOUT_DOTS)
    changes = sum(map(ne, raw, spelt))
    labels = [label.strip("-") for label in spelt.split(".")]
    cleaned = ".".join(label for label in labels if label)
    fitted, cut = _fit(cleaned)
    return fitted, changes + len(spelt) - len(cleaned) + cut


def _fit(host: str) -> tuple[str, int]:
    """Cut labels over 63 characters and end them in a hash of what they were."""
    if all(len(label) <= LONGEST_LABEL for label in host.split(".")):
        return host, 0
    fitted: list[str] = []
    changes = 0
    for label in host.split("."):
        if len(label) <= LONGEST_LABEL:
            fitted.append(label)
            continue
        kept = label[: LONGEST_LABEL - 9].rstrip("-")
        fitted.append(f"{kept}-{_digest(label)}")
        changes += len(label) - len(kept)
    return ".".join(fitted), changes


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def renamed(host: str, service: ServiceId) -> str:
    """Return the host of a registration that lost ``host`` to another one of its registry."""
    first, dot, rest = host.partition(".")
    return f"{first[:_RENAMED_LABEL].rstrip('-')}-x{_digest(str(service))}{dot}{rest}"
