"""Requests and answers are written and read as ``zookeeper.jute`` says."""

import contextlib
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbridge_zookeeper_dubbo.persistent import (
    EXISTING,
    NO_AUTH,
    NO_NODE,
    AddWatch,
    Event,
    Happened,
    Read,
    ReadMany,
    ReadOne,
    Result,
    Sync,
    read_event,
)
from meshbridge_zookeeper_dubbo.tree import Want

CHILDREN, DATA, LOOK = (Read("/a", want) for want in (Want.CHILDREN, Want.DATA, Want.NOTHING))
STAT = bytes(range(68))
END = struct.pack("!iBi", -1, 1, -1)


def text(words: str) -> bytes:
    return struct.pack("!i", len(words.encode())) + words.encode()


def names(*each: str) -> bytes:
    return struct.pack("!i", len(each)) + b"".join(text(name) for name in each)


def part(kind: int, body: bytes) -> bytes:
    return struct.pack("!iBi", kind, 0, 0) + body


def error(code: int) -> bytes:
    return struct.pack("!iBi", -1, 0, code) + struct.pack("!i", code)


def test_a_watch_is_persistent_and_recursive() -> None:
    request = AddWatch("/dubbo")
    assert request.type == 106
    assert request.serialize() == b"\0\0\0\x06/dubbo\0\0\0\x01"
    assert request.deserialize(b"", 0).each == []


def test_a_server_is_asked_to_catch_up() -> None:
    request = Sync("/dubbo")
    assert request.type == 9
    assert request.serialize() == b"\0\0\0\x06/dubbo"
    assert request.deserialize(text("/dubbo"), 0).each == []


def test_many_questions_are_one_request() -> None:
    request = ReadMany([CHILDREN, DATA])
    assert request.type == 22
    assert request.serialize() == (
        struct.pack("!iBi", 8, 0, -1)
        + text("/a")
        + b"\0"
        + struct.pack("!iBi", 4, 0, -1)
        + text("/a")
        + b"\0"
        + END
    )


def test_each_question_has_its_answer() -> None:
    answer = (
        part(8, names("x", "ü%2F"))
        + part(4, text("data") + STAT)
        + error(NO_NODE)
        + part(8, names())
        + error(NO_AUTH)
        + part(4, struct.pack("!i", -1) + STAT)
        + END
    )
    reads = [CHILDREN, DATA, CHILDREN, CHILDREN, DATA, DATA]
    found = ReadMany(reads).deserialize(b"header" + answer, 6)
    assert found.each == [["x", "ü%2F"], b"data", NO_NODE, [], NO_AUTH, b""]
    assert found.size == len(answer)


@pytest.mark.parametrize(
    ("read", "kind", "answer", "result"),
    [
        (CHILDREN, 8, names("x"), ["x"]),
        (CHILDREN, 8, struct.pack("!i", -1), []),
        (DATA, 4, text("data") + STAT, b"data"),
        (LOOK, 3, STAT, EXISTING),
    ],
)
def test_one_question_sets_a_watch(read: Read, kind: int, answer: bytes, result: Result) -> None:
    request = ReadOne(read)
    assert request.type == kind
    assert request.serialize() == text("/a") + b"\1"
    found = request.deserialize(answer, 0)
    assert found.each == [result]
    assert found.size == len(answer)


@pytest.mark.parametrize(
    "answer",
    [
        part(8, names("x")),  # no end
        END,  # no answer at all
        part(8, names()) * 2 + END,  # one too many
        part(1, names()) + END,  # of another kind
        part(8, struct.pack("!i", 2) + text("x")),  # fewer names than announced
        part(8, struct.pack("!ii", 1, -5) + END),  # a name of no length
        part(8, struct.pack("!ii", 1, 100) + END),  # one that is cut off
        part(4, struct.pack("!i", 100) + END),  # data that is cut off
    ],
)
def test_what_cannot_be_read_is_said(answer: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        ReadMany([CHILDREN]).deserialize(answer, 0)


def event(kind: int, path: str) -> bytes:
    return struct.pack("!ii", kind, 3) + text(path)


@pytest.mark.parametrize("happened", Happened)
def test_an_event_says_what_happened_where(happened: Happened) -> None:
    assert read_event(b"..." + event(happened, "/dubbo/a"), 3) == Event(happened, "/dubbo/a")


def test_an_event_about_the_session_or_a_watch_is_about_no_node() -> None:
    for kind in (-1, 5, 7):
        assert read_event(event(kind, ""), 0) is None


READERS: tuple[Callable[[bytes, int], object], ...] = (
    ReadMany([CHILDREN]).deserialize,
    ReadOne(CHILDREN).deserialize,
    ReadOne(DATA).deserialize,
    read_event,
)


@pytest.mark.parametrize("read", READERS)
@given(data=st.binary(max_size=64))
def test_no_bytes_raise_anything_else(read: Callable[[bytes, int], object], data: bytes) -> None:
    with contextlib.suppress(ValueError, struct.error):
        read(data, 0)
