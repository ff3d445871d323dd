"""An application's instance is read, whoever registered it: Dubbo, Spring Cloud or another."""

import json

import pytest

from meshbridge import BadData, Health, Instance, InstancePort
from meshbridge_dubbo import (
    ApplicationInstance,
    Framework,
    MetadataService,
    dubbo_instance,
    is_dubbos,
    read_instance,
)

DUBBOS: dict[str, str] = {
    "dubbo.metadata-service.url-params": json.dumps(
        {"dubbo": "2.0.2", "port": "50051", "protocol": "tri", "version": "2.0.0"}
    ),
    "dubbo.endpoints": json.dumps(
        [{"port": 20880, "protocol": "dubbo"}, {"port": 50051, "protocol": "tri"}]
    ),
    "dubbo.metadata.revision": "4f2a",
    "dubbo.metadata.storage-type": "local",
    "timestamp": "1767225600000",
    "meta-v": "2.0.0",
}
NODE = "10.0.0.1:20880"


def curator(pairs: dict[str, str] | None, framework: str, **changed: object) -> dict[str, object]:
    return {
        "name": "shop",
        "id": NODE,
        "address": "10.0.0.1",
        "port": 20880,
        "sslPort": None,
        "payload": {"@class": framework, "id": NODE, "name": "shop", "metadata": pairs},
        "registrationTimeUTC": 1_767_225_601_000,
        "serviceType": "DYNAMIC",
        "uriSpec": None,
        **changed,
    }


def read(record: object) -> ApplicationInstance:
    return read_instance("shop", NODE, json.dumps(record).encode())


def dubbos(pairs: dict[str, str] | None = None, **changed: object) -> ApplicationInstance:
    framework = "org.apache.dubbo.registry.zookeeper.ZookeeperInstance"
    return read(curator(DUBBOS if pairs is None else pairs, framework, **changed))


def springs(pairs: dict[str, str] | None = None, **changed: object) -> ApplicationInstance:
    framework = "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance"
    return read(curator(pairs or {}, framework, **changed))


def refused(record: object) -> str:
    with pytest.raises(BadData) as caught:
        read(record)
    return str(caught.value)


def test_an_instance_of_dubbo_is_read_whole() -> None:
    labels = {"env": "gray", "dubbo.tag": "gray", "region": "hz", "zone": "z1"}
    assert dubbos(DUBBOS | labels) == ApplicationInstance(
        "shop",
        Instance(
            NODE,
            "10.0.0.1",
            (InstancePort(20880, "dubbo"), InstancePort(50051, "tri")),
            metadata=(("dubbo.tag", "gray"), ("env", "gray"), ("region", "hz"), ("zone", "z1")),
            zone="hz/z1",
            registered_at=1_767_225_600.0,
        ),
        Framework.DUBBO,
        "4f2a",
        "local",
        "2.0.0",
        MetadataService(50051, "tri", "2.0.0"),
        exports=True,
    )


def test_an_instance_of_spring_cloud_is_read_whole() -> None:
    pairs = {"instance_status": "UP", "version": "v1", "zone": "z1", "timeout": "theirs"}
    assert springs(pairs, port=8080, sslPort=8443) == ApplicationInstance(
        "shop",
        Instance(
            NODE,
            "10.0.0.1",
            (InstancePort(8080), InstancePort(8443, "https", secure=True)),
            metadata=(("timeout", "theirs"), ("version", "v1"), ("zone", "z1")),
            zone="z1",
            registered_at=1_767_225_601.0,
        ),
        Framework.SPRING,
    )


def test_anybody_may_use_curators_discovery() -> None:
    payloads: tuple[object, ...] = (None, "text", [1], {})
    for payload in payloads:
        found = read(curator(None, "", payload=payload))
        assert found.framework is Framework.OTHER
        assert found.instance.ports == (InstancePort(20880),)
    speaking = read(curator(None, "", payload={"metadata": {"protocol": "grpc"}}))
    assert speaking.instance.ports == (InstancePort(20880, "grpc"),)


def test_spring_cloud_is_known_by_its_status_alone() -> None:
    found = read(curator(None, "", payload={"metadata": {"instance_status": "UP"}}))
    assert found.framework is Framework.SPRING


def test_spring_clouds_secure_port_alone_is_one_port() -> None:
    secure = (InstancePort(8443, "https", secure=True),)
    assert springs(port=8443, sslPort=8443).instance.ports == secure
    assert springs(port=None, sslPort=8443).instance.ports == secure


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ("UP", Health.HEALTHY),
        ("up", Health.HEALTHY),
        ("OUT_OF_SERVICE", Health.DISABLED),
        ("DOWN", Health.UNHEALTHY),
        ("STARTING", Health.UNHEALTHY),
        ("?", Health.UNHEALTHY),
    ],
)
def test_the_status_of_spring_cloud_is_its_health(status: str, health: Health) -> None:
    assert springs({"instance_status": status}).instance.health is health


def test_curators_enabled_counts_for_both_and_missing_is_true() -> None:
    assert dubbos(enabled=True).instance.health is Health.HEALTHY
    assert dubbos(enabled=None).instance.health is Health.HEALTHY
    assert dubbos(enabled=False).instance.health is Health.DISABLED
    assert springs(enabled=False).instance.health is Health.DISABLED
    assert springs({"instance_status": "DOWN"}, enabled=False).instance.health is Health.DISABLED


def test_a_dubbo_instance_may_be_disabled_by_its_own_metadata() -> None:
    assert dubbos(DUBBOS | {"disabled": "true"}).instance.health is Health.DISABLED


def test_without_endpoints_the_registered_port_speaks_what_the_metadata_service_does() -> None:
    def ports(port: str, protocol: str) -> tuple[InstancePort, ...]:
        params = json.dumps({"port": port, "protocol": protocol})
        return dubbos({"dubbo.metadata-service.url-params": params}).instance.ports

    assert ports("20880", "tri") == (InstancePort(20880, "tri"),)
    assert ports("50051", "tri") == (InstancePort(20880, "dubbo"),)
    assert dubbos({}).instance.ports == (InstancePort(20880, "dubbo"),)


def test_endpoints_that_are_told_twice_are_one() -> None:
    twice = json.dumps([{"port": 1, "protocol": "tri"}, {"port": 1, "protocol": "tri"}])
    assert dubbos({"dubbo.endpoints": twice}).instance.ports == (InstancePort(1, "tri"),)


def test_revision_zero_means_that_nothing_is_exported() -> None:
    nothing = dubbos(DUBBOS | {"dubbo.metadata.revision": "0"})
    assert (nothing.revision, nothing.exports) == ("", False)


def test_without_a_revision_it_may_export_something() -> None:
    """As Dubbo 2.7.23 registers an application."""
    kept = {key: value for key, value in DUBBOS.items() if key != "dubbo.metadata.revision"}
    assert (dubbos(kept).revision, dubbos(kept).exports) == ("", True)


@pytest.mark.parametrize(
    ("version", "params", "answers"),
    [
        ("2.0.0", {"port": "50051", "protocol": "tri"}, True),
        ("1.0.0", {"port": "20880", "protocol": "dubbo"}, False),
        ("2.0.0", {"port": "none", "protocol": "tri"}, False),
        ("2.0.0", {"port": "0", "protocol": "tri"}, False),
        ("2.0.0", {}, False),
    ],
)
def test_a_metadata_service_answers_over_triple_from_version_2(
    version: str, params: dict[str, str], *, answers: bool
) -> None:
    pairs = {"meta-v": version, "dubbo.metadata-service.url-params": json.dumps(params)}
    assert dubbos(pairs).answers_over_triple is answers


def test_dubbo_2_7_tells_a_metadata_service_for_each_protocol() -> None:
    params = {
        "rest": {"version": "1.0.0", "port": "8080"},
        "dubbo": {"version": "1.0.0", "dubbo": "2.0.2", "port": "20881"},
    }
    found = dubbos({"dubbo.metadata-service.url-params": json.dumps(params)})
    assert found.metadata_service == MetadataService(20881, "dubbo", "1.0.0")
    assert not found.answers_over_triple


def test_with_remote_storage_no_metadata_service_is_told() -> None:
    found = dubbos(
        {"dubbo.metadata.storage-type": "remote", "dubbo.metadata.revision": "4f2a"}, port=1
    )
    assert (found.storage, found.metadata_service) == ("remote", None)
    assert not found.answers_over_triple


def test_the_same_flat_metadata_are_read_of_any_registry() -> None:
    base = Instance("10.0.0.1#20880#DEFAULT", "10.0.0.1", (), zone="cluster-1", registered_at=5.0)
    assert is_dubbos(DUBBOS)
    assert not is_dubbos({"version": "v1"})
    found = dubbo_instance("shop", base, 20880, DUBBOS)
    assert found.instance.id == "10.0.0.1#20880#DEFAULT"
    assert found.instance.zone == "cluster-1"
    assert found.instance.registered_at == 5.0
    assert found.revision == "4f2a"


def test_a_moment_is_the_metadatas_or_else_curators() -> None:
    assert dubbos({}).instance.registered_at == 1_767_225_601.0
    assert dubbos({}, registrationTimeUTC=None).instance.registered_at is None
    assert springs(registrationTimeUTC=1.5).instance.registered_at is None


def test_brackets_of_an_ipv6_address_go() -> None:
    assert springs(address="[fd00::1]").instance.address == "fd00::1"


def with_endpoints(text: str) -> dict[str, object]:
    return curator({"dubbo.endpoints": text}, "")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ([], "the instance is a list, no object"),
        ("10.99.0.1", "the instance is '10.99.0.1', no object"),
        (curator({}, "", address=None), "its address is missing"),
        (curator({}, "", address=""), "its address is missing"),
        (curator({}, "", address="[]"), "its address is '[]'"),
        (curator({}, "", address="a\x00"), r"its address is 'a\x00'"),
        (curator({}, "", address="a" * 256), f"its address is '{'a' * 56}..."),
        (curator({}, "", address=7), "its address is 7, no text"),
        (curator({}, "", port="80"), "its port is '80', no port"),
        (curator({}, "", port=True), "its port is True, no port"),
        (curator({}, "", port=65_536), "its port is 65536, no port"),
        (curator({}, "", port=None), "it has no port"),
        (curator({"dubbo.metadata.revision": "1"}, "", port=0), "it has no port"),
        (curator({}, "", sslPort=-1), "its sslPort is -1, no port"),
        (curator({}, "", enabled=1), "its field enabled is 1"),
        (curator({}, "", payload={"@class": 1}), "its @class is 1, no text"),
        (curator({}, "", payload={"metadata": []}), "its metadata is a list, no object"),
        (curator({}, "", payload={"metadata": {"a": 1}}), "'a' of its metadata is 1, no text"),
        (with_endpoints("{}"), "its dubbo.endpoints is an object, no list"),
        (with_endpoints("[7]"), "an endpoint of its dubbo.endpoints is 7, no object"),
        (
            with_endpoints('[{"port":"a"}]'),
            "a port of its dubbo.endpoints is 'a', no port",
        ),
        (
            with_endpoints('[{"port":0,"protocol":"tri"}]'),
            "its dubbo.endpoints lists port 0 of protocol 'tri'",
        ),
        (
            with_endpoints(json.dumps([{"port": 1, "protocol": "\x07"}])),
            "its protocol holds characters that cannot be printed",
        ),
        (
            curator({"dubbo.metadata.revision": "a" * 101}, ""),
            f"its dubbo.metadata.revision is '{'a' * 56}..., no revision",
        ),
        (
            curator({"dubbo.metadata.revision": "a\nb"}, ""),
            r"its dubbo.metadata.revision is 'a\nb', no revision",
        ),
        (
            with_endpoints(json.dumps([{"port": 1, "protocol": "tri"}] * 65)),
            "its dubbo.endpoints lists more than 64",
        ),
    ],
)
def test_an_instance_that_cannot_be_read_is_refused_with_the_reason(
    record: object, reason: str
) -> None:
    assert refused(record) == reason


def test_a_metadata_service_that_cannot_be_read_is_refused_with_the_reason() -> None:
    def with_params(text: str) -> dict[str, object]:
        return curator({"dubbo.metadata-service.url-params": text}, "")

    what = "its dubbo.metadata-service.url-params"
    assert refused(with_params("[]")) == f"{what} is a list, no object"
    assert refused(with_params('{"port":1}')) == f"'port' of {what} is 1, no text"
    assert refused(with_params("{")).startswith(f"{what} is no JSON")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the instance is no JSON: Input data was truncated"),
        (b"10.99.0.1", "the instance is no JSON: JSON is malformed"),
        (b'{"a":"\xff"}', "the instance is no JSON: it is not UTF-8"),
        (b"[" * 100_000, "the instance is no JSON: it is nested too deep"),
        (b" " * (8 * 1024 * 1024 + 1), "the instance is larger than 8388608 bytes"),
    ],
)
def test_what_is_no_json_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(BadData) as caught:
        read_instance("shop", NODE, data)
    assert str(caught.value).startswith(reason)


def test_metadata_that_java_calls_null_are_none() -> None:
    payload = {"metadata": {"a": None, "b": "c"}}
    assert read(curator(None, "", payload=payload)).instance.metadata == (("b", "c"),)
