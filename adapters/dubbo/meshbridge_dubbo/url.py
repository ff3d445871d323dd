"""Reads the URLs by which Dubbo names providers, consumers and rules in a registry; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from meshbridge import BadData

LONGEST: Final = 65_536
"""Characters of a URL that are read; an interface of 500 methods takes a tenth of it."""
_LONGEST_NAME: Final = 512
"""Characters of what stands before the parameters: the address, the path, the protocol."""
_HIGHEST_PORT: Final = 65_535
_DEFAULT: Final = "default."

_SIGNS: Final = {
    digits: chr(code)
    for code in range(128)
    for digits in {f"{code:02X}", f"{code:02x}", f"{code:02X}".swapcase()}
}
"""ASCII by the two digits that stand after a per cent sign: nearly all escapes there are."""
_OWN: Final = re.compile("%26(timestamp|pid)%3D([0-9]+)(?=%26|$)")
"""Parameters, still encoded, in which the providers of one application differ."""
_NO_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Url:
    """A Dubbo URL, decoded: ``protocol://address:port/path?parameters``."""

    protocol: str
    address: str
    """A name or an IP address, IPv6 without its brackets."""
    port: int
    """0 where the URL has none, as a consumer's."""
    path: str
    """Without the first slash: the interface, after the context path if there is one."""
    parameters: Mapping[str, str]
    """``default.x`` of Dubbo 2.6 is told as ``x``, unless there is a plain ``x``."""

    def __str__(self) -> str:
        """Return the URL without its parameters, as people know it from Dubbo's logs."""
        return f"{self.protocol}://{self.endpoint}/{self.path}"

    @property
    def endpoint(self) -> str:
        """The address and the port, IPv6 in brackets."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}" if self.port else host

    @property
    def interface(self) -> str:
        """The interface it is about; the path, where the parameters do not say (URL.java)."""
        return self.parameters.get("interface") or self.path


def parse_url(name: str) -> Url:
    """Read a URL, or the name of a node in ZooKeeper, which is a URL encoded as a whole.

    Values are decoded once more where they hold escapes still: dubbo-go encodes twice. A ``+`` is
    a space in the outer encoding only, which is Java's ``URLEncoder`` (URLStrParser.java).

    Raises BadData.
    """
    if len(name) > LONGEST:
        raise BadData(f"the URL is longer than {LONGEST} characters")
    body, parameters = _halves(name)
    if not body.isprintable():
        raise BadData("it holds characters that cannot be printed")
    if len(body) > _LONGEST_NAME:
        raise BadData(f"what stands before its parameters is longer than {_LONGEST_NAME}")
    protocol, separator, rest = body.partition("://")
    if not protocol or not separator or "/" in protocol:
        raise BadData(f"it is no URL, which begins like dubbo://: {shown(body)}")
    rest = rest.partition("#")[0]  # as Dubbo does (URLStrParser.java, parseURLBody)
    authority, _, path = rest.partition("/")
    address, port = _endpoint(authority.rpartition("@")[2])  # no user, no password
    return Url(protocol, address, port, path, parameters)


def shown(value: object) -> str:
    """Return a value as people read it in a message: short, and on one line."""
    if value is None:
        return "missing"
    if isinstance(value, dict | list):  # nested as deep as can be decoded, it may have no repr
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - a line's worth


def whole_number(text: str) -> int | None:
    """Return the number that ASCII digits write, if it has at most 18 of them (Java's long)."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 18:  # noqa: PLR2004
        return None
    return sign * int(digits)


def flag(parameters: Mapping[str, str], key: str, *, default: bool) -> bool:
    """Return a parameter as ``Boolean.parseBoolean`` reads it: ``true``, and all else is not."""
    text = parameters.get(key)
    return text.lower() == "true" if text else default


def _endpoint(text: str) -> tuple[str, int]:
    if text.startswith("["):
        address, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise BadData(f"its address is {shown(text)}: a bracket does not close")
        port = rest[1:]
    else:
        address, colon, port = text.rpartition(":")
        if not colon:
            address, port = port, ""
    if not address:
        raise BadData("it has no address")
    number = whole_number(port) if port else 0
    if number is None or not 0 <= number <= _HIGHEST_PORT:
        raise BadData(f"its port is {shown(port)}, not 1 to {_HIGHEST_PORT}")
    return address, number


def _halves(name: str) -> tuple[str, dict[str, str]]:
    """Return what stands before a URL's parameters, decoded, and these."""
    if "://" in name or "?" in name:
        body, _, query = (name if "://" in name else _decoded_name(name)).partition("?")
        return body, _parameters(query)
    head, _, tail = name.partition("%3F")
    body, found, rest = _decoded_name(head).partition("?")
    if found:  # a question mark that was written as %3f
        return body, _parameters(f"{rest}?{_decoded_name(tail)}")
    own = dict(_OWN.findall(tail))
    repeated = _repeated(_OWN.sub(r"%26\1%3D", tail))
    if any(repeated.get(key) for key in own):  # told twice, and what is no number stands last
        return body, _parameters(_decoded_name(tail))
    return body, {**repeated, **own}


@lru_cache(maxsize=256)
def _repeated(query: str) -> Mapping[str, str]:
    """Read encoded parameters that an interface's providers have in common.

    Those of an application differ in the address and in when each began: so only one of them is
    read, and a name of 530 characters takes 11 us instead of 27. They are read one after the other.
    """
    return _parameters(_decoded_name(query))


def _decoded_name(text: str) -> str:
    return _decoded(text.replace("+", " "))


def _parameters(query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for pair in query.replace(";", "&").split("&"):
        key, _, value = pair.partition("=")
        parameters[key] = value
    if "%" in query:
        parameters = {
            _decoded_again(key): _decoded_again(value) for key, value in parameters.items()
        }
    if _DEFAULT in query:
        begun = len(_DEFAULT)
        defaults = {k[begun:]: v for k, v in parameters.items() if k.startswith(_DEFAULT)}
        plain = {k: v for k, v in parameters.items() if not k.startswith(_DEFAULT)}
        parameters = defaults | plain
    parameters.pop("", None)
    return parameters


def _decoded(text: str) -> str:
    """Return the text with its escapes decoded, each of which must be one."""
    first, *rest = text.split("%")
    try:  # seven times as fast as Python's own, and all that is left of most names' cost
        return first + "".join([_SIGNS[part[:2]] + part[2:] for part in rest])
    except KeyError:
        pass  # an escape of more than ASCII, or none
    if match := _NO_ESCAPE.search(text):
        start = match.start()
        raise BadData(f"{shown(text[start : start + 3])} in it is no escape")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeError:
        raise BadData("its escapes are no UTF-8") from None


def _decoded_again(text: str) -> str:
    """Return the text with its own escapes decoded, or as it is where its per cent sign is one."""
    try:
        return _decoded(text)
    except BadData:
        return text
