"""Reads the fields of a record as Eureka's servers write them, old and new ones; pure.

XStream, which the first ones wrote JSON with, makes texts of numbers and numbers of texts.
"""

from collections.abc import Mapping
from typing import Final, cast

from meshbridge import BadData

Record = Mapping[str, object]
"""A JSON object as decoded."""

_LONGEST: Final = 18
"""Digits of the largest number that is one: milliseconds since 1970 have 13."""
_LINE: Final = 60
_FLAGS: Final = {"true": True, "True": True, "false": False, "False": False}


def shown(value: object) -> str:
    """Return the value as people read it: short, and on one line."""
    if value is None:
        return "missing"
    if isinstance(value, dict | list):  # nested as deep as can be decoded, it may have no repr
        return "an object" if isinstance(value, dict) else "a list"
    text = str(value) if isinstance(value, bool | int | float) else repr(value)
    return text if len(text) <= _LINE else f"{text[: _LINE - 3]}..."


def any_record(value: object) -> Record:
    """Return the object, empty if it is none."""
    return cast("Record", value) if isinstance(value, dict) else {}


def record_of(value: object, what: str) -> Record:
    """Return the object. Raises BadData, naming it ``what``."""
    if not isinstance(value, dict):
        raise BadData(f"{what} is {shown(value)}")
    return cast("Record", value)


def inner(record: Record, key: str) -> Record:
    """Return the object that stands there, empty if there is none."""
    return any_record(record.get(key))


def text_of(record: Record, key: str) -> str:
    """Return a text, empty if there is none. Raises BadData."""
    value = record.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadData(f"its {key} is {shown(value)}")
    return value


def number(value: object) -> int | None:
    """Return a whole number, also one that is written as text; None for anything else."""
    if isinstance(value, str):
        whole = len(value) <= _LONGEST and value.isascii() and value.isdigit()
        return int(value) if whole else None
    if type(value) is not int or abs(value) >= 10**_LONGEST:
        return None
    return value


def flag(value: object, *, default: bool) -> bool:
    """Return whether it is true, also where that is written as text. Raises BadData."""
    if isinstance(value, str):
        found = _FLAGS.get(value)
        if found is not None:
            return found
    elif isinstance(value, bool):
        return value
    elif value is None:
        return default
    raise BadData(f"@enabled is {shown(value)}")


def texts(value: object, what: str) -> dict[str, str]:
    """Return the pairs of a map of Java's, without the name of its class. Raises BadData.

    The name stands in it under ``@class`` where the map is one that does not change, as an empty
    one is. XML doubles underscores in keys (``my__key``); JSON does not, so nothing is undone here.
    """
    if value is None or value == "":
        return {}
    found = cast("dict[str, object]", record_of(value, what))
    pairs: dict[str, str] = {}
    for key, held in found.items():
        if isinstance(held, str):
            if key != "@class":
                pairs[key] = held
        elif isinstance(held, bool):
            pairs[key] = "true" if held else "false"
        elif isinstance(held, int | float):
            pairs[key] = str(held)
        elif held is not None:
            raise BadData(f"{what} has {shown(held)} under {shown(key)}")
    return pairs
