"""Work of one session begins and ends together."""

import asyncio
import inspect

import pytest

from meshbridge_nacos.surroundings import begin_in

pytestmark = pytest.mark.asyncio


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_who_hears_late_that_all_is_being_ended_begins_nothing_and_fails_at_nothing() -> None:
    """A listing may arrive in the very turn in which its session fails."""
    work, ran = for_ever(), list[object]()

    async def late(tasks: asyncio.TaskGroup) -> None:
        try:
            await for_ever()
        finally:
            ran.append(begin_in(tasks, work))

    async def session() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(late(tasks))
            await asyncio.sleep(0)
            raise ConnectionError("lost")

    with pytest.raises(ExceptionGroup) as failed:
        await session()
    assert failed.group_contains(ConnectionError)
    assert len(failed.value.exceptions) == 1
    assert ran == [None]
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED


async def test_else_it_begins() -> None:
    async with asyncio.TaskGroup() as tasks:
        task = begin_in(tasks, for_ever())
        assert task is not None
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()
