"""How the mesh knows an endpoint: its names in telemetry, its sidecar, and where it can be seen."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from meshbridge.problems import ProblemKind
from meshbridge.publish import Published, PublishRules, Registry, publish
from meshbridge.publish.labels import CANONICAL_NAME, CANONICAL_REVISION
from meshbridge.registration import (
    Health,
    Instance,
    InstancePort,
    RegisteredService,
    ServiceId,
    metadata,
)
from meshbridge.service import Endpoint

PLAIN = Instance("plain", "10.0.0.1", (InstancePort(8080, "http"),))
MESHED = replace(PLAIN, id="meshed", address="10.0.0.2", metadata=metadata({"sidecar": "true"}))
TLS = "security.istio.io/tlsMode"


Rules = Mapping[str, object]
NONE: Rules = {}


def published(
    *instances: Instance, rules: Rules = NONE, name: str = "orders", names: bool = False
) -> Published:
    registry = Registry("shop", 0, PublishRules.model_validate({"domain": "nacos", **rules}))
    service = RegisteredService(ServiceId("", "", name), instances)
    result = publish(service, replace(registry, names=names), "scope")
    assert result is not None
    return result


def only(result: Published) -> Endpoint:
    (endpoint,) = result.endpoints
    return endpoint


def labels(
    pairs: dict[str, str], *, name: str = "orders", keep: Sequence[str] = ("*",)
) -> dict[str, str]:
    """Return the labels of an endpoint of such metadata."""
    instance = replace(PLAIN, metadata=metadata(pairs))
    return dict(only(published(instance, name=name, rules={"labels": {"keep": keep}})).labels)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("orders", "orders"),
        ("com.acme.OrderService", "com.acme.OrderService"),
        ("my_orders", "my_orders"),
        ("my orders", "my-orders"),
        ("DEFAULT@orders", "default-orders"),
        ("订单orders", "orders"),
        ("a" * 70, f"{'a' * 54}-"),
    ],
)
def test_telemetry_calls_an_endpoint_by_the_registrys_name_of_the_service(
    name: str, said: str
) -> None:
    """As far as it can be a label; else like the first label of a host."""
    assert labels({}, name=name)[CANONICAL_NAME].startswith(said)
    assert len(labels({}, name=name)[CANONICAL_NAME]) <= 63


@pytest.mark.parametrize("key", [CANONICAL_NAME, "app"])
def test_what_a_registration_calls_itself_in_telemetry_is_left_as_it_is(key: str) -> None:
    """By each label that istiod looks at; two of them would be two opinions."""
    assert labels({key: "shop-orders"}) == {key: "shop-orders"}
    assert labels({key: "shop-orders"}, keep=[]) == {CANONICAL_NAME: "orders"}


def test_a_version_that_is_a_label_needs_no_second_one() -> None:
    """Istiod takes it as the revision; each label is bytes for each endpoint."""
    assert labels({"version": "v1"}) == {CANONICAL_NAME: "orders", "version": "v1"}
    assert labels({CANONICAL_REVISION: "v1"}).keys() == {CANONICAL_NAME, CANONICAL_REVISION}


@pytest.mark.parametrize("key", ["version", "app.kubernetes.io/version"])
def test_a_version_that_is_no_label_is_the_revision_all_the_same(key: str) -> None:
    """Whether it was not kept, or may not be one."""
    assert labels({key: "v1"}, keep=[])[CANONICAL_REVISION] == "v1"


@pytest.mark.parametrize("version", ["", "not legal"])
def test_a_version_that_says_nothing_is_left_to_istiod(version: str) -> None:
    """It says "latest" by itself then."""
    found = labels({"version": version, CANONICAL_NAME: "x"}, keep=["service*"])
    assert found == {CANONICAL_NAME: "x"}


def test_endpoints_with_equal_labels_share_them() -> None:
    """A hundred thousand endpoints: labels of their own would cost more than all else of them."""
    one, other = published(PLAIN, replace(PLAIN, id="b", address="10.0.0.9")).endpoints
    assert one.labels is other.labels


def test_an_instance_with_a_sidecar_is_met_with_mutual_tls_and_one_without_is_not() -> None:
    """In one host: istiod decides for each endpoint, by its label."""
    mesh = {"match": {"sidecar": "true"}, "service-account": "pay"}
    plain, meshed = published(PLAIN, MESHED, rules={"mesh": mesh}).endpoints
    assert (dict(plain.labels).get(TLS), plain.service_account) == (None, "")
    assert (dict(meshed.labels)[TLS], meshed.service_account) == ("istio", "pay")


def test_a_match_of_nothing_says_that_all_instances_have_a_sidecar() -> None:
    """As a registry does in which only pods register."""
    for endpoint in published(PLAIN, MESHED, rules={"mesh": {"match": {}}}).endpoints:
        assert (dict(endpoint.labels)[TLS], endpoint.service_account) == ("istio", "")


def test_an_instance_with_a_sidecar_may_be_called_in_plain_text() -> None:
    """The label says so: a service account alone would mean mutual TLS."""
    mesh: dict[str, object] = {"match": {}, "service-account": "pay", "tls-mode": "disabled"}
    endpoint = only(published(MESHED, rules={"mesh": mesh}))
    assert (dict(endpoint.labels)[TLS], endpoint.service_account) == ("disabled", "pay")


def test_what_an_administrator_made_a_label_goes_for_instances_without_a_sidecar() -> None:
    """``mesh`` is about those that it matches, and only there has the last word."""
    own = replace(PLAIN, metadata=metadata({"tls": "istio"}))
    rename = {"rename": {"tls": TLS}}
    for match, mode in (({"sidecar": "true"}, "istio"), ({}, "disabled")):
        mesh = {"match": match, "tls-mode": "disabled"}
        endpoint = only(published(own, rules={"mesh": mesh, "labels": rename}))
        assert dict(endpoint.labels)[TLS] == mode


def test_an_instance_may_say_its_service_account_itself() -> None:
    """In metadata that the configuration names."""
    meshed = replace(MESHED, metadata=metadata({"sidecar": "true", "sa": "pay"}))
    result = published(meshed, rules={"mesh": {"match": {}, "service-account": {"from": "sa"}}})
    assert (only(result).service_account, result.problems) == ("pay", ())


@pytest.mark.parametrize(
    ("own", "said"), [({}, "names none"), ({"sa": "My_Pay"}, 'names "My_Pay"')]
)
def test_an_instance_that_says_no_usable_service_account_is_served_and_reported(
    own: dict[str, str], said: str
) -> None:
    """Callers know all service accounts of a host, and refuse any other once they know one."""
    result = published(
        replace(MESHED, metadata=metadata(own)),
        rules={"mesh": {"match": {}, "service-account": {"from": "sa"}}},
    )
    assert (only(result).service_account, dict(only(result).labels)[TLS]) == ("", "istio")
    (problem,) = result.problems
    assert (problem.kind, problem.subject) == (
        ProblemKind.INVALID_INSTANCE,
        "orders, instance meshed",
    )
    assert f'its metadata "sa" {said} as its service account' in problem.reason


def test_who_may_see_the_services_is_said_as_it_was_configured() -> None:
    assert published(PLAIN).export_to == ()
    assert published(PLAIN, rules={"export-to": [".", "web"]}).export_to == (".", "web")
    assert published(PLAIN, rules={"export-to": ["*"]}).export_to == ("*",)


def test_the_own_namespace_is_not_named_beside_the_dot() -> None:
    """Istiod takes it for the same one twice, and refuses the whole host."""
    assert published(PLAIN, rules={"export-to": [".", "shop"]}).export_to == (".",)
    assert published(PLAIN, rules={"export-to": ["shop", "web"]}).export_to == ("shop", "web")


def test_every_endpoint_is_in_the_registrys_network() -> None:
    assert only(published(PLAIN)).network == ""
    assert only(published(PLAIN, rules={"network": "dc-2"})).network == "dc-2"


@pytest.mark.parametrize(
    ("registered", "name"),
    [
        ("db.example.com", "db.example.com"),
        ("DB.Example.com.", "db.example.com"),
        ("orders-0", "orders-0"),
    ],
)
def test_a_dns_name_is_an_address_where_an_outlet_takes_names(registered: str, name: str) -> None:
    """In one spelling: one machine is one endpoint."""
    instance = replace(PLAIN, address=registered)
    assert only(published(instance, names=True)).address == name
    result = published(instance)
    assert result.endpoints == ()
    assert "is not an IP address" in result.problems[0].reason


@pytest.mark.parametrize(
    "address",
    [
        *("", "a b", "a_b", "10.0.0.256", "10.1", "a..b", "订单", "KELVIN.\u212a", "a:80"),
        *("0x7f000001", "127.0.0.0x1", "169.254.169.0XFE", "10.0.0.0x"),
    ],
)
def test_what_is_neither_an_address_nor_a_name_is_left_out(address: str) -> None:
    result = published(replace(PLAIN, address=address), names=True)
    assert result.endpoints == ()
    assert [problem.kind for problem in result.problems] == [ProblemKind.INVALID_INSTANCE]


@pytest.mark.parametrize(
    "name", ["localhost", "a.localhost", "ip6-loopback", "metadata.google.internal"]
)
def test_a_name_that_must_not_be_published_is_refused(name: str) -> None:
    """No more than the address it stands for."""
    result = published(replace(PLAIN, address=name), names=True)
    assert result.endpoints == ()
    (problem,) = result.problems
    assert problem.kind is ProblemKind.REFUSED_ADDRESS
    assert problem.reason.startswith(f"its address {name} is ")


def test_a_name_is_in_no_network_of_a_table() -> None:
    """Nobody knows where it leads."""
    rules: Rules = {"locality": {"cidr": {"0.0.0.0/0": "cn/h"}}}
    one = published(PLAIN, rules=rules)
    other = published(replace(PLAIN, address="db.example.com"), names=True, rules=rules)
    assert (str(only(one).locality), str(only(other).locality)) == ("cn/h", "")


def test_what_is_switched_off_says_nothing_about_a_sidecar() -> None:
    off = replace(MESHED, health=Health.DISABLED)
    result = published(off, rules={"mesh": {"match": {}, "service-account": {"from": "sa"}}})
    assert (result.endpoints, result.problems) == ((), ())
