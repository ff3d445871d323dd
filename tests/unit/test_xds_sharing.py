"""What a subscriber that reads late costs: one response, shared with whoever gets the same."""

import gc
import weakref
from collections.abc import Sequence

import pytest

from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse
from meshbridge_xds.exchange import DeltaRequest, StateRequest
from meshbridge_xds.interest import Interest
from meshbridge_xds.requests import write_response
from meshbridge_xds.resources import Message, Resource, ResourceSet, ResourceType
from meshbridge_xds.subscription import Subscription
from meshbridge_xds.wire import packed_any

CLUSTERS = ResourceType("clusters")
ENDPOINTS = ResourceType("endpoints", whole=False, wildcard=False, part=25)


TEN_BYTES = packed_any("ten byte", b"")
"""A resource that is read as an Any of a type."""


def some(*names: str) -> ResourceSet:
    return ResourceSet({name: Resource(name, "1", TEN_BYTES) for name in names})


def first_answer(resources: ResourceSet, *, delta: bool) -> Message:
    """Return what a new subscriber of everything is sent."""
    subscription = Subscription(CLUSTERS, delta=delta)
    subscription.offer(resources)
    subscription.request(DeltaRequest() if delta else StateRequest())
    response = subscription.respond()
    assert response is not None
    return write_response("clusters", response, delta=delta)


@pytest.mark.parametrize("delta", [False, True])
def test_those_who_get_the_same_answer_share_its_bytes(*, delta: bool) -> None:
    """Until it has been sent to all of them."""
    offered = some("a", "b")
    one, other = first_answer(offered, delta=delta), first_answer(offered, delta=delta)
    assert one is other
    assert first_answer(offered, delta=not delta) is not one
    gone = weakref.ref(one)
    del one, other
    gc.collect()
    assert gone() is None


def test_what_was_offered_before_keeps_no_joined_bytes() -> None:
    """A subscriber that does not read holds an old offer, but not what was joined for it."""
    before = some("a", "b")
    assert before.joined(delta=False) is before.joined(delta=False)
    after = before.changed({"a": None})
    assert before.joined(delta=False) is not before.joined(delta=False)
    assert after.joined(delta=False) is after.joined(delta=False)


def test_those_who_ask_for_the_same_names_share_them() -> None:
    one, other, third = (Interest(wildcard=False) for _ in range(3))
    one.replace(["a", "b"])
    other.amend(DeltaRequest(("b", "a")), first=True)
    third.replace(["a", "c"])
    assert one.names is other.names
    assert third.names == {"a", "c"}


@pytest.mark.parametrize("delta", [False, True])
def test_a_large_answer_of_single_resources_is_given_in_parts(*, delta: bool) -> None:
    """Each when the one before it was answered, and with what is newest then."""
    subscription = Subscription(ENDPOINTS, delta=delta)
    offered = some(*"abcdefg")
    subscription.offer(offered)
    names = tuple("abcdefg")
    subscription.request(DeltaRequest(names) if delta else StateRequest(names))
    parts = list[list[str]]()
    while (response := subscription.respond()) is not None:
        parts.append([f"{name}{each.version}" for name, each in response.resources.items()])
        assert subscription.respond() is None
        if len(parts) == 1:
            offered = offered.changed({name: Resource(name, "2", TEN_BYTES) for name in "bf"})
            subscription.offer(offered)
        nonce = response.nonce
        subscription.request(DeltaRequest(nonce=nonce) if delta else StateRequest(names, nonce))
    assert parts == [["a1", "b1", "c1"], ["b2", "d1", "e1"], ["f2", "g1"]]
    # From now on it takes up no memory of its own.
    assert subscription.held is offered.listed


def test_what_is_told_again_in_parts_is_told_once() -> None:
    """Clusters of all endpoints were replaced: they are due again whatever is held."""
    subscription = Subscription(ENDPOINTS, delta=True)
    subscription.offer(some(*"abcd"))
    subscription.request(DeltaRequest(tuple("abcd")))
    told = list[str]()
    for turn in range(4):
        response = subscription.respond()
        assert response is not None
        told.extend(response.resources)
        subscription.request(DeltaRequest(nonce=response.nonce))
        if turn == 1:
            subscription.resend(frozenset("abcd"))
    assert told == [*"abcd", *"abcd"]
    assert subscription.respond() is None


def test_parts_of_what_many_ask_for_are_joined_once() -> None:
    """Whoever asks for exactly what is listed; not who asks for something else."""
    kind = ResourceType("endpoints", whole=False, wildcard=False, part=3000)
    names = [f"name-{number:04}" for number in range(400)]
    offered = some(*names)

    def answers(asked: Sequence[str]) -> list[Message]:
        subscription = Subscription(kind, delta=True)
        subscription.offer(offered)
        subscription.request(DeltaRequest(tuple(asked)))
        found = list[Message]()
        while (response := subscription.respond()) is not None:
            found.append(write_response("endpoints", response, delta=True))
            subscription.request(DeltaRequest(nonce=response.nonce))
        return found

    one, other, less = answers(names), answers(names), answers(names[::2])
    assert len(one) == 3
    # The last one is small: it is joined for each, as most responses are.
    assert [a is b for a, b in zip(one, other, strict=True)] == [True, True, False]
    assert not {id(each) for each in one} & {id(each) for each in less}
    for messages, asked in ((one, names), (less, names[::2])):
        read = [DeltaDiscoveryResponse.FromString(each.data) for each in messages]
        assert [each.name for response in read for each in response.resources] == list(asked)
