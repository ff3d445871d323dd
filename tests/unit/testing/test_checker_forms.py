"""Nobody is accused for how a host or an address is written."""

import pytest
from unit.testing.short import of

from meshbridge.testing.checker import check
from meshbridge.testing.checker.forms import endpoint
from meshbridge.testing.history import Endpoint, Request, Sample, View, Write


@pytest.mark.parametrize(
    ("written", "form"),
    [
        (Endpoint("A.File", "10.0.0.1:80"), Endpoint("a.file", "10.0.0.1:80")),
        (Endpoint("a.file", "[FD00:0::1]:080"), Endpoint("a.file", "[fd00::1]:80")),
        (Endpoint("a.file", "fd00:0::1:80"), Endpoint("a.file", "[fd00::1]:80")),
        (Endpoint("a.file", "Some.Name:80"), Endpoint("a.file", "some.name:80")),
        (Endpoint("a.file", "Pod-7"), Endpoint("a.file", "Pod-7")),
        (Endpoint("a.file", ""), Endpoint("a.file", "")),
    ],
)
def test_an_endpoint_made_of_its_parts_gets_the_one_form(written: Endpoint, form: Endpoint) -> None:
    assert endpoint(written) == form


def test_what_is_written_in_another_form_is_the_same() -> None:
    """By the registry, by an observer, or by a client."""
    named = Endpoint("A.File", "[FD00:0::1]:80"), Endpoint("B.file", "10.0.0.1:80")
    first, second = Endpoint.of("a.file", "fd00::1", 80), Endpoint.of("b.file", "10.0.0.1", 80)
    rests = Endpoint("C.file", "10.0.0.1:80")
    shown = View(frozenset({first, second}), versions={"a.file": "1"})
    other = View(frozenset({named[0], rests}), frozenset({endpoint(rests)}), {"A.file": "2"})
    events = Write(0, 0, frozenset({first, named[1]})), Sample(1, 1, "envoy", shown)
    change = Write(3, 3, removed=frozenset({second}), changed=frozenset({"A.FILE"}))
    asked = [
        Request("A.File", 4, 4, "[fd00::1]:80"),
        Request("a.file", 4, 4, "[FD00:0:0::1]:80"),
        Request("a.file", 4, 4, ""),
    ]
    verdict = check(of(*events, change, *asked, Sample(5, 5, "envoy", other)))
    assert [*verdict.findings()] == []
    assert len(verdict.convergences) == 3
    stranger = Request("a.file", 4, 4, "fd00::2:80")
    assert [each.by for each in check(of(*events, stranger)).strangers] == ["[fd00::2]:80"]
