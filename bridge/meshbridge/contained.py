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


def spent(error: BaseException) -> None:
    """Let go of what an exception holds that was told and is of no interest any more.

    Its traceback, and that of each behind it, holds all that the adapter's calls held, and mostly
    itself: without this it would wait for the garbage collector, which comes late in a process that
    holds much.
    """
    left, seen = [error], set[int]()
    while left:
        each = left.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        each.__traceback__ = None
        if isinstance(each, BaseExceptionGroup):
            left.extend(cast("BaseExceptionGroup[BaseException]", each).exceptions)
        left.extend(other for other in (each.__cause__, each.__context__) if other is not None)
