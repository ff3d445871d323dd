"""YAML is read as YAML 1.2 says, and never beyond bounds."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbridge.errors import ConfigurationError
from meshbridge.settings.document import parse_document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("010", 10),
        ("0x10", 16),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        ("~", None),
        ("", None),
        ("TRUE", True),
        ("'1'", "1"),
        ("9" * 400, "9" * 400),
    ],
)
def test_scalars_are_read_as_yaml_1_2_does(text: str, value: object) -> None:
    """YAML 1.1 would make a boolean of ``on``, seconds of ``12:30`` and eight of ``010``."""
    read = parse_document(f"a: {text}".encode(), "x").at(("a",))
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [/dubbo\nb: 1", "expected ',' or ']', but got ':'"),
        ("a: {b: c", "expected ',' or '}', but got '<stream end>'"),
        ('a: "\\q"', "found unknown escape character 'q'"),
        ("a: !<t", r"expected '>', but found '\x00'"),
        ("a: *hunter2", "found undefined alias '***'"),
        ("a: !hunter2!b c", "found undefined tag handle '***'"),
    ],
)
def test_the_parsers_words_are_shown_and_the_documents_are_not(text: str, said: str) -> None:
    """What stands in the wrong place may be a part of a password; which sign was wanted is not."""
    with pytest.raises(ConfigurationError) as refused:
        parse_document(text.encode(), "x")
    (fault,) = refused.value.faults
    assert fault.partition(" is not YAML: ")[2] == said


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "a: &a [*a]",
        "{a: " * 100 + "1" + "}" * 100,
        "\n".join(
            ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
            + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
        ),
    ],
    ids=["open", "itself", "deep", "laughs"],
)
def test_a_document_that_would_exhaust_memory_or_stack_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_document(text.encode(), "x")
    assert len(caught.value.faults[0]) < 500


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigurationError):
        parse_document(text.encode(errors="surrogatepass"), "x")


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(ConfigurationError):
        parse_document(raw, "x")
