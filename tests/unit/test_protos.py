"""The generated messages are those that Envoy and istiod speak, in a pool of their own."""

import importlib
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from google.protobuf import duration_pb2, json_format
from hypothesis import given
from hypothesis import strategies as st

from meshbridge.protos import message_class, private_pool
from meshbridge.protos.gen.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshbridge.protos.gen.envoy.config.core.v3 import health_check_pb2
from meshbridge.protos.gen.envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse
from meshbridge.protos.gen.google.protobuf.any_pb2 import Any
from meshbridge.protos.gen.google.protobuf.duration_pb2 import Duration
from meshbridge.protos.gen.google.protobuf.struct_pb2 import Struct
from meshbridge.protos.gen.google.protobuf.wrappers_pb2 import UInt32Value
from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import (
    ServiceEntry,
    ServicePort,
)

# Numbers as istio/api publishes them: a changed one would be misread by every istiod, silently.
ISTIO = {
    "istio.mcp.v1alpha1.Metadata": {
        "name": 1,
        "create_time": 2,
        "version": 3,
        "labels": 4,
        "annotations": 5,
    },
    "istio.mcp.v1alpha1.Resource": {"metadata": 1, "body": 2},
    "istio.networking.v1alpha3.ServiceEntry": {
        "hosts": 1,
        "addresses": 2,
        "ports": 3,
        "location": 4,
        "resolution": 5,
        "endpoints": 6,
        "export_to": 7,
        "subject_alt_names": 8,
        "workload_selector": 9,
    },
    "istio.networking.v1alpha3.ServicePort": {
        "number": 1,
        "protocol": 2,
        "name": 3,
        "target_port": 4,
    },
    "istio.networking.v1alpha3.WorkloadSelector": {"labels": 1},
    "istio.networking.v1alpha3.WorkloadEntry": {
        "address": 1,
        "ports": 2,
        "labels": 3,
        "network": 4,
        "locality": 5,
        "weight": 6,
        "service_account": 7,
    },
}


@pytest.mark.parametrize("name", ISTIO)
def test_istio_fields_have_their_published_numbers(name: str) -> None:
    fields = message_class(name).DESCRIPTOR.fields

    assert {field.name: field.number for field in fields} == ISTIO[name]


def test_a_service_entry_has_the_bytes_that_istiod_reads() -> None:
    entry = ServiceEntry(
        hosts=["a.b"],
        ports=[ServicePort(number=80, protocol="HTTP", name="http-80")],
        location=ServiceEntry.MESH_INTERNAL,
        resolution=ServiceEntry.STATIC,
    )

    assert entry.SerializeToString(deterministic=True) == (
        b"\x0a\x03a.b"  # 1: hosts
        b"\x1a\x11\x08\x50\x12\x04HTTP\x1a\x07http-80"  # 3: ports
        b"\x20\x01\x28\x01"  # 4: location, 5: resolution
    )


def test_an_any_carries_a_message_through_json_and_back() -> None:
    manager = hcm.HttpConnectionManager(
        stat_prefix="in", codec_type=hcm.HttpConnectionManager.AUTO, stream_idle_timeout=Duration()
    )
    packed = Any()
    packed.Pack(manager)

    text = json_format.MessageToJson(packed, descriptor_pool=private_pool())
    again = json_format.Parse(text, Any(), descriptor_pool=private_pool())

    assert again == packed
    assert packed.type_url == f"type.googleapis.com/{manager.DESCRIPTOR.full_name}"


def test_well_known_types_have_their_conveniences() -> None:
    wait = Duration()
    wait.FromMilliseconds(1500)
    values = Struct()
    values.update({"lane": "gray"})
    cluster = Cluster(
        connect_timeout=wait,
        type=Cluster.EDS,
        per_connection_buffer_limit_bytes=UInt32Value(value=7),
    )

    assert (wait.seconds, wait.nanos) == (1, 500_000_000)
    assert values["lane"] == "gray"
    assert json_format.MessageToDict(cluster) == {
        "connectTimeout": "1.500s",
        "type": "EDS",
        "perConnectionBufferLimitBytes": 7,
    }


def test_a_message_of_the_default_pool_is_refused() -> None:
    """So nobody mixes the two pools unnoticed; protobuf 6 and 7 say it differently."""
    with pytest.raises((AttributeError, TypeError), match="Duration"):
        Cluster(connect_timeout=duration_pb2.Duration(seconds=1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_enums_of_a_file_are_members_of_its_module() -> None:
    assert health_check_pb2.HealthStatus.Name(health_check_pb2.DRAINING) == "DRAINING"
    assert health_check_pb2.HEALTHY == 1


def test_an_unknown_member_is_an_attribute_error_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="health_check_pb2' has no attribute 'SICK'"):
        getattr(health_check_pb2, "SICK")  # noqa: B009 (the type checkers know that it is not there)


def test_an_unknown_message_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        message_class("envoy.config.cluster.v3.Clusters")


def test_every_generated_module_has_a_stub_and_finds_its_messages() -> None:
    found = Path(str(sys.modules["meshbridge.protos"].__file__)).parent / "gen"
    modules = sorted(found.rglob("*_pb2.py"))

    assert len(modules) > 50
    for module in modules:
        assert module.with_suffix(".pyi").is_file()
        name = ".".join(module.relative_to(found).with_suffix("").parts)
        loaded = importlib.import_module(f"meshbridge.protos.gen.{name}")
        for message in loaded.DESCRIPTOR.message_types_by_name:
            assert getattr(loaded, message).DESCRIPTOR.file.name == loaded.DESCRIPTOR.name


def test_no_option_of_a_foreign_code_generator_is_left() -> None:
    names = {"validate/validate.proto", "udpa/annotations/status.proto"}

    for name in names:
        with pytest.raises(KeyError):
            private_pool().FindFileByName(name)


@given(st.lists(st.binary(max_size=40), max_size=5), st.text(max_size=10))
def test_resources_joined_as_bytes_are_one_response(bodies: list[bytes], version: str) -> None:
    """Outlets join resources that were encoded before; a repeated field allows that."""
    resources = [Any(type_url="t", value=each) for each in bodies]
    whole = DiscoveryResponse(version_info=version, resources=resources)
    joined = DiscoveryResponse(version_info=version).SerializeToString()
    for each in resources:
        joined += DiscoveryResponse(resources=[each]).SerializeToString()

    assert DiscoveryResponse.FromString(joined) == whole


BESIDE = """
import google.rpc.status_pb2, google.api.annotations_pb2
import opentelemetry.trace
from meshbridge.protos.gen.google.rpc.status_pb2 import Status
from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest
theirs = google.rpc.status_pb2.Status(code=5, message="gone")
ours = DiscoveryRequest(error_detail=Status.FromString(theirs.SerializeToString()))
assert ours.error_detail.message == "gone"
assert type(theirs) is not type(ours.error_detail)
import envoy
"""


def test_other_packages_with_the_same_files_are_not_disturbed() -> None:
    """googleapis-common-protos carries google/rpc/status.proto too, in the default pool."""
    run = subprocess.run(
        [sys.executable, "-c", BESIDE], capture_output=True, text=True, check=False
    )

    assert run.stderr.strip().endswith("ModuleNotFoundError: No module named 'envoy'")


def test_nothing_of_ours_takes_a_name_at_the_top() -> None:
    site = Path(sysconfig.get_path("purelib"))

    assert [
        each for each in ("envoy", "xds", "udpa", "validate", "istio") if (site / each).exists()
    ] == []
