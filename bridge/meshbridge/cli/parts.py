"""The parts of a process: opened one after the other, watched, and ended in time.

Not a task group: that waits for ever for a task whose cancellation hangs.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from meshbridge.errors import ConfigurationError

OPENING = 1.0
"""Seconds after which the next part starts even if one has not said that its port is open."""

Open = Callable[[], None]
"""Called when a part has opened a port."""
Serve = Callable[[Open], Coroutine[object, object, None]]


@dataclass(frozen=True, slots=True)
class Ways:
    """How a part that is replaced may serve."""

    serve: Serve
    """Otherwise than now; may be called twice."""
    as_before: Serve
    in_the_way: Callable[[ConfigurationError], bool]
    """Whether what serves now may be why it is refused."""


class Parts:
    """Named tasks that run until they are ended."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        """Start with none."""
        self._logger = logger
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._all = set[asyncio.Task[None]]()
        """Also those in whose place others are, and those that were still being opened."""
        self._excused: set[asyncio.Task[None]] = set()
        """Those that may end: they are being opened, or ended."""
        self._news = asyncio.Event()

    @property
    def running(self) -> list[str]:
        """The names of those that have not ended."""
        return sorted(task.get_name() for task in self._all if not task.done())

    def start(self, name: str, work: Coroutine[object, object, None]) -> None:
        """Start a part."""
        self._tasks[name] = task = asyncio.create_task(work, name=name)
        self._all.add(task)
        task.add_done_callback(self._all.discard)
        self._news.set()

    async def open(self, name: str, serve: Serve) -> None:
        """Start a part and wait until its port is open; raises what it failed with.

        Each start of the same configuration opens its ports in the same order: of two at the same
        moment one gets the first port, and the other has nothing open when it is refused.
        """
        opened = asyncio.Event()
        self.start(name, serve(opened.set))
        is_open = asyncio.create_task(opened.wait(), name=f"opening of {name}")
        part = self._tasks[name]
        self._excused.add(part)
        try:
            await asyncio.wait(
                {part, is_open}, timeout=OPENING, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            is_open.cancel()
            self._excused.discard(part)
            self._news.set()
        if part.done():
            del self._tasks[name]
            _raise_why(part)

    async def replace(self, name: str, ways: Ways, *, within: float) -> None:
        """Let a part serve otherwise: beside the old one first, so that nothing is ever closed.

        If the old one is in the way, its port for one, the new one takes its place. Raises
        ConfigurationError if it is refused all the same, or what else it failed with; then it
        serves as before.
        """
        old = self._tasks[name]
        try:
            await self.open(name, ways.serve)
        except Exception as error:
            self._tasks[name] = old
            if not (isinstance(error, ConfigurationError) and ways.in_the_way(error)):
                raise
            await self._finish([old], within)
            try:
                await self.open(name, ways.serve)
            except Exception:
                await self.open(name, ways.as_before)
                raise
        else:
            await self._finish([old], within)

    async def until_one_ends(self) -> None:
        """Wait until a part has ended that was not asked to; always raises."""
        while True:
            self._news.clear()
            watched = {each for each in self._tasks.values() if each not in self._excused}
            news = asyncio.create_task(self._news.wait(), name="news of parts")
            try:
                ended, _ = await asyncio.wait({*watched, news}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                news.cancel()
            for part in (watched & ended) - self._excused:
                _raise_why(part)

    async def end(self, *names: str, within: float) -> None:
        """End the parts of these names that were started; give up after so many seconds."""
        tasks = [task for name in names if (task := self._tasks.get(name)) is not None]
        await self._finish(tasks, within)
        for name, task in list(self._tasks.items()):
            if task in tasks and task.done():
                del self._tasks[name]

    async def end_others(self, *names: str, within: float) -> None:
        """End all that run but these, whatever they were about; give up after so many seconds."""
        await self._finish([task for task in self._all if task.get_name() not in names], within)

    async def _finish(self, tasks: Iterable[asyncio.Task[None]], within: float) -> None:
        running = [task for task in tasks if not task.done()]
        self._excused.update(running)
        self._news.set()
        for task in running:
            task.cancel()
        if running:
            ended, _ = await asyncio.wait(running, timeout=within)
            self._excused -= ended
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
