"""What a subscriber asks for: the names and the wildcard, and what a request changes of them."""

import pytest

from meshbridge_xds.exchange import MOST_NAMES, DeltaRequest, RequestRefused
from meshbridge_xds.interest import Change, Interest
from meshbridge_xds.resources import Resource, ResourceSet

HIDDEN = Resource("hidden", "1", b"body")
OFFERED = ResourceSet(
    {name: Resource(name, "1", b"body") for name in "ab"},
    lambda name: HIDDEN if name == "hidden" else None,
)


def test_names_and_the_wildcard_may_be_asked_for_together() -> None:
    """What is served by name only is never served to the wildcard."""
    interest = Interest(wildcard=True)
    begun = interest.replace(())
    assert (begun.wildcard_begun, interest.is_all(OFFERED)) == (True, True)
    assert interest.pick(OFFERED, "a") is OFFERED.listed["a"]
    assert interest.pick(OFFERED, "hidden") is None
    both = interest.replace(("*", "hidden"))
    assert both == Change({"hidden"}, set(), wildcard_begun=False, wildcard_ended=False)
    assert interest.pick(OFFERED, "hidden") is HIDDEN
    assert not interest.is_all(OFFERED)
    assert interest.wanted(OFFERED) == {"a", "b", "hidden"}
    assert interest.covers({"stranger"})
    named = interest.replace(("a",))
    assert named == Change({"a"}, {"hidden"}, wildcard_begun=False, wildcard_ended=True)
    assert interest.wanted(OFFERED) == interest.among({"a", "stranger"}) == {"a"}
    assert interest.pick(OFFERED, "b") is None
    assert not interest.covers({"a", "b"})


def test_a_name_given_up_and_taken_up_in_one_request_is_both() -> None:
    interest = Interest(wildcard=False)
    interest.amend(DeltaRequest(("a", "b")), first=True)
    change = interest.amend(DeltaRequest(("a",), ("a", "b", "*")), first=False)
    assert change == Change({"a"}, {"a", "b"}, wildcard_begun=False, wildcard_ended=False)
    assert interest.names == {"a"}


@pytest.mark.parametrize("wildcard", [True, False])
def test_only_a_first_request_without_names_falls_back_on_the_wildcard(*, wildcard: bool) -> None:
    """And only for the types that have one."""
    interest = Interest(wildcard=wildcard)
    assert interest.amend(DeltaRequest(), first=True).wildcard_begun is wildcard
    ended = interest.amend(DeltaRequest(unsubscribe=("*",)), first=False)
    assert ended.wildcard_ended is wildcard
    assert not interest.amend(DeltaRequest(), first=False).wildcard_begun


def test_a_refused_request_leaves_what_was_asked_for() -> None:
    interest = Interest(wildcard=False)
    interest.replace(("a",))
    many = tuple(str(number) for number in range(MOST_NAMES))
    with pytest.raises(RequestRefused):
        interest.amend(DeltaRequest(many), first=False)
    with pytest.raises(RequestRefused):
        interest.replace((*many, "a"))
    assert interest.names == {"a"}
