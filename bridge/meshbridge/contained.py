"""Keeps what an adapter raises to its own registry.

The only module of the bridge that catches every exception: what comes here was raised by an
adapter, or by what it said, and one registry must not end the service of the others.
"""

from collections.abc import Awaitable, Callable
from typing import cast


async def contained(work: Awaitable[None]) -> Exception | None:
    """Return the exception that ended the work."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - see above
        return first(error)
    return None


def contained_now(work: Callable[[], None]) -> Exception | None:
    """Return the exception that ended the work, which waits for nothing."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - see above
        return first(error)
    return None


def first(error: Exception) -> Exception:
    """Return the first of several exceptions, and one that is no group itself."""
    while isinstance(error, ExceptionGroup):
        error = cast("ExceptionGroup[Exception]", error).exceptions[0]
    return error
