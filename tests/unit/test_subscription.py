"""The state of one subscription: what is said, what is not said, and to what end."""

import pytest

from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse
from meshbridge_xds.exchange import (
    MOST_NAMES,
    WILDCARD,
    DeltaRequest,
    RequestRefused,
    Response,
    StateRequest,
)
from meshbridge_xds.offers import Offer, Offers
from meshbridge_xds.refusal import Refusals, blamed, printable
from meshbridge_xds.requests import read_request, write_response
from meshbridge_xds.resources import Resource, ResourceSet, ResourceType
from meshbridge_xds.subscription import Subscription

CLUSTERS = ResourceType("clusters")
ENDPOINTS = ResourceType("endpoints", whole=False, wildcard=False, follows="clusters")


def some(**versions: str) -> ResourceSet:
    return ResourceSet({name: Resource(name, v, b"body") for name, v in versions.items()})


def state(resources: ResourceSet, *names: str, kind: ResourceType = CLUSTERS) -> Subscription:
    """Return a subscription of the state of the world after its first request."""
    subscription = Subscription(kind, delta=False)
    subscription.offer(resources)
    subscription.request(StateRequest(names))
    return subscription


def delta(
    resources: ResourceSet, *names: str, kind: ResourceType = CLUSTERS, **known: str
) -> Subscription:
    """Return a delta subscription after its first request."""
    subscription = Subscription(kind, delta=True)
    subscription.offer(resources)
    subscription.request(DeltaRequest(names, known=known))
    return subscription


def said(response: Response | None) -> dict[str, str]:
    assert response is not None
    return {name: each.version for name, each in response.resources.items()}


def test_nothing_is_said_before_a_request_or_an_offer() -> None:
    asked = Subscription(CLUSTERS, delta=False)
    asked.request(StateRequest())
    assert asked.respond() is None
    assert asked.refused() == ()
    offered = Subscription(CLUSTERS, delta=False)
    offered.offer(some(a="1"))
    assert offered.respond() is None


def test_a_first_request_is_answered_even_if_there_is_nothing() -> None:
    """Envoy starts only when its first wildcard was answered, and istiod too."""
    for subscription in (state(some()), delta(some())):
        assert said(subscription.respond()) == {}


def test_a_foreign_nonce_on_a_first_request_means_nothing() -> None:
    """From istiod comes a clock's reading there, from Envoy what it had from another server."""
    subscription = Subscription(CLUSTERS, delta=False)
    subscription.offer(some(a="1"))
    subscription.request(StateRequest((), "2026-11-23 04:09:00 +0000 UTC", error="of old"))
    assert said(subscription.respond()) == {"a": "1"}


def test_a_stale_nonce_changes_nothing() -> None:
    """What was written before the last response was read does not answer it."""
    subscription = state(some(a="1", b="1"), "a")
    subscription.respond()
    assert not subscription.request(StateRequest(("a", "b"), "0", error="no")).refused
    assert subscription.waiting
    assert subscription.request(StateRequest(("a",), "1")).accepted
    assert subscription.respond() is None


def test_a_name_given_up_and_taken_back_before_the_answer_was_read_is_told_again() -> None:
    """Both requests are stale by then, but the subscriber has forgotten what it gave up."""
    subscription = state(some(a="1", b="1"), "b", kind=ENDPOINTS)
    subscription.respond()
    subscription.request(StateRequest(("b",), "1"))
    subscription.request(StateRequest(("a", "b"), "1"))
    assert said(subscription.respond()) == {"a": "1"}
    subscription.request(StateRequest(("a",), "1"))
    subscription.request(StateRequest(("a", "b"), "1"))
    assert subscription.request(StateRequest(("a", "b"), "2")).accepted
    assert said(subscription.respond()) == {"b": "1"}


def test_a_first_answer_about_everything_is_made_once_for_all() -> None:
    """Whoever asks for all that is listed, by the wildcard or by names, is sent the same bytes."""
    resources = some(a="1", b="1")
    everyone = [state(resources), state(resources, "b", "a", kind=ENDPOINTS), state(resources)]
    for subscription in everyone:
        response = subscription.respond()
        assert response is not None
        assert response.resources is resources.listed
        assert response.complete is resources
        assert response.version == resources.version
        subscription.request(
            StateRequest((), "1")
            if subscription.kind is CLUSTERS
            else StateRequest(("a", "b"), "1")
        )
        assert subscription.held is resources.listed


def test_a_response_refers_to_what_is_news_in_it() -> None:
    """All of it in a first answer; of what the subscriber holds already nothing is sent again."""
    made = {name: Resource(name, "1", b"body", refers=(f"of-{name}",)) for name in "ab"}
    resources = ResourceSet(made)
    subscription = state(resources)
    first = subscription.respond()
    assert first is not None
    assert first.referred() == {"of-a", "of-b"}
    subscription.request(StateRequest(nonce="1"))
    subscription.offer(resources.changed({"b": Resource("b", "2", b"body", refers=("of-b",))}))
    second = subscription.respond()
    assert second is not None
    assert set(second.resources) == {"a", "b"}
    assert second.referred() == {"of-b"}
    another = state(resources).respond()
    assert another is not None
    assert another.referred() is first.referred(), "gathered once for all subscribers"


def test_who_holds_everything_else_is_told_of_the_change_alone() -> None:
    """After it the subscriber holds all there is, but it is not written all there is."""
    resources = some(a="1", b="1")
    subscription = delta(resources)
    subscription.respond()
    subscription.request(DeltaRequest(nonce="1"))
    subscription.offer(resources.changed({"b": Resource("b", "2", b"")}))
    response = subscription.respond()
    assert response is not None
    assert response.complete is not None
    written = DeltaDiscoveryResponse.FromString(write_response("t", response, delta=True).data)
    assert [(each.name, each.version) for each in written.resources] == [("b", "2")]


def test_what_is_left_out_of_the_state_of_the_world_is_not_held_any_more() -> None:
    """Absence is removal, also where the subscriber asks by name and holds a mapping of its own."""
    resources = some(a="1", b="1", c="1")
    subscription = state(resources, "a", "b")
    subscription.respond()
    subscription.request(StateRequest(("a", "b"), "1"))
    subscription.offer(resources.changed({"b": None}))
    assert said(subscription.respond()) == {"a": "1"}
    subscription.request(StateRequest(("a", "b"), "2"))
    assert subscription.held.keys() == {"a"}
    assert subscription.respond() is None


def test_one_response_is_unanswered_at_most_and_newer_state_replaces_older() -> None:
    subscription = state(resources := some(a="1"))
    first = subscription.respond()
    for version in ("2", "3", "4"):
        resources = resources.changed({"a": Resource("a", version, b"body")})
        subscription.offer(resources)
        assert subscription.respond() is None
    assert said(first) == {"a": "1"}
    subscription.request(StateRequest(nonce="1"))
    assert said(subscription.respond()) == {"a": "4"}
    assert subscription.accepted_version != subscription.sent_version


def test_empty_names_mean_everything_only_to_who_never_named_anything() -> None:
    """By the protocol: after a name, or an explicit ``*``, no names means nothing."""
    assert said(state(some(a="1")).respond()) == {"a": "1"}
    subscription = state(some(a="1", b="1"), "a")
    assert said(subscription.respond()) == {"a": "1"}
    subscription.request(StateRequest((), "1"))
    assert subscription.held == {}
    assert subscription.respond() is None
    explicit = state(some(a="1"), WILDCARD)
    assert said(explicit.respond()) == {"a": "1"}
    explicit.request(StateRequest((), "1"))
    assert explicit.held == {}


def test_no_names_of_a_type_without_wildcard_ask_for_nothing() -> None:
    """A proxy without clusters that reconnects would get all endpoints otherwise."""
    assert state(some(a="1"), kind=ENDPOINTS).respond() is None
    assert delta(some(a="1"), kind=ENDPOINTS).respond() is None


def test_who_returns_with_the_same_versions_is_told_nothing_new() -> None:
    assert said(delta(some(a="1", b="2"), a="1", b="2").respond()) == {}
    named = delta(some(a="1", b="2"), "a", "b", kind=ENDPOINTS, a="1", b="2")
    assert named.respond() is None


def test_who_returns_is_told_what_went_away_meanwhile() -> None:
    response = delta(some(a="2"), a="1", gone="1").respond()
    assert said(response) == {"a": "2"}
    assert response is not None
    assert response.removed == ("gone",)
    named = delta(some(a="1"), "a", "gone", kind=ENDPOINTS, a="1", gone="1", foreign="1").respond()
    assert named is not None
    assert (said(named), named.removed) == ({}, ("gone",))


def test_a_name_that_does_not_exist_is_said_to_be_removed() -> None:
    """In delta; the other variant has no words for it but in LDS and CDS, which are whole."""
    response = delta(some(), "a", kind=ENDPOINTS).respond()
    assert response is not None
    assert response.removed == ("a",)
    assert state(some(), "a", kind=ENDPOINTS).respond() is None
    assert said(state(some(), "a").respond()) == {}


def test_who_subscribes_again_is_told_again() -> None:
    """By the protocol: it may have forgotten what it held."""
    subscription = delta(some(a="1"), "a")
    subscription.respond()
    subscription.request(DeltaRequest(nonce="1"))
    subscription.request(DeltaRequest(subscribe=("a",)))
    assert said(subscription.respond()) == {"a": "1"}


def test_a_name_given_up_under_a_wildcard_is_told_again() -> None:
    subscription = delta(some(a="1"), WILDCARD, "a")
    subscription.respond()
    subscription.request(DeltaRequest(nonce="1"))
    subscription.request(DeltaRequest(unsubscribe=("a",)))
    assert said(subscription.respond()) == {"a": "1"}


def test_a_wildcard_given_up_and_taken_back_before_the_answer_is_answered_anew() -> None:
    """The answer on the way said nothing of what the subscriber came with and has forgotten."""
    subscription = delta(some(a="1"), a="1")
    assert said(subscription.respond()) == {}
    subscription.request(DeltaRequest(unsubscribe=(WILDCARD,)))
    subscription.request(DeltaRequest(subscribe=(WILDCARD,)))
    assert subscription.request(DeltaRequest(nonce="1")).accepted
    assert said(subscription.respond()) == {"a": "1"}


def test_a_given_up_wildcard_leaves_the_names() -> None:
    subscription = delta(some(a="1", b="1"), WILDCARD, "a")
    subscription.respond()
    subscription.request(DeltaRequest(nonce="1"))
    subscription.request(DeltaRequest(unsubscribe=(WILDCARD,)))
    assert subscription.held.keys() == {"a"}


def test_endpoints_are_sent_again_whatever_their_version() -> None:
    """Or Envoy waits for them for ever after their cluster has changed."""
    for subscription, accepts in (
        (state(some(a="1", b="1"), "a", "b", kind=ENDPOINTS), StateRequest(("a", "b"), "1")),
        (delta(some(a="1", b="1"), "a", "b", kind=ENDPOINTS), DeltaRequest(nonce="1")),
    ):
        assert said(subscription.respond()) == {"a": "1", "b": "1"}
        subscription.request(accepts)
        subscription.resend({"a", "stranger"})
        assert said(subscription.respond()) == {"a": "1"}


def test_what_was_refused_stays_as_it_was_accepted_and_the_rest_goes_on() -> None:
    """State of the world: the last accepted bytes stand in for the refused ones."""
    subscription = state(resources := some(a="1", b="1"))
    subscription.respond()
    subscription.request(StateRequest(nonce="1"))
    resources = resources.changed({n: Resource(n, "2", b"new") for n in ("a", "b")})
    subscription.offer(resources)
    subscription.respond()
    answer = subscription.request(StateRequest(nonce="2", error="Error adding cluster(s) a: bad"))
    assert answer.refused == ("a",)
    assert subscription.refused() == (("a", "Error adding cluster(s) a: bad"),)
    assert said(subscription.respond()) == {"a": "1", "b": "2"}
    subscription.request(StateRequest(nonce="3"))
    assert subscription.respond() is None
    subscription.offer(resources.changed({"a": Resource("a", "3", b"newer")}))
    assert said(subscription.respond()) == {"a": "3", "b": "2"}
    subscription.request(StateRequest(nonce="4"))
    assert subscription.refused() == ()


def test_what_a_refusal_held_back_is_told_again_to_who_asks_again() -> None:
    """Delta: in the version that was accepted."""
    subscription = delta(resources := some(a="1"), "a")
    subscription.respond()
    subscription.request(DeltaRequest(nonce="1"))
    subscription.offer(resources.changed({"a": Resource("a", "2", b"new")}))
    subscription.respond()
    subscription.request(DeltaRequest(nonce="2", error="a is bad"))
    assert subscription.respond() is None
    subscription.request(DeltaRequest(subscribe=("a",)))
    assert said(subscription.respond()) == {"a": "1"}


def test_what_a_refused_response_also_said_is_said_as_it_is_now() -> None:
    """Envoy takes what is good of a response that it refuses; what changed since is told."""
    resources = some(a="1")
    subscription = state(resources)
    subscription.respond()
    subscription.request(StateRequest((), "1"))
    news = {"b": Resource("b", "1", b"body"), "bad": Resource("bad", "1", b"body")}
    resources = resources.changed({"a": None, **news})
    subscription.offer(resources)
    assert said(subscription.respond()) == {"b": "1", "bad": "1"}
    subscription.offer(resources.changed({"b": None, "a": Resource("a", "1", b"body")}))
    subscription.request(StateRequest((), "2", "bad is bad"))
    assert said(subscription.respond()) == {"a": "1"}


def test_what_was_refused_and_then_goes_is_said_to_be_gone() -> None:
    """The subscriber may hold an older one from an earlier stream, and would keep it for ever."""
    for emptied in (ResourceSet({}), some(a="bad").changed({"a": None})):
        subscription = state(some(a="bad"))
        assert said(subscription.respond()) == {"a": "bad"}
        subscription.request(StateRequest(nonce="1", error="a is bad"))
        assert subscription.respond() is None

        subscription.offer(emptied)

        assert said(subscription.respond()) == {}
        subscription.request(StateRequest(nonce="2"))
        assert not subscription.unsettled


def test_what_was_refused_is_not_said_to_be_gone_twice() -> None:
    """A response of the state of the world without it has said so."""
    subscription = state(some(a="bad", b="1"))
    assert said(subscription.respond()) == {"a": "bad", "b": "1"}
    subscription.request(StateRequest(nonce="1", error="a is bad"))
    assert said(subscription.respond()) == {"b": "1"}
    subscription.request(StateRequest(nonce="2"))

    subscription.offer(some(b="1"))

    assert subscription.respond() is None


def test_what_was_taken_of_a_refused_response_is_said_to_be_gone() -> None:
    """The good of it is held in the version that was sent, though a newer one was refused, too."""
    subscription = delta(some(a="bad", b="1"), "a", "b")
    assert said(subscription.respond()) == {"a": "bad", "b": "1"}
    subscription.offer(some(b="bad"))
    subscription.request(DeltaRequest(nonce="1", error="a is bad"))
    assert said(subscription.respond()) == {"b": "bad"}
    subscription.request(DeltaRequest(nonce="2", error="b is bad"))
    assert said(subscription.respond()) == {}, "a is gone, told again"
    subscription.request(DeltaRequest(nonce="3"))
    assert subscription.respond() is None

    subscription.offer(ResourceSet({}))

    gone = subscription.respond()
    assert gone is not None
    assert gone.removed == ("b",)
    subscription.request(DeltaRequest(nonce="4"))
    assert subscription.respond() is None


def test_a_refused_removal_is_not_repeated() -> None:
    subscription = delta(resources := some(a="1"))
    subscription.respond()
    subscription.request(DeltaRequest(nonce="1"))
    subscription.offer(resources.changed({"a": None}))
    response = subscription.respond()
    assert response is not None
    assert response.removed == ("a",)
    answer = subscription.request(DeltaRequest(nonce="2", error="I want to keep it"))
    assert (answer.refused, answer.words) == ((), "I want to keep it")
    assert subscription.respond() is None


def test_subscribers_of_everything_share_one_mapping() -> None:
    """Ten thousand names are held once, not once per stream."""
    resources = some(a="1", b="1")
    for subscription, accepts in (
        (state(resources), StateRequest(nonce="1")),
        (delta(resources), DeltaRequest(nonce="1")),
    ):
        subscription.respond()
        subscription.request(accepts)
        assert subscription.held is resources.listed


def test_too_many_names_are_refused() -> None:
    names = tuple(str(number) for number in range(MOST_NAMES + 1))
    with pytest.raises(RequestRefused, match="100001 resource names"):
        state(some(), *names)
    with pytest.raises(RequestRefused, match="at most"):
        delta(some(), *names)


def test_only_whole_words_of_a_refusal_are_names() -> None:
    news = [Resource("orders", "1", b"x"), Resource("outbound|80||orders.test", "1", b"x")]
    sent = {each.name: each for each in news} | {"old.test": Resource("old.test", "1", b"x")}
    words = "Error adding/updating cluster(s) outbound|80||orders.test: no such thing"
    assert blamed(words, news, sent) == (news[1],)
    assert blamed("'old.test' is bad.", news, sent) == (sent["old.test"],)
    assert blamed("I refuse", news, sent) == tuple(news)


def test_refusals_are_bounded() -> None:
    refusals = Refusals()
    for number in range(20):
        refusals.add(Resource("a", str(number)), "x" * 10_000)
    assert not refusals.has(Resource("a", "11"))
    assert refusals.has(Resource("a", "12"))
    assert len(refusals.words(Resource("a", "19"))) == 500
    for number in range(10_001):
        refusals.add(Resource(f"n{number}", "1"), "x")
    assert len(refusals.names()) == 10_000


def test_foreign_text_is_shown_on_one_line() -> None:
    assert printable("a\nb\x1b[31m\x00c") == "a b [31m c"
    assert printable("x" * 600) == "x" * 499 + "…"
    assert printable("é中", 2) == "é中"


def test_a_set_knows_what_changed_since_another_of_its_history() -> None:
    first = some(a="1")
    second = first.changed({"b": Resource("b", "1")})
    third = second.changed({"a": None}, lambda _name: None, ("demanded",))
    assert third.touched(first) == frozenset(("a", "b", "demanded"))
    assert third.touched(third) == frozenset()
    assert first.touched(third) is None
    assert third.touched(some(a="1")) is None
    assert third.touched(None) is None
    for number in range(100):
        third = third.changed({str(number): None})
    assert third.touched(second) is None


def test_one_type_may_be_offered_as_another_and_a_type_withheld() -> None:
    clusters = some(a="1")
    offer = Offer({"clusters": clusters, "late": None})
    assert offer.of(CLUSTERS) is clusters
    assert offer.of(ResourceType("v2/clusters", offered_as="clusters")) is clusters
    assert offer.of(ResourceType("late")) is None
    unknown = offer.of(ResourceType("unknown"))
    assert unknown is not None
    assert not unknown.listed


def test_offers_start_without_one() -> None:
    assert Offers().newest is None


@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"", b"\x22\x03a\xffb"])
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    for variant in (True, False):
        with pytest.raises(RequestRefused):
            read_request(raw, delta=variant)


def test_a_version_of_a_whole_response_does_not_depend_on_the_way_to_it() -> None:
    there = some(a="1", b="1")
    by_another_way = some(b="1").changed({"c": Resource("c", "1", b"body")})
    by_another_way = by_another_way.changed({"c": None, "a": Resource("a", "1", b"body")})
    assert there.version == by_another_way.version
    assert there.version != some(a="1", b="2").version
    assert there.joined(delta=False) == by_another_way.joined(delta=False)
    first = state(there).respond()
    second = state(by_another_way).respond()
    assert first is not None
    assert second is not None
    assert (
        write_response("t", first, delta=False).data
        == write_response("t", second, delta=False).data
    )


def test_each_resource_tells_how_it_stands_with_the_subscriber() -> None:
    """Offered, under way, held and refused, each by its version."""
    subscription = state(some(a="1", b="1"), "a", kind=ENDPOINTS)
    assert subscription.standing("b") is None  # it does not ask for it
    assert state(some(b="1"), "a", kind=ENDPOINTS).standing("a") == ("", "", "", "")
    assert subscription.standing("a") == ("1", "", "", "")
    response = subscription.respond()
    assert response is not None
    assert subscription.standing("a") == ("1", "1", "", "")
    subscription.request(StateRequest(("a",), response.nonce))
    assert subscription.standing("a") == ("1", "", "1", "")
    subscription.offer(some(a="2", b="1"))
    refused = subscription.respond()
    assert refused is not None
    subscription.request(StateRequest(("a",), refused.nonce, "a is bad"))
    assert subscription.standing("a") == ("2", "", "1", "a is bad")
