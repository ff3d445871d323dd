"""Service ports follow from protocols alone."""

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest

from meshbridge.problems import ProblemKind
from meshbridge.publish import Published, PublishRules, Registry, publish
from meshbridge.registration import (
    Health,
    Instance,
    InstancePort,
    Kind,
    RegisteredService,
    ServiceId,
)
from meshbridge.service import Port


def published(*instances: Instance, **rules: object) -> Published:
    checked = PublishRules.model_validate({"domain": "nacos", **rules})
    service = RegisteredService(ServiceId("", "", "orders"), instances)
    result = publish(service, Registry("shop", 0, checked), "scope")
    assert result is not None
    return result


def instance(number: int, *ports: InstancePort) -> Instance:
    return Instance(f"i{number}", f"10.0.0.{number}", ports)


def names(result: Published) -> list[str]:
    return [port.name for port in result.ports]


@pytest.mark.parametrize(
    ("registered", "secure", "expected"),
    [
        ("http", False, Port(80, "http", "http-80")),
        ("REST", False, Port(80, "http", "http-80")),
        ("hessian", False, Port(80, "http", "http-80")),
        ("", False, Port(80, "http", "http-80")),
        (" ", False, Port(80, "http", "http-80")),
        ("http", True, Port(443, "https", "https-443")),
        ("", True, Port(443, "https", "https-443")),
        ("https", False, Port(443, "https", "https-443")),
        ("grpc", False, Port(50051, "grpc", "grpc-50051")),
        ("tri", False, Port(50051, "grpc", "grpc-50051")),
        ("dubbo", False, Port(20880, "dubbo", "dubbo-20880")),
        ("tcp", False, Port(9000, "tcp", "tcp-9000")),
        ("redis", False, Port(9000, "tcp", "tcp-9000")),
        ("协议", False, Port(9000, "tcp", "tcp-9000")),
    ],
)
def test_a_protocol_has_its_documented_port(
    registered: str, *, secure: bool, expected: Port
) -> None:
    """The table of docs/configuration.md; the instance's own number stands in the endpoint."""
    result = published(instance(1, InstancePort(8081, registered, secure)))
    assert result.ports == (expected,)
    assert result.endpoints[0].ports == ((expected.name, 8081),)
    assert result.problems == ()


def test_a_word_that_is_like_a_protocols_is_served_as_tcp_and_reported_once() -> None:
    """One line for each service and word, however many instances have it."""
    ports = (InstancePort(8081, "Htttp"), InstancePort(8082, "grcp "), InstancePort(8083, "redis"))
    result = published(*(instance(number, *ports) for number in range(1, 4)))
    assert names(result) == ["tcp-9000"]
    said = [each for each in result.problems if "known" in each.reason]
    assert [(each.subject, each.kind, each.reason) for each in said] == [
        (
            "orders",
            ProblemKind.INVALID_PORT,
            f'3 of 3 instances register the protocol "{word}", which is not known: it is tcp',
        )
        for word in ("grcp", "htttp")
    ]
    assert said[1].remedy == (
        'if "http" is meant, register that; '
        "known are http, rest, hessian, https, grpc, tri, dubbo, tcp"
    )


def test_a_word_that_is_far_from_all_known_ones_is_what_all_else_is() -> None:
    """A word of any length, too: nobody may make the bridge think long about one."""
    for word in ("redis", "rmi", "thrift", "tcp4", "http" * 5_000):
        assert published(instance(1, InstancePort(8081, word))).problems == ()


def test_a_registration_that_does_not_say_has_the_configured_protocol() -> None:
    """``publish.protocol`` stands in for an empty one, and for a service without instances."""
    assert names(published(instance(1, InstancePort(1)), protocol="tri")) == ["grpc-50051"]
    assert names(published(protocol="dubbo")) == ["dubbo-20880"]


def test_a_dubbo_interface_that_does_not_say_speaks_dubbo() -> None:
    """Also while its last provider is gone: its port stays, and with it its virtual address."""
    for instances in ((), (instance(1, InstancePort(20881)),)):
        service = RegisteredService(
            ServiceId("", "", "com.acme.Orders"), instances, kind=Kind.DUBBO_INTERFACE
        )
        result = publish(service, Registry("shop", 0), "scope")
        assert result is not None
        assert names(result) == ["dubbo-20880"]


def test_ports_do_not_depend_on_the_order_or_choice_of_instances() -> None:
    """All orders of instances with different numbers give the same ports."""
    instances = [
        instance(1, InstancePort(8081, "http"), InstancePort(20881, "dubbo")),
        instance(2, InstancePort(8082, "http")),
        instance(3, InstancePort(20883, "dubbo"), InstancePort(50053, "tri")),
    ]
    results = {published(*order) for order in itertools.permutations(instances)}
    (result,) = results
    assert names(result) == ["http-80", "dubbo-20880", "grpc-50051"]
    assert [endpoint.ports for endpoint in result.endpoints] == [
        (("dubbo-20880", 20881), ("http-80", 8081)),
        (("http-80", 8082),),
        (("dubbo-20880", 20883), ("grpc-50051", 50053)),
    ]


def test_a_listed_service_without_instances_keeps_host_and_port() -> None:
    """Its endpoint list is empty; callers get an answer, and the cluster stays."""
    result = published()
    assert (result.host, names(result), result.endpoints) == ("orders.nacos", ["http-80"], ())


@pytest.mark.parametrize(
    "change",
    [
        {"health": Health.DRAINING},
        {"health": Health.DISABLED},
        {"weight": 0.0},
        {"weight": math.nan},
        {"address": "nowhere"},
    ],
)
def test_ports_stay_while_the_last_instance_that_has_them_is_not_served(
    change: dict[str, Any],
) -> None:
    """Losing a port is a full push in istiod, so a drain or a slip must not do it."""
    leaving = replace(instance(2, InstancePort(2, "tri")), **change)
    result = published(instance(1, InstancePort(1, "http")), leaving)
    assert names(result) == ["http-80", "grpc-50051"]
    assert [endpoint.address for endpoint in result.endpoints] == ["10.0.0.1"]


def test_the_first_of_several_ports_of_one_protocol_is_served_and_the_rest_reported() -> None:
    """``rest`` and ``http`` are one protocol on the wire."""
    result = published(
        instance(1, InstancePort(8082, "http"), InstancePort(8081, "rest")),
        instance(2, InstancePort(8082, "http"), InstancePort(8081, "rest")),
    )
    assert {endpoint.ports for endpoint in result.endpoints} == {(("http-80", 8082),)}
    (problem,) = result.problems
    assert problem.kind is ProblemKind.INVALID_PORT
    assert "8081" in problem.reason


def test_a_port_registered_twice_is_one_port() -> None:
    """Nothing is lost, so nothing is reported."""
    result = published(instance(1, InstancePort(8081, "http"), InstancePort(8081, "rest")))
    assert result.problems == ()


def test_configured_numbers_replace_the_standard_ones() -> None:
    """Only those that are named."""
    result = published(
        instance(1, InstancePort(1, "http"), InstancePort(2, "tri")), ports={"http": 8080}
    )
    assert names(result) == ["http-8080", "grpc-50051"]


def test_instance_ports_hold_while_all_instances_agree() -> None:
    """Also over instances that have only some of the ports."""
    result = published(
        instance(1, InstancePort(8081, "http"), InstancePort(20881, "dubbo")),
        instance(2, InstancePort(8081, "http")),
        ports="instance",
    )
    assert names(result) == ["http-8081", "dubbo-20881"]
    assert result.problems == ()


def test_instance_ports_fall_back_to_standard_when_instances_disagree() -> None:
    """Which is reported; a protocol in which they agree keeps theirs."""
    result = published(
        instance(1, InstancePort(8081, "http"), InstancePort(20881, "dubbo")),
        instance(2, InstancePort(8082, "http")),
        ports="instance",
    )
    assert names(result) == ["http-80", "dubbo-20881"]
    (problem,) = result.problems
    assert problem.kind is ProblemKind.INVALID_PORT
    assert "8081, 8082" in problem.reason


def test_instance_ports_fall_back_when_two_protocols_share_a_number() -> None:
    """A service can have a number once only."""
    result = published(
        instance(1, InstancePort(8081, "http"), InstancePort(8081, "tri")), ports="instance"
    )
    assert names(result) == ["http-80", "grpc-50051"]
    assert [problem.kind for problem in result.problems] == [ProblemKind.INVALID_PORT]


def test_instance_ports_without_instances_are_the_standard_ones() -> None:
    """There is no history to ask."""
    assert names(published(ports="instance")) == ["http-80"]
