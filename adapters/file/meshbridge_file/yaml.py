"""Reads YAML as text with places, bounded in size, depth and expansion; constructs no objects.

Scalars stay the text that stands in the file: ``version: 1.10`` in an instance's metadata is
``1.10`` and not the number 1.1. What a scalar means is for the reader of each key to say.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

import yaml

MOST_BYTES = 16 * 1024 * 1024
MOST_VALUES = 4_000_000
"""Values in one file, aliases counted with all they stand for."""
DEEPEST = 20


class UnreadableFile(Exception):  # noqa: N818 - it says what it is
    """The file is not what it should be; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value as it stands in the file."""

    text: str
    quoted: bool
    line: int

    @property
    def empty(self) -> bool:
        """Whether it is YAML's null."""
        return not self.quoted and self.text in {"", "~", "null", "Null", "NULL"}


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list and where it begins."""

    items: list["Value"]
    line: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys with values and where they begin."""

    items: dict[str, "Value"]
    line: int


Value = Scalar | Sequence | Mapping


class _Loader(Protocol):
    """The part of PyYAML's loaders that is used: only events, nothing that constructs."""

    def get_event(self) -> yaml.Event: ...
    def dispose(self) -> None: ...


def read(raw: bytes) -> Value | None:
    """Return the one document of the file; ``None`` for a file without one.

    Raises UnreadableFile, with line and column for what is not YAML.
    """
    make = cast("Callable[[bytes], _Loader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    try:
        loader = make(raw)
        try:
            return _Reader(loader).document()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise UnreadableFile(f"{where}not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise UnreadableFile(f"not YAML: {' '.join(str(error).split())}") from None


class _Reader:
    """Builds values from events; holds its own stack, so that depth is bounded by count."""

    def __init__(self, loader: _Loader) -> None:
        self._loader = loader
        self._anchors: dict[str, tuple[Value, int]] = {}
        self._values = 0

    def document(self) -> Value | None:
        """Return the document, and see that there is only one."""
        self._expect(yaml.StreamStartEvent)
        event = self._loader.get_event()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        value = self._value(self._loader.get_event(), 0)
        self._expect(yaml.DocumentEndEvent)
        event = self._loader.get_event()
        if not isinstance(event, yaml.StreamEndEvent):
            raise UnreadableFile(f"line {_line(event)}: a second document begins; only one is read")
        return value

    def _expect(self, kind: type[yaml.Event]) -> None:
        event = self._loader.get_event()
        if not isinstance(event, kind):
            raise UnreadableFile(f"line {_line(event)}: {type(event).__name__} is out of place")

    def _value(self, event: yaml.Event, depth: int) -> Value:
        line = _line(event)
        self._count(1, line)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, line)
        begun = self._values
        value: Value
        if depth > DEEPEST:
            raise UnreadableFile(f"line {line}: nested deeper than {DEEPEST} levels")
        if isinstance(event, yaml.ScalarEvent):
            value = Scalar(str(event.value), bool(event.style), line)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = Sequence(self._items(depth + 1), line)
        elif isinstance(event, yaml.MappingStartEvent):
            value = Mapping(self._pairs(depth + 1), line)
        else:
            raise UnreadableFile(f"line {line}: {type(event).__name__} is out of place")
        self._refuse_tag(event, line)
        if event.anchor is not None:
            self._anchors[str(event.anchor)] = (value, self._values - begun + 1)
        return value

    def _alias(self, event: yaml.AliasEvent, line: int) -> Value:
        known = self._anchors.get(str(event.anchor))
        if known is None:
            raise UnreadableFile(f"line {line}: *{event.anchor} stands for nothing before it")
        value, size = known
        self._count(size, line)
        return value

    def _items(self, depth: int) -> list[Value]:
        items: list[Value] = []
        while not isinstance(event := self._loader.get_event(), yaml.SequenceEndEvent):
            items.append(self._value(event, depth))
        return items

    def _pairs(self, depth: int) -> dict[str, Value]:
        pairs: dict[str, Value] = {}
        while not isinstance(event := self._loader.get_event(), yaml.MappingEndEvent):
            key = self._value(event, depth)
            if not isinstance(key, Scalar):
                raise UnreadableFile(f"line {key.line}: a key must be text")
            if key.text in pairs:
                raise UnreadableFile(f"line {key.line}: the key {key.text!r} stands there twice")
            pairs[key.text] = self._value(self._loader.get_event(), depth)
        return pairs

    def _count(self, values: int, line: int) -> None:
        self._values += values
        if self._values > MOST_VALUES:
            raise UnreadableFile(
                f"line {line}: more than {MOST_VALUES} values, counting what aliases stand for"
            )

    @staticmethod
    def _refuse_tag(event: yaml.Event, line: int) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None and tag != "!":
            raise UnreadableFile(f"line {line}: the tag {tag} is not read; remove it")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0
