"""Walks through what a message of protobuf holds."""

from collections.abc import Iterable, Iterator
from typing import cast

from google.protobuf.message import Message


def within(message: Message) -> Iterator[Message]:
    """Yield a message and all those in it, of lists and maps too."""
    yield message
    for field, value in message.ListFields():
        held = cast("Iterable[object]", [value])
        if field.message_type is not None and not isinstance(value, Message):
            held = value.values() if field.message_type.GetOptions().map_entry else value
        for each in held:
            if isinstance(each, Message):
                yield from within(each)
