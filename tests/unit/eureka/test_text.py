"""A JSON text is read forward in pieces; wherever a piece ends, the values are the same."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshbridge import BadData
from meshbridge_eureka import text as module
from meshbridge_eureka.text import LARGEST, PIECE, Text, UnwieldyError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
LONG_VALUES = st.text() | st.lists(VALUES) | st.dictionaries(st.text(), VALUES)


def read(text: Text) -> Iterator[object]:
    """Read a list of objects down to their members."""
    for _ in text.elements():
        if text.peek() == "{":
            yield {key: text.value() for key in text.members()}
        else:
            yield text.value()
    text.end()


@given(values=st.lists(VALUES), indent=st.sampled_from([None, 2]), piece=st.integers(1, 40))
def test_a_list_is_read_however_its_pieces_fall(
    values: list[object], indent: int | None, piece: int
) -> None:
    body = json.dumps(values, indent=indent, ensure_ascii=bool(piece % 2))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "PIECE", piece)
        assert list(read(Text(body.encode("utf-8", "surrogatepass")))) == values


def test_what_is_no_list_is_a_list_of_one() -> None:
    assert list(read(Text(b' {"a": 1} '))) == [{"a": 1}]
    assert list(read(Text(b"[ ]"))) == []
    assert list(read(Text(b"[{ }]"))) == [{}]


def test_the_last_value_is_kept_as_it_came() -> None:
    text = Text(b'[ {"a" : 1} , 2]')
    raw: list[str] = []
    for _ in text.elements():
        text.value()
        raw.append(text.raw)
    assert raw == ['{"a" : 1}', "2"]


def test_it_tells_when_others_should_get_a_turn() -> None:
    text = Text(json.dumps(["x" * 1_000] * (3 * PIECE // 1_000)).encode())
    turns = 0
    for _ in text.elements():
        text.value()
        turns += text.turn()
    assert turns == 3


@pytest.mark.parametrize(
    "spoilt",
    [
        b"",
        b"[",
        b"[1",
        b"[1,",
        b"[1;2]",
        b"[1}",
        b'[{"a"',
        b'[{"a":',
        b'[{"a" 1}]',
        b'[{"a": 1]',
        b"[{1: 2}]",
        b'["a',
        b'["\\u12',
        b"[tru]",
        b"[1] 2",
        b'["\xff"]',
        b'["\xc3',
        b'["a' + b"x" * 2 * PIECE,
        b"[nothing" + b" " * 2 * PIECE,
        b"[" + b"[" * 200_000,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_json_is_one_error(spoilt: bytes) -> None:
    with pytest.raises(BadData, match=r"^it is ") as raised:
        list(read(Text(spoilt)))
    assert "\n" not in str(raised.value)


def test_an_error_is_found_where_it_is() -> None:
    """Not by reading all that follows, in the hope that it ends the value."""
    text = Text(b"[nothing" + b" " * 4 * LARGEST)
    with pytest.raises(BadData, match="no JSON that can be read"):
        list(read(text))


def test_a_single_value_is_bounded() -> None:
    within = "x" * (LARGEST - 2)
    assert list(read(Text(json.dumps([within]).encode()))) == [within]
    with pytest.raises(UnwieldyError, match="longer than 65536 characters"):
        list(read(Text(json.dumps([within * 3]).encode())))


@given(value=LONG_VALUES, piece=st.integers(1, 40), indent=st.sampled_from([None, 2]))
@example(value="\\", piece=1, indent=None)
@example(value=["\\", {"\\\\": '"'}], piece=3, indent=None)
def test_a_value_may_be_skipped_however_its_pieces_fall(
    value: object, piece: int, indent: int | None
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "PIECE", piece)
        text = Text(json.dumps([value, 7], indent=indent).encode())
        places = text.elements()
        next(places)
        for _ in text.skip():
            pass
        assert next(places) == 1
        assert text.value() == 7
        assert next(places, None) is None
        text.end()


def test_what_is_skipped_leaves_others_their_turns() -> None:
    text = Text(json.dumps([[0] * 10, "x" * 3 * PIECE, [[]] * 20_000]).encode())
    turns = [sum(1 for _ in text.skip()) for _ in text.elements()]
    assert turns[0] == 0
    assert turns[1] >= 3
    assert turns[2] >= 8


@pytest.mark.parametrize("spoilt", [b"", b"12", b"[1", b'"a', b'"a\\', b'{"a": "]}"'])
def test_what_cannot_be_skipped_is_one_error(spoilt: bytes) -> None:
    with pytest.raises(BadData):
        list(Text(spoilt).skip())


def test_control_characters_spoil_nothing() -> None:
    assert list(read(Text(b'["a\n\x00b"]'))) == ["a\n\x00b"]


def test_a_number_of_thousands_of_digits_stays_text() -> None:
    assert list(read(Text(b"[" + b"9" * 5_000 + b", 7]"))) == ["9" * 5_000, 7]
