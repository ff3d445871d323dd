"""The table of times at the end of a run."""

import time

import pytest

from rig import times
from rig.times import Time, table, timed


def test_times_of_one_event_and_place_are_a_row_with_median_and_range() -> None:
    noted = [
        Time("weight", "Nacos 3", 0.7),
        Time("kill -9", "Nacos 2", 1.5),
        Time("weight", "Nacos 2", 0.5),
        Time("weight", "Nacos 3", 0.25),
        Time("weight", "Nacos 3", 2.0),
    ]
    assert [line.split() for line in table(noted)] == [
        ["event", "where", "times", "followed", "after"],
        ["kill", "-9", "Nacos", "2", "1", "1.50", "(1.50-1.50)", "s"],
        ["weight", "Nacos", "2", "1", "0.50", "(0.50-0.50)", "s"],
        ["weight", "Nacos", "3", "3", "0.70", "(0.25-2.00)", "s"],
    ]


def test_only_what_was_followed_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times, "noted", noted := list[Time]())
    with pytest.raises(AssertionError, match="not within"), timed("weight", 2):
        raise AssertionError("not within 5 s")
    with timed("weight", 3):
        pass
    assert [(each.event, each.where) for each in noted] == [("weight", "3")]
    assert 0 <= noted[0].seconds < 1


def test_what_began_before_the_block_is_noted_from_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times, "noted", noted := list[Time]())
    with timed("allowed again", 3, since=time.monotonic() - 5):
        pass
    assert 5 <= noted[0].seconds < 6
