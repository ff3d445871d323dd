"""Texts that registrations repeat take one place, and what repeats no more is let go."""

import sys
from weakref import WeakSet

from meshbridge import Instance, RegisteredService, ServiceId, metadata, repeated
from meshbridge.repeated import LONGEST, MOST
from meshbridge.store.record import decoded_service, encoded

MANY = 5 * MOST // 200
"""Texts of 200 characters that are more than twice what is kept."""


class Noted(str):
    """A text of which it can be told whether it is still there."""

    __slots__ = ("__weakref__",)


def anew(text: str) -> str:
    """Return an equal text that is another object."""
    return "".join(list(text))


def test_pairs_that_repeat_are_the_same_objects() -> None:
    one, other = (metadata({anew("zone"): anew("hz-1"), "name": each}) for each in ("a", "b"))
    assert one == (("name", "a"), ("zone", "hz-1"))
    assert one[1] is other[1]


def test_texts_that_repeat_in_other_pairs_are_the_same_objects() -> None:
    (one,), (other,) = (metadata({anew(key): anew("com.acme.Orders")}) for key in ("path", "at"))
    assert one[1] is other[1]


def test_long_texts_that_repeat_are_the_same_objects_too() -> None:
    """Dubbo tells all methods of an interface with each provider."""
    methods = "list,place," * 500
    (one,), (other,) = (metadata({"methods": anew(methods)}) for _ in range(2))
    assert one is other


def test_what_is_repeated_stays_the_same_object_while_all_else_changes() -> None:
    first = metadata({"zone": "hz-1"})[0]
    for number in range(MOST // 20):
        pairs = metadata({"zone": anew("hz-1"), "timestamp": f"changes {number}"})
        assert pairs[1] is first


def test_pairs_of_which_one_thing_has_very_many_are_sorted_and_not_looked_for() -> None:
    """That would take ten times as long, and they repeat nowhere."""
    many = {anew(f"key {number:04}"): anew("hz-1") for number in range(999, -1, -1)}
    one, other = metadata(many), metadata({anew(key): anew(value) for key, value in many.items()})
    assert one == other == tuple(sorted(many.items()))
    assert one[0] is not other[0]


def test_texts_that_change_for_ever_are_let_go() -> None:
    alive = WeakSet[Noted]()
    for number in range(MANY):
        value, word = Noted(f"text {number:200}"), Noted(f"word {number:200}")
        alive.update((value, word))
        metadata({"trace": value})
        repeated.text(word)
    assert len(alive) < MANY


def test_keys_that_change_for_ever_are_let_go() -> None:
    alive = WeakSet[Noted]()
    for number in range(MANY):
        key = Noted(f"key {number:200}")
        alive.add(key)
        metadata({key: "x"})
    assert len(alive) < MANY // 2


def test_what_is_longer_than_anybody_repeats_is_not_kept_at_all() -> None:
    value = Noted("v" * (LONGEST + 1))
    alive = WeakSet([value])
    assert metadata({"key": value}) == (("key", "v" * (LONGEST + 1)),)
    del value
    assert not alive


def test_no_text_of_a_registration_becomes_the_interpreters_own() -> None:
    """Python 3.12 keeps what is interned for ever."""
    texts = [f"never interned {each}" for each in ("key", "value", "zone", "group")]
    key, value, zone, group = texts
    instance = Instance("i", "10.0.0.1", (), metadata=metadata({key: value}), zone=zone)
    service = RegisteredService(ServiceId("", group, "orders"), (instance,))
    assert decoded_service(encoded(service, b"orders"), b"orders") == service
    for text in texts:
        copy = anew(text)
        assert sys.intern(copy) is copy, "it was not interned before"
