"""Thousands of malformed records: each spoils itself only, and each is told."""

import contextlib
import itertools
import json
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.eureka.answers import NOW, Record, body_of, captured, delta, full, record

from meshbridge import BadData, ServiceId
from meshbridge.steps import at_once
from meshbridge_eureka.fields import any_record
from meshbridge_eureka.services import News
from meshbridge_eureka.view import View

GOOD = record("good")
FLAGS: tuple[object, ...] = (0, 1, "yes", "", [], {}, "false")
NO_PORTS: tuple[object, ...] = (None, "", "x", 1.5, [], {}, "\u0664")
BAD_FIELDS: dict[str, tuple[object, ...]] = {
    "port": (
        *("x", "", 1.5, "0x50", "8080 ", "x" * 10_000),
        *({"$": "x"}, {"$": 1.5}, {"$": ""}, {"$": 10**400}, {"$": [80]}),
        *({"$": 8080, "@enabled": flag} for flag in FLAGS),
    ),
    "securePort": tuple({"$": told, "@enabled": "true"} for told in NO_PORTS),
    "status": (5, True, 1.5, {"$": "UP"}, {}, ["UP"]),
    "ipAddr": (5, True, {}, {"v4": "10.0.0.2"}, ["10.0.0.2"], 1.5),
    "vipAddress": (5, True, {}, 1.5, ["orders"], ",".join(f"n{each}" for each in range(101))),
    "metadata": ("a=b", 5, True, 1.5, ["a"], {"a": {}}, {"a": []}, {"a": {"b": "c"}}, {"": [None]}),
    "instanceId": (5, True, 1.5, {"$": "x"}),
}
ALWAYS_BAD: tuple[object, ...] = ([None], [[0]], [1.5, "x"])
"""None of these fields is any of these; a securePort that is not said to be enabled may be."""
NO_RECORDS: tuple[object, ...] = (None, 0, -1, 1.5, True, "", "10.0.0.2:80", [], ["UP"], {})


def deep(levels: int) -> object:
    """Return a list that is nested so deep."""
    nested: object = []
    for _ in range(levels):
        nested = [nested]
    return nested


def malformed() -> Iterator[object]:
    """Yield records of instances that cannot be read, no two alike."""
    yield from NO_RECORDS
    yield record("bad", ipAddr="", hostName="")
    yield record("bad", port=None, securePort=None)
    bad = [
        (field, value)
        for field, values in BAD_FIELDS.items()
        for value in itertools.chain(values, ALWAYS_BAD if field != "securePort" else ())
    ]
    for field, value in bad:
        yield record("bad", **{field: value})
    for (field, value), (other, another) in itertools.combinations(bad, 2):
        if field != other:
            yield record("bad", **{field: value, other: another})
    for levels in range(10, 60):
        yield record("bad", metadata={"deep": deep(levels)})


RECORDS = list(malformed())


def spoilt() -> bytes:
    """Return an answer of many applications, each with a good instance and one that is not."""
    applications: list[Record] = []
    for number, bad in enumerate(RECORDS):
        app: Record = {"app": f"A{number}", "vipAddress": f"a{number}"}
        held = bad
        if told := any_record(bad):
            bad_names = told["vipAddress"] != "orders"
            held = (
                {**told, **app, "vipAddress": told["vipAddress"]} if bad_names else {**told, **app}
            )
        applications.append({"name": f"A{number}", "instance": [held, GOOD | app]})
    return body_of(*applications, hashcode=None)


def check(news: News) -> None:
    """Find each of them told, and each good instance served."""
    names = {f"a{number}" for number in range(len(RECORDS))}
    served = {each.id.name: [one.id for one in each.instances] for each in news.services}
    assert served == {name: ["good"] for name in names}
    assert {each.name for each in news.unreadable} == names
    subjects = [subject for named in news.unreadable.values() for subject in named]
    assert len(subjects) == len(RECORDS)
    assert [each.subject for each in news.faults] == subjects
    assert all(isinstance(each, tuple) and isinstance(each[0], ServiceId) for each in subjects)
    for fault in news.faults:
        assert fault.remedy
        assert "\n" not in fault.reason
        assert 0 < len(fault.reason) < 200


def test_each_of_thousands_of_malformed_records_spoils_itself_only() -> None:
    assert len(RECORDS) >= 2_000
    view = View()
    check(full(view, spoilt()))
    assert full(view, spoilt()) == News(), "each is told once"


def test_so_it_does_where_it_comes_as_a_change() -> None:
    """What has no id, or says of itself nothing at all, is told by the full answer that follows."""
    view = View()
    full(view, body_of())
    news = delta(view, spoilt())
    assert not news.agrees
    assert len(news.faults) >= 2_000
    assert {tuple(one.id for one in each.instances) for each in news.services} == {("good",)}
    full(view, spoilt())
    whole = {fault.subject for made in view.services() for fault in made.faults}
    assert len(whole) == len(RECORDS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(sorted(GOOD))
PLACES = st.sampled_from(["applications", "application", "instance", "name", "hash"])


@settings(max_examples=500)
@given(changes=st.dictionaries(FIELDS, JSON, min_size=1, max_size=4), at=st.integers(0, 2))
def test_anything_in_any_field_harms_nobody_else(changes: Record, at: int) -> None:
    """It is read or told, and the same when it comes again."""
    records: list[object] = [GOOD, record("other")]
    records.insert(at, record("odd") | changes)
    view = View()
    body = body_of({"name": "ORDERS", "instance": records}, hashcode=None)
    full(view, body)
    found = {one.id for made in view.services() for one in made.service.instances}
    assert {"good", "other"} <= found
    told = [fault for made in view.services() for fault in made.faults]
    assert len(found) == 3 or told or changes.get("instanceId") in {"good", "other"}
    assert full(view, body) == News()


@settings(max_examples=500)
@given(
    held=JSON, place=st.sampled_from(["applications", "application", "instance", "name", "hash"])
)
def test_anything_in_any_place_is_read_or_refused(held: object, place: str) -> None:
    application: Record = {"name": "ORDERS", "instance": [GOOD]}
    told: Record = {"apps__hashcode": "UP_1_", "application": [application]}
    match place:
        case "applications":
            whole: object = held
        case "application":
            whole = told | {"application": held}
        case "hash":
            whole = told | {"apps__hashcode": held}
        case _:
            application[place] = held
            whole = told
    view = View()
    for take in (view.full, view.delta):
        with contextlib.suppress(BadData):
            at_once(take(json.dumps({"applications": whole}).encode(), NOW))


@settings(max_examples=300)
@given(data=st.data())
def test_damage_to_bytes_is_read_or_refused(data: st.DataObject) -> None:
    body = bytearray(captured("two-services/apps"))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    view = View()
    full(view, captured("two-services/apps"))
    before = {made.service for made in view.services()}
    try:
        full(view, bytes(body))
    except BadData:
        assert {made.service for made in view.services()} == before


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        # How deep a decoder goes differs from one Python to the next.
        (b"[" * 5_000 + b"]" * 5_000, "nested too deep|has a list under 'a'"),
        (b"[" * 500_000 + b"]" * 500_000, "nested too deep|longer than"),
        (b'"' + b"x" * 2_000_000 + b'"', "longer than"),
        (b'{"a": [' + b'"b}\\"]", ' * 100_000 + b"0]}", "longer than"),
    ],
    ids=["deep", "very deep", "long", "long and rich"],
)
def test_a_record_too_large_to_decode_spoils_itself_only(spoilt: bytes, reason: str) -> None:
    """Who it is stands at its begin, so that what was known of it is kept."""
    odd = record("odd", metadata={"a": None})
    body = body_of({"name": "ORDERS", "instance": [odd, GOOD]}, hashcode="UP_2_")
    view = View()
    full(view, body)
    news = full(view, body.replace(b"null", spoilt))
    (orders,) = news.services
    assert [each.id for each in orders.instances] == ["good"]
    assert news.unreadable == {orders.id: ((orders.id, "odd"),)}
    assert re.search(reason, news.faults[0].reason)
    assert full(view, body.replace(b"null", spoilt)) == News()


def test_what_is_too_large_elsewhere_is_refused() -> None:
    with pytest.raises(BadData, match="longer than"):
        full(View(), body_of({"name": "x" * 2_000_000}))
