"""A URL is read alike as a whole and as the name of a node, of which most was read before."""

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from meshbridge_dubbo.url import parse_url

keys = st.sampled_from(
    ["timestamp", "pid", "a", "default.timestamp", "b.timestamp", "timestamps", "%74imestamp", ""]
)
values = st.sampled_from(["5", "67", "x", "", "1%2C2", "5;pid=8", "%35", "?9", "5=5"])
pairs = st.lists(st.tuples(keys, values), max_size=6)


@given(pairs, st.sampled_from(["", "?"]))
def test_the_name_of_a_node_says_what_its_url_says(told: list[tuple[str, str]], mark: str) -> None:
    """Whatever stands in it twice, is encoded twice, or only looks like a moment."""
    query = "&".join(f"{key}={value}" for key, value in told)
    url = f"dubbo://10.0.0.1:20880/com.acme.Orders?{mark}{query}"
    assert parse_url(quote(url, safe="")) == parse_url(url)


def test_providers_that_differ_in_when_they_began_are_told_apart() -> None:
    """Though all else of their parameters is read once."""
    names = [
        quote(f"dubbo://10.0.0.{n}:20880/com.acme.Orders?a=b&timestamp={n}&z=1", safe="")
        for n in (1, 2)
    ]
    first, second = (parse_url(name).parameters for name in names)
    assert list(first.items()) == [("a", "b"), ("timestamp", "1"), ("z", "1")]
    assert second["timestamp"] == "2"


def test_a_question_mark_in_small_letters_ends_the_path_too() -> None:
    assert parse_url("dubbo%3a%2f%2fa%3a1%2fX%3fa%3d1%3F").parameters == {"a": "1?"}
    assert parse_url("dubbo%3a%2f%2fa%3a1%2fX?a=1").parameters == {"a": "1"}
