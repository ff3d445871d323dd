"""A history keeps what it is told, with the time of one clock, and survives being a file."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.testing.simulation import Clock, Plan, plans, played

from meshbridge.testing.history import (
    Endpoint,
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
    moment,
)
from meshbridge.testing.history_lines import Unreadable, from_lines, to_lines

ONE = Endpoint("a.file", "10.0.0.1:80")
TWO = Endpoint("a.file", "10.0.0.2:80")


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("10.0.0.1", "10.0.0.1:80"),
        ("fd00:0:0::1", "[fd00::1]:80"),
        ("Some.Name", "some.name:80"),
    ],
)
def test_an_endpoint_has_one_form(address: str, written: str) -> None:
    assert Endpoint.of("A.File", address, 80) == Endpoint("a.file", written)
    assert str(Endpoint.of("A.File", address, 80)) == f"a.file {written}"


def test_a_write_lasts_from_the_begin_of_its_block_to_the_end() -> None:
    clock = Clock(1.0)
    history = History(clock=clock)
    with history.writing(adds=[ONE], removes=[TWO], changes=["b.file"], note="swap"):
        clock.now = 2.0
    hosts = frozenset({"b.file"})
    assert history.events == [Write(1.0, 2.0, frozenset({ONE}), frozenset({TWO}), hosts, "swap")]
    history.begins_with([TWO])
    assert history.events[1] == Write(2.0, 2.0, frozenset({TWO}), note="the first contents")


def test_a_write_that_fails_has_no_known_outcome() -> None:
    history = History(clock=Clock(1.0))
    with pytest.raises(OSError, match="refused"), history.writing(adds=[ONE]):
        raise OSError("refused")
    assert history.events == [Write(1.0, None, frozenset({ONE}))]


def test_an_observer_that_shows_the_same_is_noted_in_short() -> None:
    """And in full again after it could not be asked."""
    clock = Clock(1.0)
    history = History(clock=clock)
    view, other = View(frozenset({ONE})), View(frozenset({ONE}), versions={"a.file": "2"})
    for each in (view, view, other):
        history.sample("envoy", each, asked=0.5)
    history.unreachable("envoy", "refused", asked=0.5)
    history.sample("envoy", other)
    history.unreachable("istiod", "refused")
    history.sample("istiod", other)
    assert history.events == [
        Sample(0.5, 1.0, "envoy", view),
        Same(0.5, 1.0, "envoy"),
        Sample(0.5, 1.0, "envoy", other),
        Unreachable(0.5, 1.0, "envoy", "refused"),
        Sample(1.0, 1.0, "envoy", other),
        Unreachable(1.0, 1.0, "istiod", "refused"),
        Sample(1.0, 1.0, "istiod", other),
    ]


def test_faults_of_one_name_are_told_apart() -> None:
    history = History(clock=Clock(1.0))
    first, second = history.begin("kill"), history.begin("kill")
    other = history.begin("killing frost")
    history.saw(second, "refused")
    history.end(second)
    history.saw(first, "refused")
    assert (first, second, other) == ("kill", "kill #2", "killing frost")
    assert history.events[3:] == [
        FaultSeen(1.0, "kill #2", "refused"),
        FaultEnded(1.0, "kill #2"),
        FaultSeen(1.0, "kill", "refused"),
    ]


def test_a_fault_never_gets_the_name_of_another() -> None:
    """Not even of one that already has a number in it."""
    history = History()
    begun = [history.begin(each) for each in ("kill", "kill #3", "kill", "kill", "kill #3")]
    assert begun == ["kill", "kill #3", "kill #2", "kill #4", "kill #3 #2"]


def test_a_fault_that_is_not_going_on_is_neither_seen_nor_ended() -> None:
    history = History()
    with pytest.raises(ValueError, match="'kill' is not going on"):
        history.saw("kill", "refused")
    history.end(history.begin("kill"))
    with pytest.raises(ValueError, match=r"not going on; begin\(\) returned \['kill'\]"):
        history.end("kill")


def test_each_event_has_a_moment_at_which_it_was_over() -> None:
    events: list[tuple[Event, float]] = [
        (Write(1.0, 2.0), 2.0),
        (Write(1.0, None), 1.0),
        (FaultBegan(3.0, "kill"), 3.0),
        (Request("a.file", 1.0, 4.0, ""), 4.0),
        (Same(1.0, 5.0, "envoy"), 5.0),
    ]
    assert [moment(event) for event, _ in events] == [at for _, at in events]


@given(plans, st.sampled_from([0.0, 2.5]))
def test_a_history_survives_being_lines(plan: Plan, grace: float) -> None:
    history = played(plan)
    history.rules = replace(history.rules, grace=grace)
    history.add(Write(0.0, None, changed=frozenset({"a.file"}), note="line\nbreak"))
    history.sample("bridge", View(frozenset({ONE, TWO}), frozenset({TWO}), {"a.file": "v1"}))
    lines = [*to_lines(history)]
    assert not [line for line in lines if "\n" in line]
    read = from_lines(lines)
    assert read.events == history.events
    assert read.rules == history.rules


def test_a_line_that_is_no_event_is_named() -> None:
    good = [*to_lines(History(Rules()))]
    same, sample = (
        f'"event": "{kind}", "asked": 1, "at": 1, "observer": "x"' for kind in ("Same", "Sample")
    )
    for lines, words in (
        ([*good, '{"event": "Fate"}'], "line 2: found the event 'Fate'"),
        ([*good, '{"event": "Same", "asked": 1'], "line 2: .*truncated"),
        ([*good, '{"event": "Same", "asked": "x"}'], "line 2: .*float"),
        (good + good, "line 2: found the event 'Rules'"),
        (['{"event": "Same"}'], "line 1: found 'Same'; a history begins with its rules"),
        ([], "line 1: found none; a history begins with its rules"),
        (['{"event": "Rules", "rat": 1, "gab": 1}'], "line 1: Rules has no gab, rat$"),
        ([*good, f'{{{same}, "why": ""}}'], "line 2: Same has no why$"),
        ([*good, f'{{{sample}, "view": {{"endpoints": [], "rest": []}}}}'], "Sample has no rest$"),
    ):
        with pytest.raises(Unreadable, match=words):
            from_lines(lines)


def test_the_clock_of_a_history_is_the_one_it_was_given() -> None:
    assert History(clock=Clock(7.0)).now() == 7.0
