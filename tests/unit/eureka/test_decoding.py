"""An answer is walked through down to its instances, however old a server wrote it."""

import json

import pytest
from unit.eureka.answers import body_of, captured, record

from meshbridge import BadData
from meshbridge_eureka.decoding import Answer, Closed, Listed


def listed(body: bytes) -> list[tuple[str, list[object]]]:
    """Return the applications of an answer with their instances."""
    found: list[tuple[str, list[object]]] = []
    waiting: list[object] = []
    for item in Answer(body).read():
        if isinstance(item, Listed):
            waiting.append(item.held)
        elif isinstance(item, Closed):
            found.append((item.name, waiting))
            waiting = []
    return found


def refused(body: bytes) -> str:
    with pytest.raises(BadData) as raised:
        listed(body)
    return str(raised.value)


def test_a_real_answer_is_walked_through() -> None:
    answer = Answer(captured("two-services/apps"))
    items = [item for item in answer.read() if item is not None]
    assert [type(item) for item in items] == [Listed, Listed, Closed, Listed, Listed, Closed]
    assert answer.hashcode == "STARTING_1_UP_3_"
    told = json.loads(captured("two-services/apps"))["applications"]["application"]
    assert listed(captured("two-services/apps")) == [
        (each["name"], each["instance"]) for each in told
    ]


def test_an_empty_registry_lists_nothing() -> None:
    assert listed(captured("empty/apps")) == []
    assert listed(b'{"applications": {"versions__delta": 1, "apps__hashcode": ""}}') == []
    assert listed(b'{"applications": {"apps__hashcode": "", "application": null}}') == []


def test_one_may_stand_in_place_of_a_list_of_one() -> None:
    application = {"name": "ORDERS", "instance": record()}
    body = json.dumps({"applications": {"application": application}}).encode()
    assert listed(body) == [("ORDERS", [record()])]


@pytest.mark.parametrize("held", [[], None, "", ...])
def test_an_application_may_have_no_instances(held: object) -> None:
    application = {"name": "ORDERS"} | ({} if held is ... else {"instance": held})
    (closed,) = Answer(body_of(application)).read()
    assert closed == Closed(0, "ORDERS")


@pytest.mark.parametrize("held", ["x", 5, True, 1.5])
def test_an_application_whose_list_is_none_says_so(held: object) -> None:
    (closed,) = Answer(body_of({"name": "ORDERS", "instance": held})).read()
    assert isinstance(closed, Closed)
    assert closed.name == "ORDERS"
    assert closed.reason.startswith("its list of instances is ")


@pytest.mark.parametrize("held", [None, 5, "ORDERS", [], [record()]])
def test_what_stands_in_place_of_an_application_spoils_itself_only(held: object) -> None:
    good = {"name": "ORDERS", "instance": [record()]}
    *_, spoilt = Answer(body_of(good, held)).read()
    assert isinstance(spoilt, Closed)
    assert (spoilt.position, spoilt.name) == (1, "")
    assert spoilt.reason.startswith("the application is ")


def test_a_name_that_is_none_is_none() -> None:
    (closed,) = Answer(body_of({"name": 5, "other": {"a": [1]}})).read()
    assert closed == Closed(0, "")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it begins with nothing"),
        (b"<html><body>502</body></html>", "it begins with '<'"),
        (b"[]", "it begins with '['"),
        (b"null", "it begins with 'n'"),
        (b"{}", "it says nothing of applications"),
        (captured("deleted/instance"), "it says nothing of applications"),
        (b'{"applications": null}', "it says nothing of applications"),
        (b'{"applications": []}', "it says nothing of applications"),
        (b'{"applications": {}}', "neither a list"),
        (b'{"applications": {"application": null}}', "neither a list"),
        (b'{"applications": {"apps__hashcode": 5}}', "neither a list"),
    ],
)
def test_what_is_no_answer_is_refused(body: bytes, reason: str) -> None:
    assert reason in refused(body)


def test_each_part_of_an_answer_is_only_a_part() -> None:
    """Half a body that happens to be well-formed must not be taken for a smaller registry."""
    body = captured("two-services/apps").rstrip()
    for end in range(len(body)):
        assert refused(body[:end]).startswith(("it is ", "it ends "))


def test_an_instance_is_known_again_whatever_its_renewals() -> None:
    def mark(**changed: object) -> int:
        lease = {"leaseInfo": {"lastRenewalTimestamp": changed.pop("renewed", 1)}}
        (item, _) = Answer(body_of({"instance": [record(**(lease | changed))]})).read()
        assert isinstance(item, Listed)
        return item.mark

    assert mark() == mark(renewed=2) == mark(renewed="3")
    assert mark() != mark(status="DOWN")
    sly = {"metadata": {"x": '"lastRenewalTimestamp":1'}}
    assert mark(**sly) != mark(metadata={"x": '"lastRenewalTimestamp":2'})


def test_others_get_turns_in_a_large_application() -> None:
    body = body_of({"name": "ORDERS", "instance": [record()] * 1_000})
    assert sum(item is None for item in Answer(body).read()) >= 5


def test_others_get_turns_among_many_applications() -> None:
    body = body_of(*[{"name": f"A{number}" * 100, "instance": None} for number in range(2_000)])
    assert sum(item is None for item in Answer(body).read()) >= 3


def test_others_get_turns_among_whatever_else_stands_there() -> None:
    """Members that nobody asked for, and what stands in place of applications."""
    long = "x" * 60_000
    more = {f"more-{number}": long for number in range(20)}
    application = {"name": "ORDERS", "instance": [record()], **more}
    bodies: tuple[object, ...] = (
        {"applications": {"application": []}, **more},
        {"applications": {"apps__hashcode": "", "application": [], **more}},
        {"applications": {"application": [application]}},
        {"applications": {"application": [long] * 20}},
    )
    for body in bodies:
        items = list(Answer(json.dumps(body).encode()).read())
        assert items.count(None) >= 6


def test_members_and_white_space_that_nobody_needs_are_bounded() -> None:
    """An answer of 13 MB of them would hold up the loop for seconds."""
    many = b",".join(b'"m%d":1' % number for number in range(101))
    assert "more than 100 members" in refused(b'{"applications":{"application":[]},' + many + b"}")
    assert "white space" in refused(b" " * 2 * 1024 * 1024 + b"{}")
