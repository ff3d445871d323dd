"""What an application's instances serve is told as their providers' own URLs would tell it."""

import json

import pytest

from meshbridge import BadData, Health, Instance, InstancePort, ServiceId
from meshbridge_dubbo import (
    ApplicationInstance,
    ApplicationMetadata,
    Exported,
    Level,
    Served,
    application_instance,
    exported,
    guessed_providers,
    parse_url,
    providers_of,
    read_mapping,
    read_metadata,
    read_provider,
)
from meshbridge_dubbo.interfaces import MOST_INTERFACES

PARAMS = {
    "application": "shop",
    "dubbo.tag": "gray",
    "group": "blue",
    "interface": "com.acme.Orders",
    "methods": "find",
    "owner": "ann",
    "region": "hz",
    "release": "3.3.6",
    "version": "1.0.0",
    "weight": "50",
    "zone": "z1",
}
INSTANCE = ApplicationInstance(
    "shop",
    Instance(
        "10.0.0.1:20880",
        "10.0.0.1",
        (InstancePort(20880, "dubbo"), InstancePort(50051, "tri")),
        registered_at=9.0,
    ),
)


def service(protocol: str = "dubbo", **changed: object) -> dict[str, object]:
    return {
        "name": "com.acme.Orders",
        "group": "blue",
        "version": "1.0.0",
        "protocol": protocol,
        "port": {"dubbo": 20880}.get(protocol, 50051),
        "path": "com.acme.Orders",
        "params": PARAMS,
        **changed,
    }


def metadata(**services: object) -> ApplicationMetadata:
    held = {"app": "shop", "revision": "4f2a", "services": services}
    return read_metadata(json.dumps(held).encode())


def served(**changed: object) -> Served:
    return providers_of(INSTANCE, metadata(one=service(**changed)))  # type: ignore[arg-type]


def told(data: object) -> str:
    with pytest.raises(BadData) as caught:
        read_metadata(json.dumps(data).encode())
    return str(caught.value)


def test_both_levels_tell_the_same_provider() -> None:
    providers = providers_of(INSTANCE, metadata(a=service("dubbo"), b=service("tri"))).providers
    query = "&".join(f"{key}={value}" for key, value in PARAMS.items()) + "&timestamp=9000"
    for found, scheme, port in zip(providers, ("dubbo", "tri"), (20880, 50051), strict=True):
        url = parse_url(f"{scheme}://10.0.0.1:{port}/com.acme.Orders?{query}")
        assert found == read_provider(url, Level.APPLICATION)
        assert found.instance.id == f"{scheme}://10.0.0.1:{port}"


def test_a_context_path_gives_the_same_id_at_both_levels() -> None:
    (provider,) = served(path="ctx/com.acme.Orders").providers
    assert provider.instance.id == "dubbo://10.0.0.1:20880/ctx/com.acme.Orders"


def test_a_port_that_the_metadata_leave_out_is_the_endpoints() -> None:
    for missing in (-1, 0, None):
        (provider,) = served(protocol="tri", port=missing).providers
        assert provider.instance.ports == (InstancePort(50051, "tri"),)
    (unknown,) = served(protocol="rest", port=-1).providers
    assert unknown.instance.ports == (InstancePort(20880, "rest"),)


def test_labels_of_the_instance_are_its_providers_too_and_the_interfaces_go_before() -> None:
    labelled = ApplicationInstance(
        "shop",
        Instance(
            "n", "10.0.0.1", (InstancePort(1, "dubbo"),), metadata=(("env", "a"), ("owner", "bob"))
        ),
    )
    (provider,) = providers_of(labelled, metadata(one=service())).providers
    pairs = dict(provider.instance.metadata)
    assert (pairs["env"], pairs["owner"]) == ("a", "ann")


def test_a_disabled_instance_disables_what_it_serves_and_no_rule_brings_it_back() -> None:
    off = ApplicationInstance(
        "shop",
        Instance("n", "10.0.0.1", (InstancePort(1, "dubbo"),), health=Health.DISABLED),
    )
    (provider,) = providers_of(off, metadata(one=service())).providers
    assert (provider.instance.health, provider.enabled) == (Health.DISABLED, False)


def test_an_interface_may_be_disabled_alone() -> None:
    (provider,) = served(params={"disabled": "true"}).providers
    assert (provider.instance.health, provider.enabled) == (Health.DISABLED, True)


def test_what_is_reachable_in_its_own_process_only_is_left_out() -> None:
    assert served(protocol="injvm") == Served(())


def test_metadata_may_lack_group_version_path_and_parameters() -> None:
    found = metadata(one={"name": "a.B", "protocol": "tri", "port": 1})
    assert found.exported == (Exported("a.B", "", "", "tri", 1, "a.B", {}),)
    (provider,) = providers_of(INSTANCE, found).providers
    assert provider.service == ServiceId("", "", "a.B")
    assert provider.application == "shop"


def test_the_metadata_services_answer_is_the_same_metadata() -> None:
    one = exported(
        name="com.acme.Orders",
        group="blue",
        version="1.0.0",
        protocol="dubbo",
        port=20880,
        path="com.acme.Orders",
        params=PARAMS,
    )
    assert (one,) == metadata(one=service()).exported


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"name": None}, "its name is '' and its protocol 'dubbo'"),
        ({"protocol": ""}, "its name is 'com.acme.Orders' and its protocol ''"),
        ({"name": 7}, "its name is 7, no text"),
        ({"group": []}, "its group is a list, no text"),
        ({"version": {}}, "its version is an object, no text"),
        ({"port": "1"}, "its port is '1', no port"),
        ({"path": 1}, "its path is 1, no text"),
        ({"params": []}, "its params is a list, no object"),
        ({"path": "p" * 513}, "its path is longer than 512 characters"),
        ({"protocol": "\x07"}, "its protocol holds characters that cannot be printed"),
    ],
)
def test_an_interface_that_cannot_be_read_spoils_itself_only(
    changed: dict[str, object], reason: str
) -> None:
    found = providers_of(INSTANCE, metadata(bad=service() | changed, good=service("tri")))
    assert [each.instance.id for each in found.providers] == ["tri://10.0.0.1:50051"]
    assert found.faults == (("bad", reason),)


def test_a_provider_that_cannot_be_told_spoils_itself_only_and_is_named_as_dubbo_does() -> None:
    heavy = service() | {"params": {"weight": "heavy"}}
    plain = {"name": "a.B", "protocol": "tri", "port": 1, "params": {"weight": "x"}}
    found = providers_of(INSTANCE, metadata(a=heavy, b=plain, c=service("tri")))
    assert len(found.providers) == 1
    assert found.faults == (
        ("blue/com.acme.Orders:1.0.0:dubbo", "its weight is 'heavy', no number"),
        ("a.B:tri", "its weight is 'x', no number"),
    )


def test_metadata_that_are_none_are_refused_with_the_reason() -> None:
    assert told([]) == "the metadata is a list, no object"
    assert told({"services": []}) == "its services is a list, no object"
    assert told({"app": 1}) == "its app is 1, no text"
    assert told({"revision": 1}) == "its revision is 1, no text"
    many: dict[str, object] = {str(number): None for number in range(MOST_INTERFACES + 1)}
    assert told({"services": many}) == f"it exports more than {MOST_INTERFACES} interfaces"
    assert read_metadata(b"{}") == ApplicationMetadata("", "", ())


def test_a_mapping_in_reverse_gives_each_interface_on_each_endpoint() -> None:
    found = guessed_providers(INSTANCE, ["com.acme.Stock", "com.acme.Orders"])
    assert [(each.service, each.instance.id, each.level) for each in found.providers] == [
        (ServiceId("", "", "com.acme.Orders"), "dubbo://10.0.0.1:20880", Level.APPLICATION),
        (ServiceId("", "", "com.acme.Orders"), "tri://10.0.0.1:50051", Level.APPLICATION),
        (ServiceId("", "", "com.acme.Stock"), "dubbo://10.0.0.1:20880", Level.APPLICATION),
        (ServiceId("", "", "com.acme.Stock"), "tri://10.0.0.1:50051", Level.APPLICATION),
    ]
    assert found.providers[0].application == "shop"
    assert found.providers[0].instance.registered_at == 9.0


def test_a_name_that_is_no_interface_spoils_itself_only() -> None:
    found = guessed_providers(INSTANCE, ["a\x00", "a.B"])
    assert [each.service.name for each in found.providers] == ["a.B", "a.B"]
    reason = "its interface holds characters that cannot be printed"
    assert found.faults == (("a\x00:dubbo", reason), ("a\x00:tri", reason))


def test_an_application_has_what_all_its_providers_agree_on() -> None:
    providers = providers_of(INSTANCE, metadata(a=service("dubbo"), b=service("tri"))).providers
    assert application_instance(INSTANCE, providers) == Instance(
        "10.0.0.1:20880",
        "10.0.0.1",
        (InstancePort(20880, "dubbo"), InstancePort(50051, "tri")),
        weight=0.5,
        metadata=(
            ("dubbo.tag", "gray"),
            ("owner", "ann"),
            ("region", "hz"),
            ("release", "3.3.6"),
            ("zone", "z1"),
        ),
        zone="hz/z1",
        registered_at=9.0,
    )


def test_an_application_has_nothing_of_what_they_differ_in() -> None:
    other = service("tri") | {"params": {"weight": "10", "owner": "ann", "zone": "z2"}}
    providers = providers_of(INSTANCE, metadata(a=service(), b=other)).providers
    found = application_instance(INSTANCE, providers)
    assert (found.weight, found.zone, found.metadata) == (1.0, "", (("owner", "ann"),))


def test_an_application_keeps_what_it_says_itself() -> None:
    own = Instance(
        "n", "10.0.0.1", (InstancePort(1, "dubbo"),), metadata=(("owner", "bob"),), zone="own"
    )
    itself = ApplicationInstance("shop", own)
    providers = providers_of(INSTANCE, metadata(a=service())).providers
    found = application_instance(itself, providers)
    assert (found.zone, dict(found.metadata)["owner"]) == ("own", "bob")
    assert application_instance(itself, ()) == own


def test_a_mapping_names_applications() -> None:
    assert read_mapping(b"shop, web,,shop") == {"shop", "web"}
    assert read_mapping(b"") == frozenset()


def test_the_address_of_the_client_that_made_a_mapping_is_no_application() -> None:
    assert read_mapping(b"10.0.0.9") == read_mapping(b"fe80::1") == frozenset()
    assert read_mapping(b"10.0.0.9,shop") == {"shop"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff", "the mapping is not UTF-8"),
        (b"shop,\x00", r"the mapping names '\x00', no application"),
        (b"a/b", "the mapping names 'a/b', no application"),
        (b"x" * (8 * 1024 * 1024 + 1), "the mapping is larger than 8388608 bytes"),
        (
            ",".join(map(str, range(2_001))).encode(),
            "the mapping names more than 2000 applications",
        ),
    ],
)
def test_a_mapping_that_cannot_be_read_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(BadData) as caught:
        read_mapping(data)
    assert str(caught.value) == reason
