"""Dubbo's metadata service on the wire: the question for a revision, and what it answers; pure.

``MetadataServiceV2`` of ``metadata_service_v2.proto`` in Dubbo 3.3, whose two messages are written
and read here by hand: field numbers never change, and nothing else is spoken of Dubbo's.
"""

from collections.abc import Iterator
from typing import Final

from meshbridge import BadData
from meshbridge_dubbo import ApplicationMetadata, Exported, exported
from meshbridge_dubbo.interfaces import MOST_INTERFACES

METHOD: Final = "/org.apache.dubbo.metadata.MetadataServiceV2/GetMetadataInfo"

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SKIPPED: Final = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT: Final = 10
_MOST_PARAMETERS: Final = 1_000


def request(revision: str) -> bytes:
    """Return a ``MetadataRequest``; the revision is text that can be encoded."""
    text = revision.encode()
    return bytes((1 << 3 | _BYTES,)) + _written(len(text)) + text


def read_reply(data: bytes) -> ApplicationMetadata:
    """Return what a ``MetadataInfoV2`` tells. Raises BadData."""
    texts = {1: "", 2: ""}
    found: list[Exported] = []
    faults: list[tuple[str, str]] = []
    for number, value in _fields(data):
        if number in texts:
            texts[number] = _text(value)
        elif number == 3:  # noqa: PLR2004 - map<string, ServiceInfoV2> services
            if len(found) + len(faults) >= MOST_INTERFACES:
                raise BadData(f"it exports more than {MOST_INTERFACES} interfaces")
            entry = dict(_fields(_bytes(value)))
            try:
                found.append(_service(_bytes(entry.get(2, b""))))
            except BadData as bad:
                faults.append((_text(entry.get(1, b"")), str(bad)))
    return ApplicationMetadata(texts[1], texts[2], tuple(found), tuple(faults))


def _service(data: bytes) -> Exported:
    """Return a ``ServiceInfoV2``."""
    texts = {1: "", 2: "", 3: "", 4: "", 6: ""}
    port = 0
    parameters: dict[str, str] = {}
    for number, value in _fields(data):
        if number in texts:
            texts[number] = _text(value)
        elif number == 5:  # noqa: PLR2004 - int32 port
            port = _number(value)
        elif number == 7:  # noqa: PLR2004 - map<string, string> params
            entry = dict(_fields(_bytes(value)))
            parameters[_text(entry.get(1, b""))] = _text(entry.get(2, b""))
            if len(parameters) > _MOST_PARAMETERS:
                raise BadData(f"it has more than {_MOST_PARAMETERS} parameters")
    return exported(
        name=texts[1],
        group=texts[2],
        version=texts[3],
        protocol=texts[4],
        port=port,
        path=texts[6],
        params=parameters,
    )


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and the value of each field of a message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
        elif kind == _BYTES:
            length, at = _varint(data, at)
            if length > len(data) - at:
                raise BadData("its answer is cut off")
            yield number, data[at : at + length]
            at += length
        elif kind in _SKIPPED:
            at += _SKIPPED[kind]
        else:
            raise BadData("its answer is no protobuf message")


def _written(number: int) -> bytes:
    """Return a number as :func:`_varint` reads it."""
    written = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - what one byte holds
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for position in range(_LONGEST_VARINT):
        if at + position >= len(data):
            raise BadData("its answer is cut off")
        byte = data[at + position]
        value |= (byte & 0x7F) << 7 * position
        if byte < 0x80:  # noqa: PLR2004 - the last of its bytes
            return value, at + position + 1
    raise BadData("its answer has a number that does not end")


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise BadData("its answer has a text in place of a number")
    return value - (1 << 64) if value >> 63 else value


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise BadData("its answer has a number in place of a text")
    return value


def _text(value: int | bytes) -> str:
    try:
        return _bytes(value).decode()
    except UnicodeDecodeError:
        raise BadData("its answer has a text that is not UTF-8") from None
