"""The demo judges by what it counted, and its pictures show nothing else."""

import io
import itertools
import re

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from meshbridge.cli.demo.figures import (
    Glyphs,
    Outage,
    bars,
    counts,
    deviation,
    expected,
    failures,
    milliseconds,
    rate,
    time_line,
)
from meshbridge.cli.demo.result import Check, Result
from meshbridge.cli.demo.steps import no_failure, none_to, took
from meshbridge.cli.demo.telling import Telling
from meshbridge.cli.demo.traffic import Answer


def _answer(done: float, instance: str = "one") -> Answer:
    return Answer(done - 0.001, done, instance, "" if instance else "status 503")


def test_a_failed_request_counts_for_no_instance() -> None:
    answers = [_answer(1.0), _answer(1.1, ""), _answer(1.2, "two"), _answer(1.3)]
    assert counts(answers) == {"one": 2, "two": 1}
    assert failures(answers) == {"status 503": 1}


def test_a_step_with_one_failed_request_does_not_hold() -> None:
    """And its line says how many failed, and why."""
    assert no_failure([_answer(1.0)]).holds
    check = no_failure([_answer(1.0), _answer(1.1, "")])
    assert not check.holds
    assert check.found == "1; 1 times status 503"
    assert not Result((Check("fine", "0", "0"), check)).held


def test_no_requests_at_all_is_no_proof_of_none_failed() -> None:
    assert not no_failure([]).holds


def test_a_single_answer_by_an_instance_that_is_out_fails_the_step() -> None:
    assert none_to("two", [_answer(1.0)]).holds
    assert not none_to("two", [_answer(1.0), _answer(1.1, "two")]).holds


def test_an_effect_that_never_came_fails_the_step() -> None:
    assert took("it", 1.25, 1.0) == Check("it", "250 ms", "within 5 s")
    assert not took("it", None, 1.0).holds
    assert not took("it", 6.5, 1.0).holds


def test_the_rate_counts_answered_requests_only() -> None:
    answers = [_answer(1.0), _answer(1.5), _answer(1.6, ""), _answer(2.0)]
    assert rate(answers, 1.0, 2.0) == 2.0


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 100), min_size=1), st.integers(0, 5000))
def test_the_expected_spread_adds_up_and_follows_the_weights(
    weights: dict[str, int], total: int
) -> None:
    shares = expected(weights, total)
    assert abs(sum(shares.values()) - total) < 1e-6
    for one, other in itertools.combinations(weights, 2):
        assert abs(shares[one] * weights[other] - shares[other] * weights[one]) < 1e-6


def test_requests_to_an_instance_nobody_expected_are_a_deviation() -> None:
    assert deviation({"one": 10, "ghost": 7}, {"one": 10.0}) == 7
    assert deviation({}, {"one": 10.0}) == 10


def test_an_instance_that_got_nothing_still_has_its_row() -> None:
    rows = bars({"one": 4}, {"one": "v1", "two": "v2"}, Glyphs.ASCII)
    assert rows[0].split() == ["one", "v1", "=" * 36, "4"]
    assert rows[1].split() == ["two", "v2", "0"]


def test_the_time_line_shows_the_outage_and_each_failure() -> None:
    """64 slices from a second before the kill to a second after the new stream."""
    answers = [_answer(9.0 + 0.0625 * place + 0.01) for place in range(64)]
    answers[40] = _answer(answers[40].done, "")
    rows = time_line(answers, Outage(10.0, 11.0, 12.0), Glyphs.ASCII)
    bridge, stream, served, failed, scale = (row[17:] for row in rows)
    assert bridge == "=" * 16 + "x" + "." * 15 + "=" * 32
    assert stream == "=" * 16 + "x" + "." * 31 + "=" * 16
    assert served == "6" * 40 + "." + "6" * 23
    assert failed.index("6") == 40
    assert failed.count(".") == 63
    assert scale == "one mark = 62 ms"


def test_durations_are_told_in_the_unit_that_people_read() -> None:
    assert [milliseconds(each) for each in (0.0124, 0.9, 1.26)] == ["12 ms", "900 ms", "1.3 s"]


RESULT = Result((Check("answered", "7", "7"), Check("failed [x]", "1", "0", holds=False)), ("==",))


def _told(*, terminal: bool, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    telling = Telling(Console(file=file, force_terminal=terminal, width=100))
    telling.begin(3, "Something [happens]")
    telling.end(RESULT)
    file.flush()
    return raw.getvalue().decode(encoding)


def test_where_nobody_looks_the_demo_tells_plain_lines() -> None:
    assert _told(terminal=False).splitlines() == [
        "",
        "3. Something [happens]",
        "   ok   answered: 7 (must be 7)",
        "   NOT  failed [x]: 1 (must be 0)",
        "   ==",
    ]


def test_a_terminal_gets_a_table_that_says_the_same() -> None:
    told = re.sub(r"\x1b\[[0-9;]*m", "", _told(terminal=True))
    rows = [line.split() for line in told.splitlines()]
    assert ["3.", "Something", "[happens]"] in rows
    assert ["ok", "answered", "7", "7"] in rows
    assert ["NOT", "failed", "[x]", "1", "0"] in rows


def test_a_terminal_that_cannot_draw_gets_letters() -> None:
    def glyphs(encoding: str) -> Glyphs:
        file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        return Telling(Console(file=file, force_terminal=True)).glyphs

    assert glyphs("utf-8") is Glyphs.BLOCKS
    assert glyphs("latin-1") is Glyphs.ASCII
