"""Reads the text of a governance rule, which is YAML, into texts, lists and mappings; pure."""

from collections.abc import Callable
from typing import Final, Protocol, cast

import yaml

from meshbridge import BadData
from meshbridge_dubbo.url import shown

MOST_BYTES: Final = 64 * 1024
"""Of one rule: it is read at once, and that takes 10 ms."""
DEEPEST: Final = 20
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})

Value = str | list["Value"] | dict[str, "Value"] | None


class _Loader(Protocol):
    """The part of PyYAML's loaders that is used: only events, nothing that constructs.

    What constructs does so by recursion in C, and crashes on a text that is nested deep enough.
    """

    def get_event(self) -> yaml.Event: ...
    def dispose(self) -> None: ...


def read_yaml(data: bytes) -> Value:
    """Return the first document; scalars stay the text that stands there, null is ``None``.

    Raises BadData.
    """
    if len(data) > MOST_BYTES:
        raise BadData(f"the rule is larger than {MOST_BYTES} bytes")
    make = cast("Callable[[bytes], _Loader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    try:
        loader = make(data)
        try:
            return _document(loader)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise BadData(f"the rule is no YAML: {' '.join(str(error).split())}") from None


def _document(loader: _Loader) -> Value:
    loader.get_event()  # the stream begins
    if isinstance(loader.get_event(), yaml.StreamEndEvent):
        return None
    return _value(loader, loader.get_event(), 0)


def _value(loader: _Loader, event: yaml.Event, depth: int) -> Value:
    """Return the value that begins with this event."""
    if depth > DEEPEST:
        raise BadData(f"the rule is nested deeper than {DEEPEST}")
    if isinstance(event, yaml.ScalarEvent):
        text = str(event.value)
        return None if text in _NULLS and not event.style else text
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Value] = []
        while not isinstance(event := loader.get_event(), yaml.SequenceEndEvent):
            items.append(_value(loader, event, depth + 1))
        return items
    if isinstance(event, yaml.MappingStartEvent):
        pairs: dict[str, Value] = {}
        while not isinstance(event := loader.get_event(), yaml.MappingEndEvent):
            key = _value(loader, event, depth + 1)
            if not isinstance(key, str):
                raise BadData("the rule has a key that is no text")
            pairs[key] = _value(loader, loader.get_event(), depth + 1)
        return pairs
    raise BadData("the rule uses an alias, which is not read")


def a_mapping(value: Value, what: str) -> dict[str, Value]:
    """Return the value as a mapping; what is missing is an empty one. Raises BadData."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadData(f"{what} is {shown(value)}, no mapping")
    return value


def a_list(value: Value, what: str) -> list[Value]:
    """Return the value as a list; what is missing is an empty one. Raises BadData."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadData(f"{what} is {shown(value)}, no list")
    return value


def a_word(value: Value, what: str) -> str:
    """Return the value as a text; what is missing is an empty one. Raises BadData."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadData(f"{what} is {shown(value)}, no text")
    return value


def words(value: Value, what: str) -> list[str]:
    """Return the value as a list of texts. Raises BadData."""
    return [a_word(each, f"one of {what}") for each in a_list(value, what)]
