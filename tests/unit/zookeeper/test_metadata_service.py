"""Dubbo's metadata service on the wire, against protobuf's own library."""

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from meshbridge import BadData
from meshbridge_dubbo import ApplicationMetadata, Exported
from meshbridge_zookeeper_dubbo.metadata_service import read_reply, request

TEXT, NUMBER, MESSAGE = (
    FieldDescriptorProto.TYPE_STRING,
    FieldDescriptorProto.TYPE_INT32,
    FieldDescriptorProto.TYPE_MESSAGE,
)
"""What ``metadata_service_v2.proto`` of Dubbo 3.3 says, a map as the list of entries that it is."""
MESSAGES = {
    "MetadataRequest": {"revision": (1, TEXT, "")},
    "Text": {"key": (1, TEXT, ""), "value": (2, TEXT, "")},
    "ServiceInfoV2": {
        "name": (1, TEXT, ""),
        "group": (2, TEXT, ""),
        "version": (3, TEXT, ""),
        "protocol": (4, TEXT, ""),
        "port": (5, NUMBER, ""),
        "path": (6, TEXT, ""),
        "params": (7, MESSAGE, "Text"),
    },
    "Service": {"key": (1, TEXT, ""), "value": (2, MESSAGE, "ServiceInfoV2")},
    "MetadataInfoV2": {
        "app": (1, TEXT, ""),
        "version": (2, TEXT, ""),
        "services": (3, MESSAGE, "Service"),
    },
}


def _classes() -> dict[str, type[Message]]:
    file = FileDescriptorProto(name="metadata.proto", package="test", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind, of) in fields.items():
            many = field in ("params", "services")
            message.field.add(
                name=field,
                number=number,
                type=kind,
                type_name=f".test.{of}" if of else None,
                label=FieldDescriptorProto.LABEL_REPEATED
                if many
                else FieldDescriptorProto.LABEL_OPTIONAL,
            )
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {n: GetMessageClass(pool.FindMessageTypeByName(f"test.{n}")) for n in MESSAGES}


CLASSES = _classes()


def message(kind: str, **fields: object) -> Message:
    return CLASSES[kind](**fields)


def service(name: str = "a.B", port: int = 20880, **fields: object) -> Message:
    told = {"name": name, "protocol": "tri", "port": port} | fields
    return message("Service", key=f"{name}:tri", value=message("ServiceInfoV2", **told))


def info(*services: Message) -> bytes:
    held = message("MetadataInfoV2", app="shop", version="r1", services=list(services))
    return held.SerializeToString()


@given(st.text(max_size=30) | st.integers(100, 40_000).map("é".__mul__))
def test_the_question_is_what_protobuf_writes(revision: str) -> None:
    told = message("MetadataRequest", revision=revision).SerializeToString()
    assert request(revision) == (told or b"\x0a\x00")


@given(
    st.lists(
        st.tuples(
            st.text("aB.$é", min_size=1, max_size=9),
            st.integers(-1, 65_535),
            st.dictionaries(st.text(max_size=5), st.text(max_size=200), max_size=3),
        ),
        max_size=4,
    )
)
def test_an_answer_is_read_as_protobuf_wrote_it(
    services: list[tuple[str, int, dict[str, str]]],
) -> None:
    data = info(
        *(
            service(
                name,
                port,
                group="g",
                version="1",
                path=f"x/{name}",
                params=[message("Text", key=key, value=value) for key, value in params.items()],
            )
            for name, port, params in services
        )
    )
    expected = [
        Exported(name, "g", "1", "tri", max(port, 0), f"x/{name}", params)
        for name, port, params in services
    ]
    assert read_reply(data) == ApplicationMetadata("shop", "r1", tuple(expected), ())


def test_fields_that_are_not_known_are_passed_over() -> None:
    unknown = bytes((9 << 3 | 0, 0x96, 1, 10 << 3 | 1, *range(8), 11 << 3 | 5, *range(4)))
    assert read_reply(unknown + info(service()) + unknown).revision == "r1"
    inside = message("ServiceInfoV2", name="a.B", protocol="tri").SerializeToString() + unknown
    entry = b"\x12" + bytes((len(inside),)) + inside
    assert len(read_reply(b"\x1a" + bytes((len(entry),)) + entry).exported) == 1


def test_a_service_that_cannot_be_read_spoils_itself() -> None:
    told = read_reply(info(service(""), service("a.C")))
    assert [each.interface for each in told.exported] == ["a.C"]
    assert [key for key, _ in told.faults] == [":tri"]


@pytest.mark.parametrize(
    "data",
    [
        info(service())[:-1],
        b"\x08",
        b"\x0a\x05ab",
        b"\x0a" + b"\xff" * 11,
        b"\x0b",
        b"\x08\x01",
        b"\x1a\x03\x12\x01\x08",
        b"\x0a\x01\xff",
    ],
)
def test_an_answer_that_is_no_such_message_is_bad_data(data: bytes) -> None:
    try:
        told = read_reply(data)
    except BadData:
        return
    assert told.faults


@pytest.mark.parametrize("value", [b"\x2a\x01a", b"\x3a\x02\x08\x01", b"\x0a\x01\xff", b"\x08\x01"])
def test_a_service_with_a_value_of_another_kind_spoils_itself(value: bytes) -> None:
    entry = b"\x12" + bytes((len(value),)) + value
    told = read_reply(b"\x1a" + bytes((len(entry),)) + entry)
    assert len(told.faults) == 1


def test_an_answer_is_bounded() -> None:
    entry = service("a").SerializeToString()
    many = b"".join((b"\x1a", bytes((len(entry),)), entry)) * 20_001
    with pytest.raises(BadData, match="more than"):
        read_reply(many)
    params = [message("Text", key=str(number), value="") for number in range(1_001)]
    assert "parameters" in read_reply(info(service(params=params))).faults[0][1]


@given(st.binary(max_size=60))
def test_no_bytes_break_it(data: bytes) -> None:
    try:
        read_reply(data)
    except BadData as bad:
        assert str(bad)  # noqa: PT017 - either is right
