"""How one registration is written down: bytes that know whether they are still what was written.

SQLite checks no page: a flipped bit in a value would be read as data. So each value begins with a
checksum over itself and the key it belongs to, then the version of its form, then MessagePack.
"""

import zlib
from dataclasses import dataclass

import msgspec

from meshbridge import repeated
from meshbridge.errors import BadData
from meshbridge.registration import RegisteredService, ServiceId

FORM = 1
"""The version of a value's form. New fields with a default need no new one: fields are named."""
_CHECKSUM = 4
_HEAD = _CHECKSUM + 1


@dataclass(frozen=True, slots=True)
class Announcement:
    """A planned loss that somebody announced to the guard."""

    scope: str
    service: ServiceId | None
    """``None``: the whole scope."""
    until: float
    """Unix time in seconds."""


_SERVICE = msgspec.msgpack.Decoder(RegisteredService)
_ANNOUNCEMENTS = msgspec.msgpack.Decoder(tuple[Announcement, ...])
_COUNT = msgspec.msgpack.Decoder(int)
_ENCODER = msgspec.msgpack.Encoder()


def encoded(value: RegisteredService | tuple[Announcement, ...] | int, *key: bytes) -> bytes:
    """Return what is stored under ``key``.

    Raises BadData if it cannot be written: a port beyond 64 bits, half a character.
    """
    try:
        payload = _ENCODER.encode(value)
    except (ValueError, TypeError, OverflowError, msgspec.MsgspecError) as error:
        raise BadData(f"it cannot be encoded: {error}") from error
    body = bytes((FORM,)) + payload
    return _checksum(body, key) + body


def decoded_service(value: object, *key: bytes) -> RegisteredService:
    """Return the service, its texts shared as its adapter had them; raises BadData."""
    try:
        service = _SERVICE.decode(_opened(value, key))
    except msgspec.MsgspecError as error:
        raise BadData(f"it cannot be decoded: {error}") from error
    # Decoded a moment ago and seen by nobody: to make them anew would take as long as to decode.
    _set = object.__setattr__
    for part in ("namespace", "group", "version"):
        _set(service.id, part, repeated.text(getattr(service.id, part)))
    if service.metadata:
        _set(service, "metadata", repeated.pairs(service.metadata))
    for instance in service.instances:
        if instance.metadata:
            _set(instance, "metadata", repeated.pairs(instance.metadata))
        _set(instance, "zone", repeated.text(instance.zone))
        for port in instance.ports:
            _set(port, "protocol", repeated.text(port.protocol))
    for consumer in service.consumers:
        _set(consumer, "metadata", repeated.pairs(consumer.metadata))
        _set(consumer, "application", repeated.text(consumer.application))
    return service


def decoded_announcements(value: object, *key: bytes) -> tuple[Announcement, ...]:
    """Return the announcements; raises BadData."""
    try:
        return _ANNOUNCEMENTS.decode(_opened(value, key))
    except msgspec.MsgspecError as error:
        raise BadData(f"it cannot be decoded: {error}") from error


def decoded_count(value: object, *key: bytes) -> int:
    """Return the number; raises BadData."""
    try:
        return _COUNT.decode(_opened(value, key))
    except msgspec.MsgspecError as error:
        raise BadData(f"it cannot be decoded: {error}") from error


def text(raw: object) -> str:
    """Return a column's bytes as text; raises BadData."""
    if not isinstance(raw, bytes):
        raise BadData(f"a key is no text but {type(raw).__name__}")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BadData(f"a key is no text: {error}") from error


def key_bytes(*parts: str) -> tuple[bytes, ...]:
    """Return the parts of a key as they are checked; raises BadData for half a character."""
    try:
        return tuple(part.encode() for part in parts)
    except UnicodeEncodeError as error:
        raise BadData(f"its name is no text: {error}") from error


def _opened(value: object, key: tuple[bytes, ...]) -> memoryview:
    if not isinstance(value, bytes) or len(value) <= _HEAD:
        raise BadData("it is cut short")
    body = memoryview(value)[_CHECKSUM:]
    if value[:_CHECKSUM] != _checksum(body, key):
        raise BadData("it is not what was written (checksum)")
    if body[0] != FORM:
        raise BadData(f"it has the form {body[0]}, and this version reads {FORM}")
    return body[1:]


def _checksum(body: bytes | memoryview, key: tuple[bytes, ...]) -> bytes:
    checksum = zlib.crc32(body)
    for part in key:
        checksum = zlib.crc32(part, zlib.crc32(b"\0", checksum))
    return checksum.to_bytes(_CHECKSUM, "big")
