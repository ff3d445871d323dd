"""A large message is taken apart without protobuf, and is then what protobuf makes of it."""

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbridge.steps import LARGE
from meshbridge_nacos import wire
from meshbridge_nacos.decoding import UnreadableError
from meshbridge_nacos.wire import Message, pack, unpack

LIMIT = "meshbridge_nacos.wire.LARGE"


def by_protobuf(data: bytes) -> Message | str:
    """Return what protobuf makes of it, or what is wrong with it."""
    with patch(LIMIT, len(data) + 1):
        return read(data)


def read(data: bytes) -> Message | str:
    try:
        return unpack(data)
    except UnreadableError as error:
        return str(error)


def test_a_large_body_is_cut_out() -> None:
    body = {"text": "x" * LARGE}
    data = pack("A", body, {"a": "b"}, "10.0.0.1")
    with patch.object(wire, "_large_body", wraps=vars(wire)["_large_body"]) as cut:
        read_back = unpack(data)
    assert cut(data) is not None
    assert read_back == by_protobuf(data)
    assert read_back.kind == "A"
    assert len(read_back.body) == LARGE + len('{"text":""}')


@given(
    st.one_of(
        st.builds(pack, st.text(max_size=9), st.dictionaries(st.text(), st.text())),
        st.binary(max_size=40),
        st.lists(
            st.sampled_from([b"\x12\x02\x1a\x00", b"\x1a\x03\x12\x01{", b"\x08\x01", b"\x1a"])
        ).map(b"".join),
    ),
    st.integers(0, 40),
)
def test_whatever_comes_is_what_protobuf_makes_of_it(data: bytes, cut: int) -> None:
    for part in (data, data[:cut], data[cut:]):
        with patch(LIMIT, 0):
            assert read(part) == by_protobuf(part)


def test_what_is_no_message_says_so() -> None:
    with pytest.raises(UnreadableError, match="not Nacos' protobuf"):
        unpack(b"\xff" * LARGE)
