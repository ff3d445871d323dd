"""The core is told what the registry holds, and what has become of it."""

from unit.eureka.answers import by_name, full, listing_of, record

from meshbridge import Changed, Listing, Removed, ServiceId
from meshbridge.steps import at_once
from meshbridge_eureka.telling import listing, updates
from meshbridge_eureka.view import View

ORDERS = ServiceId("", "", "orders")


def test_a_listing_holds_all_that_there_is() -> None:
    view = View()
    told = by_name(full(view, listing_of(record("one"), record("two", port=None))))
    assert at_once(listing(view, "applications", after_gap=True)) == Listing(
        "applications", (told["orders"],), ((ORDERS, "two"),), after_gap=True
    )


def test_an_empty_registry_is_an_empty_listing() -> None:
    view = View()
    full(view, listing_of())
    assert at_once(listing(view, "applications", after_gap=False)) == Listing("applications", ())


def test_a_large_listing_is_made_in_steps() -> None:
    view = View()
    full(view, listing_of(*[record(f"i{each}", vipAddress=f"s{each}") for each in range(2_000)]))
    assert sum(1 for _ in listing(view, "applications", after_gap=False)) == 2


def test_each_change_is_told_whole_and_what_has_gone_by_its_name() -> None:
    view = View()
    news = full(view, listing_of(record("one"), record("two", port=None)))
    (orders,) = news.services
    assert updates(news, "applications") == [Changed("applications", orders, ((ORDERS, "two"),))]
    news = full(view, listing_of(record("one")))
    assert updates(news, "applications") == [Changed("applications", orders)]
    assert updates(full(view, listing_of()), "applications") == [Removed("applications", ORDERS)]
