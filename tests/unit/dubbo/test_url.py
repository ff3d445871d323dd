"""A URL of Dubbo's, as the name of a node or plain, is read as Dubbo reads it."""

import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbridge import BadData
from meshbridge_dubbo import Url, parse_url

ALIKE = "abcXYZ019.-_"
VALUES = st.text(
    st.characters(exclude_characters="&;%", exclude_categories=["Cc", "Cs"]), min_size=1
)
KEYS = st.text(ALIKE, min_size=1).filter(lambda key: not key.startswith("default."))
HOSTS = st.one_of(
    st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str), st.sampled_from(["shop-1.local"])
)
URLS = st.builds(
    Url,
    st.sampled_from(["dubbo", "tri", "rest", "hessian", "grpc", "http", "thrift"]),
    HOSTS,
    st.integers(1, 65_535),
    st.sampled_from(["com.acme.Orders", "ctx/com.acme.Orders", "接口/Ä", ""]),
    st.dictionaries(KEYS, VALUES),
)


def plain(url: Url, pairs: list[tuple[str, str]]) -> str:
    query = "&".join(f"{key}={value}" for key, value in pairs)
    return f"{url}?{query}" if query else str(url)


def as_java_writes(url: Url) -> str:
    text = plain(url, sorted(url.parameters.items()))
    return quote_plus(text, safe="*")


def as_go_writes(url: Url) -> str:
    pairs = [(key, quote_plus(value)) for key, value in sorted(url.parameters.items())]
    return quote_plus(plain(url, pairs))


def refused(name: str) -> str:
    with pytest.raises(BadData) as caught:
        parse_url(name)
    return str(caught.value)


@given(URLS)
def test_what_java_writes_is_read_back(url: Url) -> None:
    assert parse_url(as_java_writes(url)) == url


@given(URLS)
def test_what_is_written_plainly_is_read_back(url: Url) -> None:
    assert parse_url(plain(url, list(url.parameters.items()))) == url


@given(
    URLS,
    st.text(st.characters(exclude_characters=" ", exclude_categories=["Cc", "Cs"]), min_size=1),
)
def test_values_that_go_encodes_a_second_time_are_read_back(url: Url, value: str) -> None:
    parameters = {key: each.replace(" ", "_") for key, each in url.parameters.items()}
    written = Url(url.protocol, url.address, url.port, url.path, parameters | {"note": value})
    if "%" not in value and not any("%" in each for each in parameters.values()):
        assert parse_url(as_go_writes(written)) == written


def test_an_escaped_ampersand_within_a_value_survives_the_second_encoding() -> None:
    name = quote(quote("dubbo://10.0.0.1:1/a.B?k=", safe="") + quote("x&y=z", safe=""), safe="")
    once = quote("dubbo://10.0.0.1:1/a.B?k=" + quote("x&y=z", safe=""), safe="")
    assert parse_url(once).parameters == {"k": "x&y=z"}
    assert "no URL" in refused(name)


def test_digits_of_escapes_may_be_large_or_small() -> None:
    assert parse_url("dubbo%3a%2F%2f10.0.0.1%3A1%2fa.B%3Fk%3dv").parameters == {"k": "v"}


def test_an_ipv6_address_loses_its_brackets_and_gets_them_back_for_people() -> None:
    url = parse_url("tri://[fd00::1]:50051/a.B")
    assert (url.address, url.port, str(url)) == ("fd00::1", 50051, "tri://[fd00::1]:50051/a.B")


def test_an_ipv6_address_without_brackets_ends_at_the_last_colon() -> None:
    url = parse_url("dubbo://fd00::1:20880/a.B")
    assert (url.address, url.port) == ("fd00::1", 20880)


def test_a_url_may_lack_port_path_and_parameters() -> None:
    assert parse_url("consumer://10.0.0.1") == Url("consumer", "10.0.0.1", 0, "", {})
    assert parse_url("consumer://[::1]/a.B").port == 0
    assert str(parse_url("consumer://10.0.0.1/a.B")) == "consumer://10.0.0.1/a.B"


def test_user_password_and_what_follows_a_hash_are_dropped() -> None:
    url = parse_url("dubbo://ann:secret@10.0.0.1:20880/a.B#later?k=v")
    assert url == Url("dubbo", "10.0.0.1", 20880, "a.B", {"k": "v"})


def test_the_interface_is_the_parameter_or_else_the_path() -> None:
    assert parse_url("dubbo://h:1/ctx/a.B?interface=a.B").interface == "a.B"
    assert parse_url("dubbo://h:1/a.B?interface=").interface == "a.B"
    assert parse_url("dubbo://h:1/a.B").interface == "a.B"


def test_a_plain_parameter_goes_before_its_default_of_dubbo_2_6() -> None:
    url = parse_url("dubbo://h:1/a.B?default.weight=10&weight=20&default.group=g&default.=x")
    assert url.parameters == {"weight": "20", "group": "g"}


def test_semicolons_part_parameters_and_empty_ones_are_none() -> None:
    assert parse_url("dubbo://h:1/a.B?&a=1;b=2&=3&c").parameters == {"a": "1", "b": "2", "c": ""}


def test_a_per_cent_sign_that_begins_no_escape_stays_in_a_value() -> None:
    assert parse_url("dubbo://h:1/a.B?share=100%&of=5%zz&b=%ff").parameters == {
        "share": "100%",
        "of": "5%zz",
        "b": "%ff",
    }


def test_letters_beyond_ascii_are_utf_8() -> None:
    assert parse_url("dubbo%3A%2F%2Fh%3A1%2Fa.B%3Fowner%3D%E5%BC%A0").parameters == {"owner": "张"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "it is no URL, which begins like dubbo://: ''"),
        ("10.99.0.1", "it is no URL, which begins like dubbo://: '10.99.0.1'"),
        ("://h:1/a", "it is no URL, which begins like dubbo://: '://h:1/a'"),
        ("a/b://h", "it is no URL, which begins like dubbo://: 'a/b://h'"),
        ("dubbo://", "it has no address"),
        ("dubbo://:1/a.B", "it has no address"),
        ("dubbo://[]:1/a.B", "it has no address"),
        ("dubbo://[::1:1/a.B", "its address is '[::1:1': a bracket does not close"),
        ("dubbo://[::1]1/a.B", "its address is '[::1]1': a bracket does not close"),
        ("dubbo://h:x/a.B", "its port is 'x', not 1 to 65535"),
        ("dubbo://h:65536/a.B", "its port is '65536', not 1 to 65535"),
        ("dubbo://h:-1/a.B", "its port is '-1', not 1 to 65535"),
        ("dubbo://h:" + "9" * 5_000, "what stands before its parameters is longer than 512"),
        ("dubbo://h:１/a.B", "its port is '１', not 1 to 65535"),  # noqa: RUF001 - no digit to Java
        ("dubbo%3A%2F%2Fh%3", "'%3' in it is no escape"),
        ("dubbo%3A%2F%2Fh%zz", "'%zz' in it is no escape"),
        ("dubbo%3A%2F%2Fh%FF", "its escapes are no UTF-8"),
        ("dubbo%3A%2F%2Fh%C3%A4\udcff", "its escapes are no UTF-8"),
        ("dubbo%3A%2F%2Fh%3A1%2Fa%00b", "it holds characters that cannot be printed"),
        ("x" * 65_537, "the URL is longer than 65536 characters"),
    ],
)
def test_what_is_no_url_is_refused_with_the_reason(name: str, reason: str) -> None:
    assert refused(name) == reason


def test_reading_takes_a_time_in_proportion_to_the_length() -> None:
    """The bounds are ten times what it takes, because machines differ."""
    url = Url("dubbo", "10.0.0.1", 20880, "com.acme.Orders", {f"key{n}": "v" for n in range(18)})
    name = as_java_writes(url)
    begun = time.process_time()
    for _ in range(10_000):
        parse_url(name)
    assert time.process_time() - begun < 1.5
    many = plain(url, [(f"k{n}", "%") for n in range(8_000)])
    begun = time.process_time()
    parse_url(many)
    assert time.process_time() - begun < 0.5
