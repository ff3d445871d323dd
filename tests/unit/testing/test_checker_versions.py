"""Versions change with what was written, and only then."""

from unit.testing.short import ONE, of, registered, shows

from meshbridge.testing.checker import check
from meshbridge.testing.history import Sample, View, Write


def test_a_version_that_changes_without_a_write_is_found() -> None:
    def version(at: float, number: str) -> Sample:
        return Sample(at, at, "istiod", View(frozenset({ONE}), versions={"a.file": number}))

    change = Write(10, 11, changed=frozenset({"a.file"}))
    failed = Write(30, None, changed=frozenset({"a.file"}))
    other = Write(20, 21, changed=frozenset({"b.file"}))
    events = registered(0, ONE), version(1, "1"), change, version(15, "2"), other
    verdict = check(of(*events, version(22, "3"), failed, version(60, "4"), shows(99, ONE)))
    assert [(each.at, each.before, each.after) for each in verdict.restless] == [(22, "2", "3")]
    assert "istiod: a.file: 2 -> 3" in str(verdict)
