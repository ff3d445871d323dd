"""The parts of a process: opened one after the other, watched, and ended in time.

Not a task group: that waits for ever for a task whose cancellation hangs.
"""

import asyncio
from collections.abc import Callable, Coroutine

from structlog.typing import FilteringBoundLogger

OPENING = 1.0
"""Seconds after which the next part starts even if one has not said that its port is open."""

Open = Callable[[], None]
"""Called when a part has opened a port."""


class Parts:
    """Named tasks that run until they are ended."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        """Start with none."""
        self._logger = logger
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def running(self) -> list[str]:
        """The names of those that have not ended."""
        return [name for name, task in self._tasks.items() if not task.done()]

    def start(self, name: str, work: Coroutine[object, object, None]) -> None:
        """Start a part."""
        self._tasks[name] = asyncio.create_task(work, name=name)

    async def open(
        self, name: str, serve: Callable[[Open], Coroutine[object, object, None]]
    ) -> None:
        """Start a part and wait until its port is open; raises what it failed with.

        Each start of the same configuration opens its ports in the same order: of two at the same
        moment one gets the first port, and the other has nothing open when it is refused.
        """
        opened = asyncio.Event()
        self.start(name, serve(opened.set))
        is_open = asyncio.create_task(opened.wait(), name=f"opening of {name}")
        part = self._tasks[name]
        try:
            await asyncio.wait(
                {part, is_open}, timeout=OPENING, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            is_open.cancel()
        if part.done():
            _raise_why(part)

    async def until_one_ends(self) -> None:
        """Wait until a part has ended, which none does by itself; always raises."""
        ended, _ = await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_COMPLETED)
        _raise_why(ended.pop())

    async def end(self, *names: str, within: float) -> None:
        """End the parts of these names that were started; give up after so many seconds."""
        tasks = [task for name in names if (task := self._tasks.get(name)) is not None]
        running = [task for task in tasks if not task.done()]
        for task in running:
            task.cancel()
        if running:
            ended, _ = await asyncio.wait(running, timeout=within)
            for task in ended:
                if not task.cancelled() and (error := task.exception()) is not None:
                    self._logger.error(
                        "failed while it ended", part=task.get_name(), exc_info=error
                    )


def _raise_why(part: asyncio.Task[None]) -> None:
    if not part.cancelled() and (error := part.exception()) is not None:
        raise error
    raise RuntimeError(f"{part.get_name()} has returned; it must run until it is cancelled")


def left(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Return the names of the tasks that have not ended; those nobody named only if all are such.

    May be called by any thread.
    """
    names = sorted({task.get_name() for task in asyncio.all_tasks(loop)})
    return [name for name in names if not name.startswith("Task-")] or names
