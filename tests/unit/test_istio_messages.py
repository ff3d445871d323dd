"""Our ``.proto`` files say what Istio's say: messages that Go wrote are read and written the same.

They stand in ``istio/messages/messages.jsonl``, with every field set. The ``main.go`` beside it
made them, and says how to make them again.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, cast

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from meshbridge import protos
from meshbridge.protos import message_class, private_pool
from rig.messages import within

MESSAGES = Path(__file__).with_name("istio") / "messages" / "messages.jsonl"


class Written(NamedTuple):
    """One message as Go writes it."""

    message: Message
    binary: bytes
    json: object


def read() -> Iterator[Written]:
    for line in MESSAGES.read_text(encoding="utf-8").splitlines():
        found = cast("dict[str, str]", json.loads(line))
        binary = bytes.fromhex(found["bytes"])
        yield Written(message_class(found["message"]).FromString(binary), binary, found["json"])


ALL = tuple(read())
NAMES = sorted({each.message.DESCRIPTOR.full_name for each in ALL})


def of_kind(name: str) -> list[Written]:
    return [each for each in ALL if each.message.DESCRIPTOR.full_name == name]


@pytest.mark.parametrize("name", NAMES)
def test_a_message_of_go_says_here_what_it_says_there(name: str) -> None:
    """A field of another number, type or name would be misread by every istiod, silently."""
    for each in of_kind(name):
        text = json_format.MessageToJson(each.message, descriptor_pool=private_pool())
        assert json.loads(text) == each.json
        assert [found for found in within(each.message) if len(UnknownFieldSet(found))] == []


@pytest.mark.parametrize("name", NAMES)
def test_go_knows_each_field_of_ours_and_each_value_of_its_enum(name: str) -> None:
    """Else istiod would leave out what we say with it."""
    messages = [each.message for each in of_kind(name)]
    for field in messages[0].DESCRIPTOR.fields:
        values = [value for each in messages for said, value in each.ListFields() if said == field]
        assert values, field.full_name
        if field.enum_type is not None:
            numbers = {each.number for each in field.enum_type.values}
            assert {*values} == numbers - {0}, field.full_name


@pytest.mark.parametrize("name", NAMES)
def test_a_message_is_written_in_the_bytes_of_go(name: str) -> None:
    """Where a oneof is within, Go writes it after all else: the content is the same then."""
    for message, binary, _ in of_kind(name):
        ours = message.SerializeToString(deterministic=True)
        again = type(message).FromString(ours)
        assert again == message
        assert again.SerializeToString(deterministic=True) == ours
        assert len(ours) == len(binary)
        if not any(each.DESCRIPTOR.oneofs for each in within(message)):
            assert ours == binary


def test_every_message_of_our_files_is_compared() -> None:
    """A further file joins by a root in main.go."""
    folder = Path(protos.__file__).parent
    ours = {
        message.full_name
        for path in folder.glob("istio/**/*.proto")
        for message in private_pool()
        .FindFileByName(path.relative_to(folder).as_posix())
        .message_types_by_name.values()
    }
    assert ours - {*NAMES} == set()
