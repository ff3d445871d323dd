"""A person's word ends what is held, and nothing else."""

from unit.guard.registry import A, Told, fleet, name, refill, running, service

from meshbridge.adapter import Changed, Listing, Removed
from meshbridge.guard import Release


def test_a_release_of_one_service_leaves_the_others_held() -> None:
    told = running(60).tell(400, Listing(A, ())).tell(500, Release(A, name(0)))
    assert told.until(86_400).count() == told.held() == 295


def test_a_release_of_everything_is_one_of_each_scope() -> None:
    told = Told({"a": fleet(60), "b": fleet(60)}, scopes=("a", "b"))
    for each in "ab":
        told.tell(0, Listing(each, fleet(60)))
    told.until(400)
    for each in "ab":
        told.tell(400, Listing(each, fleet(3)))
    told.tell(500, Release())
    assert (told.count("a"), told.count("b")) == (15, 15)
    assert told.is_quiet("a")
    assert told.is_quiet("b")


def test_a_release_where_nothing_is_held_changes_nothing_that_is_served() -> None:
    told = running(30)
    before = dict(told.seen)
    told.tell(400, Release(A)).tell(401, Release(A, name(0))).tell(402, Release("unknown"))
    assert told.seen == before


def test_after_a_release_the_next_loss_is_measured_anew() -> None:
    told = running(60).tell(400, Listing(A, fleet(20))).tell(500, Release(A))
    assert told.count() == 100
    told.tell(510, Listing(A, fleet(4))).until(86_400)
    assert told.count() == 100, "16 of 20 services are too many again"


def test_what_is_released_may_come_back() -> None:
    told = (
        running(60).tell(400, Listing(A, ())).tell(500, Release(A)).tell(600, Listing(A, fleet()))
    )
    assert told.ids() == told.listed()


def test_one_service_may_be_announced_alone() -> None:
    told = running(30).tell(399, Release(A, name(0), until=7600))
    told.tell(400, Removed(A, name(0))).tell(400, Removed(A, name(1)))
    assert told.served(0) is None
    assert told.served(1) == service(1).instances


def test_of_two_words_about_when_the_later_one_counts() -> None:
    told = running(60).tell(398, Release(A, until=7600)).tell(399, Release(A, until=399))
    told.tell(400, Listing(A, fleet(3)))
    assert told.held() == 285


def test_what_a_service_announced_takes_is_no_loss_of_its_scope() -> None:
    listed = (service(0, 100), *fleet(20, 4)[1:])
    told = Told({A: listed}).tell(0, Listing(A, listed)).until(400)
    told.tell(401, Release(A, name(0), until=7600)).tell(402, Removed(A, name(0)))
    told.tell(403, Changed(A, service(1, 3)))
    assert told.ids() == told.listed()


def test_an_announced_loss_lets_no_restart_of_the_registry_through() -> None:
    told = running(60).tell(399, Release(A, until=7600))
    told.tell(400, Listing(A, fleet(1), after_gap=True))
    assert refill(told, 400, 60, 5, 18).until(500).least[A] == 300
