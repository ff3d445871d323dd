"""Protobuf's wire format by hand, for joining what was encoded before without encoding it again.

Field numbers are those of ``envoy/service/discovery/v3/discovery.proto``, which never change.
"""

_SEVEN_BITS = 0x7F
_FOURTEEN_BITS = 0x3FFF


def varint(number: int) -> bytes:
    """Return a non-negative number as a base-128 varint."""
    if number <= _SEVEN_BITS:
        return bytes((number,))
    if number <= _FOURTEEN_BITS:  # almost all there are: a resource has a few hundred bytes
        return bytes((number & _SEVEN_BITS | 0x80, number >> 7))
    out = bytearray()
    while number > _SEVEN_BITS:
        out.append(number & _SEVEN_BITS | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def message_field(number: int, body: bytes) -> bytes:
    """Return a length-delimited field (message, string, bytes); fields below 16 only."""
    return bytes((number << 3 | 2,)) + varint(len(body)) + body


def text_field(number: int, text: str) -> bytes:
    """Return a string field, or nothing for the empty string as proto3 does."""
    return message_field(number, text.encode()) if text else b""


def packed_any(type_url: str, value: bytes) -> bytes:
    """Return an encoded ``google.protobuf.Any`` that holds an encoded message."""
    return text_field(1, type_url) + (message_field(2, value) if value else b"")


def state_response(type_url: str, version: str, nonce: str, resources: bytes) -> bytes:
    """Return a ``DiscoveryResponse``; ``resources`` are its field 2, joined."""
    return b"".join(
        (text_field(1, version), resources, text_field(4, type_url), text_field(5, nonce))
    )


def delta_resource(name: str, version: str, body: bytes) -> bytes:
    """Return one ``resources`` field of a ``DeltaDiscoveryResponse``."""
    spelled = name.encode()
    content = b"".join(
        (
            text_field(1, version),
            b"\x12",
            varint(len(body)),
            body,
            b"\x1a",
            varint(len(spelled)),
            spelled,
        )
    )
    return b"".join((b"\x12", varint(len(content)), content))


def delta_response(type_url: str, version: str, nonce: str, resources: bytes) -> bytes:
    """Return a ``DeltaDiscoveryResponse``; ``resources`` are its fields 2 and 6, joined."""
    return b"".join(
        (text_field(1, version), resources, text_field(4, type_url), text_field(5, nonce))
    )


def delta_removed(name: str) -> bytes:
    """Return one ``removed_resources`` field of a ``DeltaDiscoveryResponse``."""
    return message_field(6, name.encode())
