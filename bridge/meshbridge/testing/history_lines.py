"""A history as lines of JSON and back, so that a failed run can be looked at afterwards."""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Final, TypeVar

import msgspec

from meshbridge.testing.history import (
    Event,
    FaultBegan,
    FaultEnded,
    FaultSeen,
    History,
    Request,
    Rules,
    Same,
    Sample,
    Unreachable,
    View,
    Write,
)

T = TypeVar("T", bound=Rules | Event)

_KINDS: Final[dict[str, type[Event]]] = {
    kind.__name__: kind
    for kind in (Write, FaultBegan, FaultSeen, FaultEnded, Sample, Same, Unreachable, Request)
}


class Unreadable(ValueError):  # noqa: N818 - it says what the file is
    """It is no history; the message names the line and the reason."""


def to_lines(history: History) -> Iterator[str]:
    """Return the history as lines without their ends: its rules, then each event."""
    yield _line(history.rules)
    for event in history.events:
        yield _line(event)


def from_lines(lines: Iterable[str]) -> History:
    """Return the history that the lines are of; raises Unreadable."""
    history, number = History(), 0
    for number, line in enumerate(lines, 1):
        try:
            values = msgspec.json.decode(line, type=dict[str, object])
            kind = str(values.pop("event", ""))
            if number == 1 and kind != Rules.__name__:
                raise Unreadable(f"line 1: found {kind!r}; a history begins with its rules")
            if number == 1:
                history.rules = _read(values, Rules)
            elif kind in _KINDS:
                history.add(_read(values, _KINDS[kind]))
            else:
                raise Unreadable(f"line {number}: found the event {kind!r}; there is none such")
        except msgspec.MsgspecError as error:
            raise Unreadable(f"line {number}: {error}") from None
    if number == 0:
        raise Unreadable("line 1: found none; a history begins with its rules")
    return history


def _read(values: dict[str, object], kind: type[T]) -> T:
    """Return what the values say; raises msgspec.ValidationError."""
    read = msgspec.convert(values, kind)
    # Left out, a misspelt rule would be its default, and one of a later release not be held.
    view = msgspec.convert(values.get("view", {}), dict[str, object])
    unknown = values.keys() - {each.name for each in fields(read)}
    unknown |= view.keys() - {each.name for each in fields(View)}
    if unknown:
        raise msgspec.ValidationError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    return read


def _line(value: Rules | Event) -> str:
    named = {each.name: getattr(value, each.name) for each in fields(value)}
    kind = {"event": type(value).__name__}
    return msgspec.json.encode(kind | named, order="deterministic").decode()
