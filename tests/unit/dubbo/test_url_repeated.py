"""A URL is read alike as a whole and as the name of a node, of which most was read before."""

from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbridge import BadData
from meshbridge_dubbo import Provider, parse_url, provider_named, read_provider

PLAIN = "dubbo://10.0.0.1:20880/com.acme.Orders?"

keys = st.sampled_from(
    ["timestamp", "pid", "a", "default.timestamp", "b.timestamp", "timestamps", "%74imestamp", ""]
)
values = st.sampled_from(["5", "67", "x", "", "1%2C2", "5;pid=8", "%35", "?9", "5=5"])
pairs = st.lists(st.tuples(keys, values), max_size=6)
queries = pairs.map(lambda told: "&".join(f"{key}={value}" for key, value in told))
pieces = st.sampled_from(
    [
        *("dubbo", "consumer", "%3A%2F%2F", "%2F", "%3F", "%26", "%3D", "%3A", "%40", "%23"),
        *("%3B", "%25", "://", "?", "/", ":", "@", "+", "%", "%zz", "%00", "%C3%A4", "#"),
        *("10.0.0.1", "h-1.local", "%5B%3A%3A1%5D", "20880", "70000", "-1", "0", "x" * 300),
        *("com.acme.Orders", "timestamp", "pid", "default.timestamp", "interface", "5"),
        *("%26timestamp%3D1767225600000", "%26pid%3D7", "%26weight%3D5", "dubbo%3A%2F%2Fh%2F"),
    ]
)
names = st.lists(pieces, max_size=14).map("".join) | queries.map(
    lambda query: quote(PLAIN + query, safe="")
)


def as_a_whole(name: str) -> str:
    """Return a name that says the same, and of which nothing was read before."""
    return name.replace("%3A", "%3a", 1)


def outcome(name: str) -> str:
    """Return what the name tells or why it does not; what is not decoded keeps its escapes."""
    try:
        url = parse_url(name)
    except BadData as bad:
        return str(bad).lower()
    return repr(replace(url, parameters=dict(sorted(url.parameters.items())))).lower()


def provider(name: str) -> Provider | None:
    try:
        return read_provider(parse_url(name))
    except BadData:
        return None


@given(queries, st.sampled_from(["", "?"]))
def test_the_name_of_a_node_says_what_its_url_says(query: str, mark: str) -> None:
    """Whatever stands in it twice, is encoded twice, or only looks like a moment."""
    url = f"{PLAIN}{mark}{query}"
    assert parse_url(quote(url, safe="")) == parse_url(url)


@given(names)
def test_what_names_have_in_common_changes_nothing_of_what_each_tells(name: str) -> None:
    assert outcome(name) == outcome(as_a_whole(name))
    assert provider_named(name) in {None, provider(as_a_whole(name))}


@pytest.mark.parametrize(
    "url",
    [
        PLAIN,
        "tri://[fd00::1]:50051/com.acme.Orders?a=b&timestamp=1",
        "rest://10.0.0.1:20880/context/com.acme.Orders?interface=com.acme.Orders&timestamp=1",
        "dubbo://10.0.0.1:20880/com.acme.Orders?ext.protocol=tri,rest&ssl-enabled=true&pid=5",
        "dubbo://10.0.0.1:20880/com.acme.Orders?disabled=true&weight=50&zone=a&timestamp=1&pid=2",
        "dubbo://10.0.0.1:20880/com.acme.Orders?enabled=false&methods=a,b&prefer.serialization=x",
        "dubbo://10.0.0.1:20880/com.acme.Orders?default.timestamp=7&timestamp=1&b=%2526",
    ],
)
def test_providers_of_a_kind_are_each_read_as_they_would_be_alone(url: str) -> None:
    for address in ("10.0.0.1:20880", "10.0.0.2:20880", "shop-1.local:20881"):
        for began in ("timestamp=1", "timestamp=1767225600000", "timestamp=x"):
            told = url.replace("10.0.0.1:20880", address).replace("timestamp=1", began)
            name = quote(told, safe="")
            assert provider_named(name) in {None, provider(as_a_whole(name))}
            assert parse_url(name) == parse_url(told)


def test_providers_as_dubbo_writes_them_are_told_apart() -> None:
    """Though all but their addresses and when they began is read once."""
    first, second = (
        provider_named(quote(url, safe=""))
        for url in (
            "dubbo://10.0.0.1:20881/com.acme.Orders?a=b&timestamp=51&z=1",
            "dubbo://10.0.0.2:20882/com.acme.Orders?a=b&timestamp=52&z=1",
        )
    )
    assert first is not None
    assert second is not None
    assert first.service == second.service
    assert (first.instance.id, second.instance.id) == (
        "dubbo://10.0.0.1:20881",
        "dubbo://10.0.0.2:20882",
    )
    assert (first.instance.registered_at, second.instance.registered_at) == (0.051, 0.052)
    assert [port.number for port in second.instance.ports] == [20882]


@pytest.mark.parametrize(
    "url",
    [
        "dubbo://10.0.0.1/com.acme.Orders?a=b",
        "consumer://10.0.0.1:1/com.acme.Orders?a=b",
        "dubbo://10.0.0.1:1/com.acme.Orders?weight=much",
        "dubbo://10.0.0.1:1/com.acme.Orders?a=b&timestamp=5&timestamp=6",
        "dubbo://10.0.0.1:1/com.acme.Orders?a=b&timestamp=5x",
        "dubbo://10.0.0.1:70000/com.acme.Orders?a=b",
    ],
)
def test_what_is_no_provider_or_an_odd_one_is_read_by_itself(url: str) -> None:
    assert provider_named(quote(url, safe="")) is None


def test_a_name_that_holds_a_plain_url_is_read_as_such() -> None:
    name = "dubbo%3A%2F%2Fh%3A1%2Fa.B%3Fseen%3Dhttp://10.0.0.9:80/x"
    assert provider_named(name) is None
    assert parse_url(name).endpoint == "10.0.0.9:80"


def test_a_question_mark_in_small_letters_ends_the_path_too() -> None:
    assert parse_url("dubbo%3a%2f%2fa%3a1%2fX%3fa%3d1%3F").parameters == {"a": "1?"}
    assert parse_url("dubbo%3a%2f%2fa%3a1%2fX?a=1").parameters == {"a": "1"}
