"""Reads the URLs by which Dubbo names providers, consumers and rules in a registry; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
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
    text = name if "://" in name else _decoded(name.replace("+", " "))
    body, _, query = text.partition("?")
    if not body.isprintable():
        raise BadData("it holds characters that cannot be printed")
    if len(body) > _LONGEST_NAME:
        raise BadData(f"what stands before its parameters is longer than {_LONGEST_NAME}")
    protocol, separator, rest = body.partition("://")
    if not protocol or not separator or "/" in protocol:
        raise BadData(f"it is no URL, which begins like dubbo://: {shown(text)}")
    rest = rest.partition("#")[0]  # as Dubbo does (URLStrParser.java, parseURLBody)
    authority, _, path = rest.partition("/")
    address, port = _endpoint(authority.rpartition("@")[2])  # no user, no password
    return Url(protocol, address, port, path, _parameters(query))


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
