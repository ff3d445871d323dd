"""Runs a coroutine in a task of its own, so that whoever waits for it can always be cancelled."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

T = TypeVar("T")


async def apart(work: Coroutine[object, object, T]) -> T:
    """Return what ``work`` returns, or raise what it raises.

    Cancelled, it cancels ``work``, waits for its end and raises CancelledError whatever that end
    was. Awaited directly, work could turn a cancellation into an error, and whoever catches errors
    and goes on could never be ended. Every TaskGroup before Python 3.13 does so when its children
    fail while it is being cancelled, and leaves ``Task.cancelling`` wrong (python/cpython#116720).
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen, and of no interest any more
        raise
    return task.result()


def _nothing() -> None:
    pass


async def to_the_end(
    work: Coroutine[object, object, None], hurry: Callable[[], None] = _nothing
) -> None:
    """Wait for the end of ``work``, which ends by itself, also when cancelled meanwhile.

    ``hurry`` is called then: it may let the work end sooner.
    """
    task = asyncio.create_task(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
            hurry()
    task.result()
    if cancelled:
        raise asyncio.CancelledError
