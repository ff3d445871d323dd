"""What a Eureka server has told is held, and what each answer changes in it is news."""

import json

import pytest
from unit.eureka.answers import (
    NOW,
    body_of,
    by_name,
    captured,
    delta,
    full,
    hash_of,
    listing_of,
    record,
)

from meshbridge import BadData, Health, RegisteredService, ServiceId
from meshbridge.steps import at_once
from meshbridge_eureka import view as module
from meshbridge_eureka.parse import LATE
from meshbridge_eureka.services import News, Reported
from meshbridge_eureka.view import View

ORDERS = ServiceId("", "", "orders")
ONE, TWO = record("one"), record("two", ipAddr="10.0.0.2")


def viewing(*records: object) -> View:
    """Return a view that has read an application with these instances."""
    view = View()
    full(view, listing_of(*records))
    return view


def held(view: View) -> dict[str, dict[str, Health]]:
    """Return the health of each readable instance by service."""
    return {
        made.service.id.name: {each.id: each.health for each in made.service.instances}
        for made in view.services()
    }


def changes(*records: object, of: tuple[object, ...] = (), hashcode: str | None = None) -> bytes:
    """Return a delta with these records, after which there are those ``of``."""
    return listing_of(*records, hashcode=hash_of(of) if hashcode is None else hashcode)


def test_a_real_registry_is_read_from_full_answers_and_from_deltas() -> None:
    """The delta of each step is that which the server told after it had done it."""
    by_full, by_delta = View(), View()
    assert full(by_delta, captured("empty/apps")) == News()
    assert delta(by_delta, captured("empty/delta")) == News()
    for step in ("two-services", "out-of-service", "deleted"):
        news = full(by_full, captured(f"{step}/apps"))
        assert news.faults == ()
        changed = delta(by_delta, captured(f"{step}/delta"))
        assert changed.agrees
        assert set(by_name(changed)) == set(by_name(news))
        assert held(by_full) == held(by_delta)
    ids = {name: f"10.99.0.1:{name}" for name in ("orders", "users")}
    assert held(by_full) == {
        "orders": {
            f"{ids['orders']}:8081": Health.HEALTHY,
            f"{ids['orders']}:8082": Health.DISABLED,
        },
        "users": {f"{ids['users']}:8084": Health.DISABLED},
    }
    assert len(by_full) == len(by_delta) == 3


def test_the_first_answer_is_all_news_and_the_second_none() -> None:
    view = View()
    news = full(view, listing_of(ONE, TWO))
    assert by_name(news).keys() == {"orders"}
    assert (news.gone, news.unreadable, news.faults, news.agrees) == ((), {}, (), True)
    assert full(view, listing_of(TWO, ONE)) == News(), "whatever their order"


def test_renewals_alone_are_no_news() -> None:
    view = viewing(ONE)
    renewed = json.loads(json.dumps(ONE))
    renewed["leaseInfo"]["lastRenewalTimestamp"] += 30_000
    assert full(view, listing_of(renewed)) == News()
    renewed["lastUpdatedTimestamp"] = str(NOW + 5)
    assert full(view, listing_of(renewed)) == News()


def test_only_what_has_changed_is_news_and_each_service_is_whole() -> None:
    view = View()
    users = {"name": "USERS", "instance": [record("u", app="USERS", vipAddress="users")]}
    both = {"name": "ORDERS", "instance": [ONE, TWO]}
    full(view, body_of(both, users, hashcode="UP_3_"))
    down = record("two", status="DOWN", ipAddr="10.0.0.2")
    news = full(view, body_of({"name": "ORDERS", "instance": [ONE, down]}, users))
    (orders,) = news.services
    assert [each.health for each in orders.instances] == [Health.HEALTHY, Health.UNHEALTHY]


def test_a_service_without_instances_is_gone() -> None:
    view = viewing(ONE, TWO)
    assert by_name(full(view, listing_of(TWO)))["orders"].instances[0].id == "two"
    assert full(view, listing_of()).gone == (ORDERS,)
    assert held(view) == {}


def test_names_come_and_go_with_their_instances() -> None:
    view = viewing(record("one", vipAddress="a,b"))
    news = full(view, listing_of(record("one", vipAddress="b,c")))
    assert set(by_name(news)) == {"c", "b"} - {"b"} | {"c"}
    assert news.gone == (ServiceId("", "", "a"),)
    assert set(held(view)) == {"b", "c"}


def test_applications_share_a_service_even_with_one_id_in_both() -> None:
    """What goes by the id alone is the first by the application's name."""
    mine, theirs = record("one"), record("one", app="ARCHIVE", ipAddr="10.0.0.9")
    view = View()
    two = {"name": "ARCHIVE", "instance": [theirs]}
    for order in ((mine, theirs), (theirs, mine)):
        full(view, body_of(*[{"name": each["app"], "instance": [each]} for each in order]))
        assert held(view) == {"orders": {"one": Health.HEALTHY, "ORDERS/one": Health.HEALTHY}}
    full(view, body_of(two))
    assert held(view) == {"orders": {"one": Health.HEALTHY}}


def test_services_may_be_called_by_application() -> None:
    view = View("application")
    full(view, listing_of(record("one", vipAddress="a,b")))
    assert set(held(view)) == {"orders"}


@pytest.mark.parametrize("app", [..., None, "", 5])
def test_an_instance_that_does_not_name_its_application_is_of_the_one_it_stands_in(
    app: object,
) -> None:
    view = View("application")
    body = {"instance": [record("one", app=app)], "name": "USERS"}
    full(view, body_of(body, {"instance": [record("two", app=app)]}))
    assert set(held(view)) == {"users", "application[1]"}


def test_half_an_answer_is_refused() -> None:
    """Well-formed JSON may lack instances all the same; the hash code counts them."""
    view = viewing(ONE, TWO)
    with pytest.raises(BadData, match="lists 1 instances, and says that there are 2"):
        full(view, listing_of(ONE, hashcode="UP_2_"))
    with pytest.raises(BadData, match="begins with '<'"):
        full(view, b"<html>")
    assert set(held(view)["orders"]) == {"one", "two"}
    assert full(view, listing_of(ONE, hashcode="UP_1")).agrees, "no hash code counts nothing"
    assert full(view, body_of({"name": "ORDERS", "instance": [ONE]}, hashcode=None)) == News()


def test_a_delta_is_news_of_what_it_changes() -> None:
    view = viewing(ONE)
    added = record("two", lastUpdatedTimestamp=NOW + 1)
    news = delta(view, changes(added, of=(ONE, added)))
    assert [each.id for each in by_name(news)["orders"].instances] == ["one", "two"]
    assert news.agrees
    assert delta(view, changes(added, of=(ONE, added))) == News(), "it comes again for minutes"
    down = record("two", status="DOWN", actionType="MODIFIED", lastUpdatedTimestamp=NOW + 2)
    delta(view, changes(down, of=(ONE, down)))
    assert held(view)["orders"] == {"one": Health.HEALTHY, "two": Health.UNHEALTHY}
    gone = record("two", actionType="DELETED", lastUpdatedTimestamp=NOW + 3)
    assert delta(view, changes(gone, of=(ONE,))).agrees
    assert delta(view, changes(gone, of=(ONE,))) == News()
    gone = record("one", actionType="DELETED", lastUpdatedTimestamp=NOW + 4)
    assert delta(view, changes(gone)) == News(gone=(ORDERS,))
    assert len(view) == 0


@pytest.mark.parametrize("hashcode", ["UP_2_", "DOWN_1_", "", "UP_1", "x"])
def test_a_delta_that_counts_otherwise_does_not_agree(hashcode: str) -> None:
    news = delta(viewing(ONE), changes(hashcode=hashcode))
    assert news == News(agrees=False)


def test_a_delta_without_a_hash_code_proves_nothing() -> None:
    assert not delta(viewing(ONE), body_of(hashcode=None)).agrees


def test_what_is_missing_in_a_delta_shows_in_its_count() -> None:
    view = viewing(ONE)
    assert not delta(view, changes(of=(ONE, TWO))).agrees
    assert full(view, listing_of(ONE, TWO)).agrees
    assert delta(view, changes(of=(ONE, TWO))).agrees


@pytest.mark.parametrize("backwards", [False, True])
def test_what_has_gone_and_come_again_is_there(*, backwards: bool) -> None:
    view = viewing(ONE)
    gone = record("one", actionType="DELETED", lastUpdatedTimestamp=NOW + 1)
    back = record("one", ipAddr="10.0.0.7", lastUpdatedTimestamp=NOW + 2)
    both = (back, gone) if backwards else (gone, back)
    news = delta(view, changes(*both, of=(back,)))
    assert news.agrees
    assert by_name(news)["orders"].instances[0].address == "10.0.0.7"
    assert delta(view, changes(*both, of=(back,))) == News()


@pytest.mark.parametrize("action", ["MODIFIED", "DELETED"])
def test_a_change_older_than_what_is_known_is_none(action: str) -> None:
    view = viewing(record("one", lastUpdatedTimestamp=NOW + 5_000))
    old = record("one", status="DOWN", actionType=action, lastUpdatedTimestamp=NOW)
    assert delta(view, changes(old, of=(ONE,))) == News(agrees=False)
    assert held(view)["orders"]["one"] is Health.HEALTHY


def test_what_went_before_the_last_full_answer_does_not_come_back() -> None:
    """A delta's cache may be older than that of the full answer."""
    view = viewing(record("one", lastUpdatedTimestamp=NOW + 5_000))
    old = record("two", lastUpdatedTimestamp=NOW)
    assert delta(view, changes(old, of=(ONE, old))) == News(agrees=False)
    assert delta(view, changes(old | {"actionType": "DELETED"}, of=(ONE,))) == News()
    almost = record("two", lastUpdatedTimestamp=NOW + 4_000)
    assert delta(view, changes(almost, of=(ONE, almost))).agrees


def test_a_change_without_a_moment_is_taken() -> None:
    view = viewing(ONE)
    down = record("one", status="DOWN", actionType="MODIFIED", lastUpdatedTimestamp=None)
    assert delta(view, changes(down, of=(down,))).agrees
    assert held(view)["orders"]["one"] is Health.UNHEALTHY


@pytest.mark.parametrize("action", [None, "", "RENAMED", 5, ...])
def test_an_action_that_nobody_knows_changes_nothing(action: object) -> None:
    """The full answer that follows says what it was."""
    view = viewing(ONE)
    odd = record("one", status="DOWN", actionType=action)
    assert delta(view, changes(odd, of=(ONE,))) == News(agrees=False)


def test_an_unreadable_record_spoils_itself_only() -> None:
    view = viewing(ONE, TWO)
    spoilt = record("two", port="x", ipAddr="10.0.0.2")
    news = full(view, listing_of(ONE, spoilt))
    subject = (ORDERS, "two")
    assert [each.id for each in by_name(news)["orders"].instances] == ["one"]
    assert news.unreadable == {ORDERS: (subject,)}
    assert [(each.subject, each.reason) for each in news.faults] == [(subject, "its port is 'x'")]
    assert full(view, listing_of(ONE, spoilt)) == News(), "it is told once"
    assert delta(view, changes(of=(ONE, spoilt))).agrees, "it counts all the same"
    whole = full(view, listing_of(ONE, TWO))
    assert whole.unreadable == {}
    assert len(by_name(whole)["orders"].instances) == 2


def test_a_record_may_become_unreadable_and_go_by_deltas() -> None:
    view = viewing(ONE)
    spoilt = record("one", metadata=5, actionType="MODIFIED", lastUpdatedTimestamp=NOW + 1)
    news = delta(view, changes(spoilt, of=(spoilt,)))
    assert news.agrees
    assert news.services == (RegisteredService(ORDERS),)
    assert news.unreadable == {ORDERS: ((ORDERS, "one"),)}
    spoilt |= {"actionType": "DELETED"}
    assert delta(view, changes(spoilt)).gone == (ORDERS,)


def test_a_record_that_cannot_be_told_from_others_asks_for_everything() -> None:
    view = viewing(ONE)
    assert delta(view, changes(5, of=(ONE, 5))) == News(agrees=False)
    nameless = record(instanceId=..., hostName=...)
    news = delta(view, changes(nameless, of=(ONE, nameless)))
    assert not news.agrees
    assert news.unreadable == {ORDERS: ((ORDERS, "instance[0]"),)}
    news = full(view, listing_of(ONE, 5))
    assert news.unreadable == {ORDERS: ((ORDERS, "instance[1]"),)}
    assert delta(view, changes(of=(ONE, 5))).agrees, "it counts all the same"


def test_an_application_that_cannot_be_read_keeps_its_services() -> None:
    view = View()
    archive = {"name": "ARCHIVE", "instance": [record("a", app="ARCHIVE", vipAddress="old,older")]}
    full(view, body_of({"name": "ORDERS", "instance": [ONE]}, archive, hashcode="UP_2_"))
    spoilt = body_of(
        {"name": "ORDERS", "instance": [ONE]},
        {"name": "ARCHIVE", "instance": 5},
        7,
        hashcode="UP_2_",
    )
    news = full(view, spoilt)
    named = [ServiceId("", "", name) for name in ("old", "older", "application[2]")]
    assert news.unreadable == {each: (each,) for each in named}
    assert {each.subject for each in news.faults} == set(named)
    assert news.gone == ()
    assert full(view, spoilt) == News()
    assert delta(view, body_of(hashcode="UP_2_")).agrees, "what could not be read still counts"
    assert not delta(view, body_of(hashcode="UP_3_")).agrees
    assert not delta(view, body_of(7, hashcode="UP_2_")).agrees
    assert set(full(view, body_of(archive)).gone) == {named[2], ORDERS}
    assert set(held(view)) == {"old", "older"}


def test_an_application_that_was_never_read_has_its_own_name() -> None:
    news = full(View(), body_of({"name": "ORDERS", "instance": "x"}, hashcode=""))
    fault = Reported(ORDERS, "its list of instances is 'x'", news.faults[0].remedy)
    assert news.faults == (fault,)


LONG_AGO = {"leaseInfo": {"lastRenewalTimestamp": NOW - LATE - 180_001, "durationInSecs": 90}}


def test_what_only_self_preservation_keeps_is_degraded_and_counted() -> None:
    view = viewing(record("one", **LONG_AGO), TWO, record("down", status="DOWN", **LONG_AGO))
    states = {"one": Health.DEGRADED, "two": Health.HEALTHY, "down": Health.UNHEALTHY}
    assert held(view)["orders"] == states
    assert view.overdue == 2
    full(view, listing_of(record("one", **LONG_AGO), TWO), None)
    assert view.overdue == 1, "nobody is judged without a clock, and what was judged stays"


def test_time_alone_makes_an_instance_overdue_and_a_renewal_ends_it() -> None:
    view = viewing(ONE, TWO)
    later = NOW + LATE + 180_001
    news = full(view, listing_of(ONE, TWO), later)
    assert {each.health for each in by_name(news)["orders"].instances} == {Health.DEGRADED}
    assert view.overdue == 2
    assert full(view, listing_of(ONE, TWO), later) == News()
    renewed = json.loads(json.dumps(ONE))
    renewed["leaseInfo"]["lastRenewalTimestamp"] = later
    full(view, listing_of(renewed, TWO), later)
    assert held(view)["orders"] == {"one": Health.HEALTHY, "two": Health.DEGRADED}
    assert view.overdue == 1


def test_what_stays_overdue_is_no_news_whatever_else_it_says() -> None:
    view = viewing(record("one", **LONG_AGO))
    touched = record("one", **LONG_AGO, lastUpdatedTimestamp=NOW + 1)
    assert full(view, listing_of(touched)) == News()


def test_a_delta_judges_no_lease() -> None:
    """It tells nothing of who has only renewed; the next full answer does."""
    view = viewing(record("one", **LONG_AGO), TWO)
    late = NOW + 10 * LATE
    same = changes(record("one", **LONG_AGO), of=(ONE, TWO))
    assert delta(view, same, late) == News()
    assert view.overdue == 1
    back = record("one", lastUpdatedTimestamp=NOW + 1)
    news = delta(view, changes(back, of=(ONE, TWO)), late)
    assert {each.health for each in by_name(news)["orders"].instances} == {Health.HEALTHY}
    assert view.overdue == 0


def test_a_registry_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_INSTANCES", 2)
    monkeypatch.setattr(module, "MOST_APPLICATIONS", 3)
    view = viewing(ONE, TWO)
    with pytest.raises(BadData, match="more than 2 instances"):
        full(view, listing_of(ONE, TWO, record("three")))
    with pytest.raises(BadData, match="more than 3 applications"):
        full(view, body_of(*[{"name": f"A{number}"} for number in range(4)]))
    with pytest.raises(BadData, match="more than 3 names"):
        full(view, listing_of(record("one", vipAddress="a,b,c,d")))
    assert set(held(view)["orders"]) == {"one", "two"}
    three = record("three")
    assert not delta(view, changes(three, of=(ONE, TWO, three))).agrees


def test_instances_that_stand_under_many_names_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_STANDING", 3)
    with pytest.raises(BadData, match="more than 3 names in all"):
        viewing(record("one", vipAddress="a,b"), record("two", vipAddress="a,b"))


def test_an_empty_list_that_nothing_confirms_is_refused() -> None:
    view = viewing(ONE, TWO)
    with pytest.raises(BadData, match="it lists nothing"):
        full(view, b'{"applications": {"application": []}}')
    assert set(held(view)["orders"]) == {"one", "two"}


def test_what_goes_is_counted_whatever_comes_in_its_place() -> None:
    view = viewing(ONE, TWO)
    assert view.gone == 0
    full(view, listing_of(record("three"), record("four")))
    assert view.gone == 2
    full(view, listing_of(record("three", vipAddress="others"), record("four")))
    assert view.gone == 1
    delta(view, changes(record("five", lastUpdatedTimestamp=NOW + 1)))
    assert view.gone == 0


def test_instances_without_an_application_are_read_in_small_steps() -> None:
    records = [record(f"i{number}", app=None) for number in range(1_000)]
    steps = View().full(body_of({"name": "ORDERS", "instance": records}), NOW)
    assert sum(1 for _ in steps) >= 15


def test_names_are_bounded_in_deltas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_APPLICATIONS", 3)
    many = record("one", vipAddress="a,b,c,d", lastUpdatedTimestamp=NOW + 1)
    assert not delta(viewing(ONE), changes(many, of=(many,))).agrees


def test_much_is_done_in_small_steps() -> None:
    records = [record(f"i{number}", vipAddress=f"s{number % 700}") for number in range(3_000)]
    view = View()
    steps = [
        sum(1 for _ in work)
        for work in (
            view.full(listing_of(*records), NOW),
            view.full(listing_of(*records), NOW),
            view.delta(changes(*[each | {"status": "DOWN"} for each in records]), NOW),
            view.full(listing_of(), NOW),
        )
    ]
    assert all(count >= least for count, least in zip(steps, (40, 30, 40, 6), strict=True)), steps
    assert held(view) == {}


def test_work_that_failed_half_way_changes_nothing() -> None:
    view = viewing(ONE)
    body = listing_of(*[record(f"i{number}") for number in range(500)])
    with pytest.raises(BadData, match="only a part"):
        at_once(view.full(body[:-1].rstrip(b"}"), NOW))
    with pytest.raises(BadData, match="only a part"):
        at_once(view.delta(body[:-1].rstrip(b"}"), NOW))
    assert set(held(view)["orders"]) == {"one"}
