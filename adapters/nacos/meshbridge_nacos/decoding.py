"""Decodes the JSON that a server sends: whatever is wrong with it, one error says what it was."""

from typing import TypeVar

import msgspec

T = TypeVar("T")
LARGE = 256 * 1024
"""Bytes of a message above which instances are left for whoever reads them to decode."""


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


def decode_message(body: bytes, what: str) -> dict[str, object]:
    """Return a message's fields.

    In a large one, ``serviceInfo.hosts`` is a list of ``msgspec.Raw``: to decode 12,000 instances
    at once would hold up the loop for over 20 ms. Raises UnreadableError.
    """
    if len(body) <= LARGE:
        return decode(body, dict[str, object], what)
    return _decode_but(body, what, ("serviceInfo", "hosts"))


def _decode_but(body: bytes | msgspec.Raw, what: str, path: tuple[str, ...]) -> dict[str, object]:
    fields = decode(body, dict[str, msgspec.Raw], what)
    return {
        name: _decode_path(raw, what, path[1:]) if name == path[0] else decode(raw, object, what)
        for name, raw in fields.items()
    }


def _decode_path(raw: msgspec.Raw, what: str, path: tuple[str, ...]) -> object:
    first = bytes(memoryview(raw)[:1])
    if path:
        return _decode_but(raw, what, path) if first == b"{" else decode(raw, object, what)
    return decode(raw, list[msgspec.Raw] if first == b"[" else object, what)


def fit(decoded: object, kind: type[T], what: str) -> T:
    """Return what was decoded as a ``kind``. Raises UnreadableError."""
    try:
        return msgspec.convert(decoded, kind)
    except msgspec.ValidationError as error:
        raise UnreadableError(f"{what} cannot be read: {error}") from None
