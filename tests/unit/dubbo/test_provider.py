"""A provider's URL becomes an instance of its interface; a consumer's says who asks for what."""

import sys

import pytest

from meshbridge import BadData, Consumer, Health, Instance, InstancePort, ServiceId
from meshbridge_dubbo import (
    Level,
    Provider,
    asks_for,
    not_a_provider,
    parse_url,
    read_consumer,
    read_provider,
)
from meshbridge_dubbo.parameters import LONGEST, MOST


def read(parameters: str = "", url: str = "dubbo://10.0.0.1:20880/com.acme.Orders") -> Provider:
    return read_provider(parse_url(f"{url}?{parameters}"))


def instance(parameters: str = "", url: str = "dubbo://10.0.0.1:20880/com.acme.Orders") -> Instance:
    return read(parameters, url).instance


def refused(parameters: str = "", url: str = "dubbo://10.0.0.1:20880/com.acme.Orders") -> str:
    with pytest.raises(BadData) as caught:
        read(parameters, url)
    return str(caught.value)


def test_a_provider_is_read_whole() -> None:
    url = (
        "dubbo://10.0.0.1:20880/com.acme.Orders?anyhost=true&application=shop&category=providers"
        "&dubbo=2.0.2&dubbo.tag=gray&dynamic=true&env=prod&generic=false&group=blue"
        "&interface=com.acme.Orders&methods=find,save&owner=ann&pid=7&prefer.serialization=hessian2"
        "&region=hz&release=3.3.6&save.timeout=100&side=provider&timestamp=1767225600500"
        "&token=secret&version=1.0.0&warmup=60000&weight=50&zone=z1"
    )
    assert read_provider(parse_url(url)) == Provider(
        ServiceId("", "blue", "com.acme.Orders", "1.0.0"),
        "shop",
        Instance(
            id="dubbo://10.0.0.1:20880",
            address="10.0.0.1",
            ports=(InstancePort(20880, "dubbo"),),
            weight=0.5,
            metadata=(
                ("application", "shop"),
                ("dubbo.tag", "gray"),
                ("env", "prod"),
                ("group", "blue"),
                ("owner", "ann"),
                ("region", "hz"),
                ("release", "3.3.6"),
                ("version", "1.0.0"),
                ("warmup", "60000"),
                ("zone", "z1"),
            ),
            zone="hz/z1",
            registered_at=1_767_225_600.5,
        ),
        methods="find,save",
        serialization="hessian2",
    )


@pytest.mark.parametrize("scheme", ["dubbo", "tri", "rest", "grpc", "hessian", "http", "thrift"])
def test_each_protocol_is_kept_as_registered(scheme: str) -> None:
    found = instance(url=f"{scheme}://10.0.0.1:1/com.acme.Orders")
    assert found.ports == (InstancePort(1, scheme),)
    assert found.id == f"{scheme}://10.0.0.1:1"


def test_a_context_path_is_part_of_the_id_and_not_of_the_interface() -> None:
    provider = read("interface=com.acme.Orders", "rest://[fd00::1]:80/ctx/com.acme.Orders")
    assert provider.instance.id == "rest://[fd00::1]:80/ctx/com.acme.Orders"
    assert provider.service.name == "com.acme.Orders"
    assert instance("interface=com.acme.Orders", "rest://h:80").id == "rest://h:80"


def test_ssl_makes_the_port_secure_and_so_does_a_scheme_that_is() -> None:
    assert instance("ssl-enabled=true").ports[0].secure
    assert not instance("ssl-enabled=false").ports[0].secure
    assert instance(url="https://10.0.0.1:443/com.acme.Orders").ports[0].secure


def test_further_protocols_on_the_same_port_are_ports_of_their_own() -> None:
    assert instance("ext.protocol=tri,dubbo,,rest,tri").ports == (
        InstancePort(20880, "dubbo"),
        InstancePort(20880, "tri"),
        InstancePort(20880, "rest"),
    )


def test_version_0_0_0_is_no_version() -> None:
    assert read("version=0.0.0").service == ServiceId("", "", "com.acme.Orders")


@pytest.mark.parametrize(
    ("parameters", "health", "enabled"),
    [
        ("", Health.HEALTHY, True),
        ("disabled=&enabled=", Health.HEALTHY, True),
        ("disabled=false&enabled=TRUE", Health.HEALTHY, True),
        ("disabled=true", Health.DISABLED, True),
        ("enabled=false", Health.DISABLED, False),
        ("disabled=false&enabled=false", Health.DISABLED, False),
        ("enabled=yes", Health.DISABLED, False),
    ],
)
def test_disabled_and_enabled_are_read_as_java_reads_them(
    parameters: str, health: Health, *, enabled: bool
) -> None:
    provider = read(parameters)
    assert (provider.instance.health, provider.enabled) == (health, enabled)


@pytest.mark.parametrize(
    ("text", "weight"), [("", 1.0), ("100", 1.0), ("0", 0.0), ("250", 2.5), ("-5", -0.05)]
)
def test_a_hundred_is_the_normal_weight(text: str, weight: float) -> None:
    assert instance(f"weight={text}").weight == weight


@pytest.mark.parametrize("text", ["heavy", "1.5", "9" * 19, "-", "１"])  # noqa: RUF001 - no digit
def test_a_weight_that_is_no_number_is_refused(text: str) -> None:
    assert refused(f"weight={text}") == f"its weight is '{text}', no number"


@pytest.mark.parametrize("text", ["", "soon", "0", "-1", "9" * 17])
def test_a_timestamp_that_is_no_moment_is_left_out(text: str) -> None:
    assert instance(f"timestamp={text}").registered_at is None


@pytest.mark.parametrize(
    ("parameters", "zone"),
    [
        ("region=hz&zone=z1", "hz/z1"),
        ("region=hz", "hz/"),
        ("zone=z1", "z1"),
        ("region=hz&zone=hz/z1", "hz/z1"),
        ("", ""),
        (f"zone={'z' * 300}", ""),
    ],
)
def test_region_and_zone_are_one_place(parameters: str, zone: str) -> None:
    assert instance(parameters).zone == zone


def test_what_is_kept_of_the_parameters_is_bounded() -> None:
    many = "&".join(f"key{number:03}=v" for number in range(2 * MOST))
    assert instance(many).metadata == tuple((f"key{number:03}", "v") for number in range(MOST))
    assert instance(f"long={'v' * (LONGEST + 1)}&{'k' * (LONGEST + 1)}=v").metadata == ()
    assert instance("bell=%07&b%07=x&empty=").metadata == ()
    assert read(f"methods={'m,' * 3_000}").methods == ""


def test_equal_metadata_of_two_providers_are_one_value() -> None:
    one = instance("application=shop&owner=ann")
    other = instance("owner=ann&application=shop", "tri://10.0.0.2:1/com.acme.Stock")
    assert one.metadata is other.metadata


def test_a_text_that_providers_repeat_is_one_value_and_none_of_the_interpreters_own() -> None:
    """Python 3.12 keeps what is interned for ever, and registries hold ever new texts."""
    parameters = "application=shop&methods=ever,new&prefer.serialization=ever-new"
    address = "dubbo://10.0.0.{}:1/com.acme.Orders"
    one, other = (read(parameters, address.format(each)) for each in (1, 2))
    assert one.application is other.application
    assert one.methods is other.methods
    assert one.serialization is other.serialization
    for text in (one.methods, one.serialization):
        copy = "".join(list(text))
        assert sys.intern(copy) is copy, "it was not interned before"


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("override://0.0.0.0/a.B?weight=1", "a configurator"),
        ("absent://0.0.0.0/a.B?weight=1", "a configurator"),
        ("condition://0.0.0.0/a.B?rule=x", "a routing rule"),
        ("tag://0.0.0.0/a.B", "a routing rule"),
        ("script://0.0.0.0/a.B", "a routing rule"),
        ("route://0.0.0.0/a.B", "a routing rule"),
        ("consumer://10.0.0.1/a.B", "a consumer"),
        ("empty://0.0.0.0/a.B?category=providers", "Dubbo's sign for an empty list"),
        ("injvm://127.0.0.1/a.B", "reachable inside of its own process only"),
        ("dubbo://h:1/a.B?category=configurators", "a configurator"),
        ("dubbo://h:1/a.B?category=routers", "a routing rule"),
        ("dubbo://h:1/a.B?category=consumers", "a consumer"),
        ("dubbo://h:1/a.B?category=providers", None),
        ("dubbo://h:1/a.B", None),
        ("anything://h:1/a.B", None),
    ],
)
def test_what_is_no_provider_says_what_it_is(url: str, what: str | None) -> None:
    assert not_a_provider(parse_url(url)) == what
    if what is not None:
        with pytest.raises(BadData) as caught:
            read_provider(parse_url(url))
        assert str(caught.value) == f"it is no provider but {what}"


def test_a_provider_without_a_port_or_an_interface_is_refused() -> None:
    assert refused(url="dubbo://10.0.0.1/a.B") == "it has no port"
    assert refused(url="dubbo://10.0.0.1:1") == "it names no interface"


def test_a_provider_of_everything_is_refused() -> None:
    assert refused("group=*") == "it is registered for every service: '*@@com.acme.Orders'"
    assert "every service" in refused("version=*")
    assert "every service" in refused("interface=*")


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("interface", "interface"),
        ("group", "group"),
        ("version", "version"),
        ("application", "application"),
        ("ext.protocol", "protocol"),
    ],
)
def test_names_are_bounded_and_printable(key: str, what: str) -> None:
    assert refused(f"{key}={'x' * 513}") == f"its {what} is longer than 512 characters"
    assert refused(f"{key}=x%00") == f"its {what} holds characters that cannot be printed"


def test_the_level_is_the_callers_to_say() -> None:
    url = parse_url("dubbo://10.0.0.1:1/a.B")
    assert read_provider(url).level is Level.INTERFACE
    assert read_provider(url, Level.APPLICATION).level is Level.APPLICATION


def test_a_consumer_says_what_it_asks_for_and_who_it_is() -> None:
    url = parse_url(
        "consumer://10.0.0.9/com.acme.Orders?application=web&category=consumers&check=false"
        "&group=*&interface=com.acme.Orders&methods=find&pid=7&side=consumer&version=1.0.0"
    )
    assert read_consumer(url) == (
        ServiceId("", "*", "com.acme.Orders", "1.0.0"),
        Consumer(
            "10.0.0.9#web#7",
            "10.0.0.9",
            "web",
            (("application", "web"), ("group", "*"), ("version", "1.0.0")),
        ),
    )


def test_a_consumer_without_a_process_id_is_told_by_its_start() -> None:
    _, consumer = read_consumer(parse_url("consumer://10.0.0.9/a.B?application=web&timestamp=5"))
    assert consumer.id == "10.0.0.9#web#5"


def test_a_provider_is_no_consumer() -> None:
    with pytest.raises(BadData, match="it is no consumer but a URL of 'dubbo'"):
        read_consumer(parse_url("dubbo://10.0.0.1:1/a.B"))


@pytest.mark.parametrize(
    ("asked", "gets"),
    [
        (ServiceId("", "blue", "a.B", "1"), True),
        (ServiceId("", "*", "a.B", "*"), True),
        (ServiceId("", "green,blue", "a.B", "1"), True),
        (ServiceId("", "blue", "*", "1"), True),
        (ServiceId("", "", "a.B", "1"), False),
        (ServiceId("", "green", "a.B", "1"), False),
        (ServiceId("", "blue", "a.B", "2"), False),
        (ServiceId("", "blue", "a.C", "1"), False),
    ],
)
def test_a_consumer_gets_what_dubbo_would_give_it(asked: ServiceId, *, gets: bool) -> None:
    assert asks_for(asked, ServiceId("", "blue", "a.B", "1")) is gets
