"""Decodes the JSON that a server sends: whatever is wrong with it, one error says what it was."""

from typing import TypeVar

import msgspec

T = TypeVar("T")

PUSH = "NotifySubscriberRequest"
"""The request by which a server pushes a service."""
_DESCRIBING = {PUSH, "SubscribeServiceResponse"}
"""The messages that describe a service."""


class UnreadableError(ValueError):
    """Its text names what could not be read and why, and quotes nothing of it."""


def decode(body: bytes | msgspec.Raw, kind: type[T], what: str) -> T:
    """Return the JSON as a ``kind``; ``what`` names it in the error.

    Raises UnreadableError.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except UnicodeDecodeError:  # msgspec leaves a text's bytes to Python
        reason = "it is not UTF-8"
    except RecursionError:
        reason = "it is nested too deep"
    except msgspec.MsgspecError as error:
        reason = str(error)
    raise UnreadableError(f"{what} cannot be read: {reason}")


class _ServiceInfo(msgspec.Struct, rename="camel"):
    """What is read of a service's description; whether it fits, whoever reads it finds out."""

    name: object = None
    group_name: object = None
    last_ref_time: object = None
    reach_protection_threshold: object = None
    hosts: msgspec.Raw = msgspec.Raw(b"null")


class _Description(msgspec.Struct, rename="camel"):
    """A message that describes a service."""

    request_id: object = None
    result_code: int = 0
    error_code: int | None = None
    message: str | None = None
    service_info: _ServiceInfo | list[object] | str | int | float | bool | None = None


def decode_message(kind: str, body: bytes, what: str) -> dict[str, object]:
    """Return the fields of a message of a type.

    Of a service's description ``hosts`` stays as it came, as ``msgspec.Raw``: who has the same
    already need not read it, and 12,000 instances at once would hold up the loop for over 20 ms.
    Raises UnreadableError.
    """
    if kind not in _DESCRIBING:
        return decode(body, dict[str, object], what)
    told = decode(body, _Description, what)
    info: object = told.service_info
    if isinstance(info, _ServiceInfo):
        info = {
            "name": info.name,
            "groupName": info.group_name,
            "lastRefTime": info.last_ref_time,
            "reachProtectionThreshold": info.reach_protection_threshold,
            "hosts": info.hosts,
        }
    return {
        "requestId": told.request_id,
        "resultCode": told.result_code,
        "errorCode": told.error_code,
        "message": told.message,
        "serviceInfo": info,
    }


def fit(decoded: object, kind: type[T], what: str) -> T:
    """Return what was decoded as a ``kind``. Raises UnreadableError."""
    try:
        return msgspec.convert(decoded, kind)
    except msgspec.ValidationError as error:
        raise UnreadableError(f"{what} cannot be read: {error}") from None
