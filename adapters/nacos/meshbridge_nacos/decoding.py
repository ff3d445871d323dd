"""Decodes the JSON that a server sends: whatever is wrong with it, one error says what it was."""

from typing import TypeVar

import msgspec

T = TypeVar("T")


class UnreadableError(ValueError):
    """Its text names what could not be read and why, and quotes nothing of it."""


def decode(body: bytes, kind: type[T], what: str) -> T:
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


def fit(decoded: object, kind: type[T], what: str) -> T:
    """Return what was decoded as a ``kind``. Raises UnreadableError."""
    try:
        return msgspec.convert(decoded, kind)
    except msgspec.ValidationError as error:
        raise UnreadableError(f"{what} cannot be read: {error}") from None
