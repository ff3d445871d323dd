"""Which regular expressions RE2 takes; single ones are judged with the documents, by Go itself."""

import re

from hypothesis import given
from hypothesis import strategies as st

from meshbridge_mcp import re2

PIECES = st.sampled_from(
    [*"ab()[]{}|*+?^$.\\-:<>=!,1é\n", "(?", "(?:", "(?i)", "[[:", ":]", "\\Q", "\\E", "\\p{", "{2}"]
)


@given(st.text())
def test_a_quoted_text_is_always_taken(text: str) -> None:
    """Whatever it is made of."""
    assert not re2.fault(f"x{re.escape(text)[:300]}".rstrip("\\"))


@given(st.lists(PIECES).map("".join))
def test_whatever_comes_in_there_is_an_answer(pattern: str) -> None:
    """A pattern of a user must not break the reader; what it refuses is explained in one line."""
    assert "\n" not in re2.fault(pattern)


def test_a_refusal_says_what_is_wrong() -> None:
    """By the piece of the pattern."""
    assert re2.fault("a(?=b)") == ("RE2 refuses the regular expression: it does not know `(?=b`")
    assert re2.fault("a(?\n") == "RE2 refuses the regular expression: it does not know `(?\\n`"
    assert re2.fault("") == "a regular expression is not empty"
    assert re2.fault("é" * 513) == "a regular expression has at most 1024 bytes"
