"""Decodes the JSON that applications leave in a registry, into plain values; pure."""

from typing import Final, cast

import msgspec

from meshbridge import BadData
from meshbridge_dubbo.url import shown

MOST_BYTES: Final = 8 * 1024 * 1024
"""Of one text; the metadata of 1,000 interfaces are a tenth of it."""

Record = dict[str, object]
"""A JSON object as decoded."""


def record(data: bytes | str, what: str) -> Record:
    """Return the JSON object that ``what`` holds. Raises BadData."""
    return an_object(decoded(data, what), what)


def decoded(data: bytes | str, what: str) -> object:
    """Return the JSON that ``what`` holds. Raises BadData."""
    if len(data) > MOST_BYTES:
        raise BadData(f"{what} is larger than {MOST_BYTES} bytes")
    try:
        return cast("object", msgspec.json.decode(data))
    except UnicodeError:  # msgspec leaves a text's bytes to Python
        reason = "it is not UTF-8"
    except RecursionError:
        reason = "it is nested too deep"
    except (msgspec.MsgspecError, ValueError) as error:  # Python refuses numbers of 4,300 digits
        reason = str(error)
    raise BadData(f"{what} is no JSON: {reason}")


def an_object(value: object, what: str) -> Record:
    """Return the value as an object. Raises BadData."""
    if not isinstance(value, dict):
        raise BadData(f"{what} is {shown(value)}, no object")
    return cast("Record", value)


def a_list(value: object, what: str) -> list[object]:
    """Return the value as a list. Raises BadData."""
    if not isinstance(value, list):
        raise BadData(f"{what} is {shown(value)}, no list")
    return cast("list[object]", value)


def a_text(value: object, what: str) -> str:
    """Return the value as a text; what is missing is an empty one. Raises BadData."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadData(f"{what} is {shown(value)}, no text")
    return value


def texts(value: object, what: str) -> dict[str, str]:
    """Return an object whose values are texts; Java's null is left out. Raises BadData."""
    if value is None:
        return {}
    pairs: dict[str, str] = {}
    for key, each in an_object(value, what).items():
        if each is not None:
            pairs[key] = a_text(each, f"{shown(key)} of {what}")
    return pairs


def a_port(value: object, what: str) -> int:
    """Return the value as a port; what is missing is 0. Raises BadData."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65_535:  # noqa: PLR2004
        raise BadData(f"{what} is {shown(value)}, no port")
    return value
