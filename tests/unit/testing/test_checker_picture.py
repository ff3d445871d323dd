"""A history is drawn as text, and a kept one is judged and drawn by a command."""

import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from unit.testing.short import BARE, ONE, PLAN, of, shows
from unit.testing.simulation import played

from meshbridge.testing.checker import picture
from meshbridge.testing.history import (
    Event,
    FaultBegan,
    FaultEnded,
    FaultSeen,
    History,
    Request,
    Same,
    Unreachable,
    Write,
)
from meshbridge.testing.history_lines import to_lines


def test_the_picture_shows_faults_writes_requests_and_each_observer() -> None:
    """Drawn so that a slice of time is a second."""
    events: list[Event] = [
        Write(0, 0, frozenset({ONE})),
        Write(5, 6, note="a weight", changed=frozenset({"a.file"})),
        Write(30, None, note="unknown", changed=frozenset({"b.file"})),
        FaultBegan(10, "kill"),
        FaultSeen(12, "kill", "refused"),
        FaultEnded(15, "kill"),
        FaultBegan(60, "frost"),
        *(Request("a.file", n, n, "") for n in (1, 2, 2, 2)),
        Request("a.file", 40, 40, "", "status 503"),
        shows(1, ONE),
        *(Same(n, n, "envoy") for n in range(2, 20)),
        Unreachable(20, 20, "envoy", "refused"),
        Unreachable(21, 21, "envoy", "refused"),
        shows(22),
        *(Same(n, n, "envoy") for n in range(23, 30)),
        shows(30.2, ONE),
        shows(30.4),
        shows(31, ONE),
        shows(64.0, ONE),
    ]
    drawn = picture(of(*events, rules=replace(BARE, gap=1))).splitlines()
    assert [line.rstrip() for line in drawn[:5]] == [
        "         0 s                                                       64.0 s",
        "faults             [-!--]                                            [---",
        "writes   W     W                       ?",
        "requests  39                                     x",
        "envoy     ===================..~~~~~~~~~=                               =",
    ]
    assert drawn[5] == "one mark is 1000 ms"


def test_the_picture_has_holes_only_where_nobody_looked_for_too_long() -> None:
    looks = shows(10, ONE), Same(20, 20, "envoy"), Same(64, 64, "envoy")
    history = of(Write(0, 0, frozenset({ONE})), *looks, rules=replace(BARE, gap=10))
    row = picture(history).splitlines()[4]
    assert row == f"envoy    {' ' * 10}{'=' * 11}{' ' * 42}="


def test_a_kept_history_is_judged_and_drawn_by_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["checker", *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("meshbridge.testing.checker", run_name="__main__")
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    file = tmp_path / "history.jsonl"
    file.write_text("\n".join(to_lines(played(PLAN))), encoding="utf-8")
    code, out, _ = run(str(file))
    assert (code, out.splitlines()[0][:5]) == (0, "held:")
    assert "\nistiod   " in out
    file.write_text("\n".join(to_lines(History())), encoding="utf-8")
    code, out, _ = run(str(file))
    assert (code, out[:5]) == (1, "void:")
    file.write_text("nonsense", encoding="utf-8")
    code, _, error = run(str(file))
    assert (code, str(file) in error, "line 1" in error) == (2, True, True)
    assert run(str(tmp_path / "none"))[0] == 2
    code, _, error = run()
    assert (code, error[:6]) == (2, "usage:")
