"""Knows which tasks an adapter's watch has started, however deep, and what outlives it.

What tells them from all others is the context in which they were started: tasks inherit it from
whoever starts them. Before Python 3.12 a task does not show its context, so it is looked at when a
task is made. A library that starts a task for the whole process when an adapter first uses it must
start it in a context of its own (``contextvars.Context().run(...)``); gRPC's asyncio has none:
all its tasks belong to calls, and what it keeps for the process is a thread.
"""

import asyncio
from collections.abc import Coroutine, Generator, Iterable
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

T = TypeVar("T")
_NAMES = 5
"""Tasks that are named one by one."""


class Lineage:
    """The tasks of one watch: the first, and those started in it or in one of them."""

    def __init__(self, registry: str) -> None:
        """Belong to the adapter of ``registry``."""
        self.registry = registry

    def start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Start the first task."""
        loop = asyncio.get_running_loop()
        earlier = loop.get_task_factory()
        if not isinstance(earlier, _Factory):
            # It stays for as long as the loop: another supervisor may be using it as well.
            loop.set_task_factory(cast("Any", _Factory(earlier)))
        context = copy_context()
        context.run(_LINEAGE.set, self)
        return loop.create_task(work, name=name, context=context)

    def alive(self) -> set[asyncio.Task[Any]]:
        """Return those that have not ended."""
        loop = asyncio.get_running_loop()
        return {task for task in asyncio.all_tasks(loop) if lineage_of(task, loop) is self}


_LINEAGE: ContextVar[Lineage | None] = ContextVar("meshbridge_lineage", default=None)


def lineage_of(task: asyncio.Task[Any] | None, loop: asyncio.AbstractEventLoop) -> Lineage | None:
    """Return the watch in which the task was started, if in one; from whatever thread."""
    factory = loop.get_task_factory()
    if task is None or not isinstance(factory, _Factory):
        return None
    return factory.lineages.get(task)


def names_of(tasks: Iterable[asyncio.Task[Any]]) -> str:
    """Return the names of tasks in one bounded text, the same at each start of the same ones."""
    names = sorted({_name(task) for task in tasks})
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def abandon(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Wait for these tasks nowhere any more: ``asyncio.run`` would for ever, they do not end.

    ``asyncio._unregister_task`` is documented for whoever extends asyncio ("Extending").
    """
    for task in tasks:
        asyncio._unregister_task(task)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - see above


def _name(task: asyncio.Task[Any]) -> str:
    coroutine: str = getattr(task.get_coro(), "__qualname__", "")
    name = task.get_name()
    # A default name is a number, another one at each start.
    return coroutine if coroutine and name.startswith("Task-") else name


class _Factory:
    """Makes the loop's tasks and notes in which watch each was started."""

    def __init__(self, earlier: Any) -> None:  # noqa: ANN401 - its type differs between versions
        self._make: Any = earlier or _plain
        self.lineages: WeakKeyDictionary[asyncio.Task[Any], Lineage] = WeakKeyDictionary()

    def __call__(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, T] | Generator[Any, None, T],
        **options: Any,  # noqa: ANN401 - whatever this version of asyncio passes on
    ) -> asyncio.Task[T]:
        task: asyncio.Task[T] = self._make(loop, coroutine, **options)
        context = options.get("context")
        lineage = _LINEAGE.get() if context is None else context.get(_LINEAGE)
        if lineage is not None:
            self.lineages[task] = lineage
            task.add_done_callback(_let_go)
        return task


def _let_go(task: asyncio.Task[Any]) -> None:
    """Let a cancelled task go of its frames, and of all that these hold.

    ``TaskGroup.__aexit__`` keeps the CancelledError in a frame that the error's traceback holds
    (before Python 3.13): a circle that nothing leads to. Whoever awaits the task is told of its
    cancellation by a CancelledError of its own.
    """
    if not task.cancelled():
        return
    try:
        task.exception()
    except asyncio.CancelledError as error:
        error.__traceback__ = None


def _plain(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, T],
    **options: Any,  # noqa: ANN401 - as above
) -> asyncio.Task[T]:
    return asyncio.Task(coroutine, loop=loop, **options)
