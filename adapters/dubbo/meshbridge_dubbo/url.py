"""Reads the URLs by which Dubbo names providers, consumers and rules in a registry; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple
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
_OWN: Final = {key: f"%26{key}%3D" for key in ("timestamp", "pid")}
"""Parameters in which providers of one application differ, as they stand in a name."""
_PLAIN_HOST: Final = re.compile(r"[0-9A-Za-z.\-]+")
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


class Split(NamedTuple):
    """A URL's name, parted into what only it has and what all of its kind have in common.

    Of a hundred thousand providers most differ from another one in an address and a moment, so
    what they have in common is read once: a provider's name of 530 characters takes 8 us, not 26.
    """

    address: str
    """A name or an IPv4 address."""
    port: int
    """0 where the URL has none."""
    own: Mapping[str, str]
    """Those of its parameters in which its kind differs, if it has them."""
    common: str
    """The name without these parameters and with another address: equal for all of a kind."""


def split(name: str) -> Split | None:
    """Return the parts of a URL's name, ``None`` where it must be read as a whole.

    That is so for all but a URL that is encoded as a whole, as Dubbo writes it in ZooKeeper.
    """
    protocol, _, rest = name.partition("%3A%2F%2F")
    authority, _, rest = rest.partition("%2F")
    address, colon, port = authority.partition("%3A")
    parameters = rest.find("%3F")
    if parameters < 0 or "%" in protocol or not _PLAIN_HOST.fullmatch(address):
        return None
    number = whole_number(port) if colon else 0
    if number is None or not 0 <= number <= _HIGHEST_PORT:
        return None
    if len(name) > LONGEST or len(name) - len(rest) + parameters > _LONGEST_NAME:
        return None
    own: dict[str, str] = {}
    for key, sign in _OWN.items():
        begin = rest.find(sign, parameters)
        if begin >= 0:
            value, ampersand, others = rest[begin + len(sign) :].partition("%26")
            if not (value.isascii() and value.isdecimal()):
                return None
            own[key] = value
            rest = rest[:begin] + ampersand + others
    return Split(address, number, own, f"{protocol}%3A%2F%2Fa{colon and '%3A1'}%2F{rest}")


def parse_url(name: str) -> Url:
    """Read a URL, or the name of a node in ZooKeeper, which is a URL encoded as a whole.

    Values are decoded once more where they hold escapes still: dubbo-go encodes twice. A ``+`` is
    a space in the outer encoding only, which is Java's ``URLEncoder`` (URLStrParser.java).

    Raises BadData.
    """
    parts = split(name)
    common = None if parts is None else read_common(parts.common)
    if parts is None or common is None:
        return _read(name)
    parameters = {**common.parameters, **parts.own}
    return Url(common.protocol, parts.address, parts.port, common.path, parameters)


@lru_cache(maxsize=256)
def read_common(name: str) -> Url | None:
    """Return what URLs of a kind have in common; ``None``: each must be read as a whole.

    What cannot be read must be refused in its own words, and what says again what is each one's
    own may mean it.
    """
    if "://" in name:
        return None
    try:
        url = _read(name)
    except BadData:
        return None
    return url if url.parameters.keys().isdisjoint(_OWN) else None


def _read(name: str) -> Url:
    """Read a name as a whole. Raises BadData."""
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
        raise BadData(f"it is no URL, which begins like dubbo://: {shown(body)}")
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
        if "%" in pair:
            key, value = _decoded_again(key), _decoded_again(value)
        parameters[key] = value
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
