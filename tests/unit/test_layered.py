"""A layered mapping is what a dictionary with the same history is, and its past stays as it was."""

from hypothesis import given
from hypothesis import strategies as st

from meshbridge.layered import Layered

keys = st.integers(0, 400)
touches = st.dictionaries(keys, st.one_of(st.none(), st.integers()), max_size=90)


@given(st.dictionaries(keys, st.integers()), st.lists(touches, max_size=9))
def test_it_holds_what_a_dictionary_would(
    first: dict[int, int], changes: list[dict[int, int | None]]
) -> None:
    """At every step, also once so much has changed that all of it is put into one."""
    layered, expected = Layered(first), dict(first)
    history = [(layered, dict(expected))]
    for touched in changes:
        layered = layered.changed(touched)
        expected.update({key: value for key, value in touched.items() if value is not None})
        for gone in (key for key, value in touched.items() if value is None):
            expected.pop(gone, None)
        history.append((layered, dict(expected)))
    for made, wanted in history:
        assert dict(made) == wanted
        assert len(made) == len(wanted)
        assert {key for key in range(401) if key in made} == wanted.keys()


def test_what_was_taken_away_is_not_found() -> None:
    layered = Layered({"a": 1, "b": 2}).changed({"a": None})
    assert layered.get("a") is None
    assert layered["b"] == 2
    assert list(layered) == ["b"]
