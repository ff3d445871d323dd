"""Cancels an adapter's watch at many different awaits and tells what it left behind."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

from meshbridge.testing.recording import Recorder, context
from meshbridge.testing.registry import RegistryUnderTest
from meshbridge.watch import TASK_GRACE

T = TypeVar("T")
STEPS = 25
"""Turns of the loop after each of which a watch is cancelled."""
MOMENTS = 15
"""Moments from the start to a little after the first listing at which one is cancelled."""
GRACE = 5.0
"""Seconds in which threads and files may end after the watch has; tasks have what the bridge gives
them."""
LATER_GRACE = 0.25
"""Seconds that tasks have once some did not end, so that a look at an adapter that leaks ends."""


@dataclass(frozen=True, slots=True)
class Leaks:
    """What was left, with the moment of the first leak for tasks."""

    tasks: tuple[str, ...]
    threads: tuple[str, ...]
    files: tuple[str, ...]


def find_leaks(make: Callable[[], RegistryUnderTest]) -> Leaks:
    """Run and cancel watches of one registry; return what was still there in the end."""
    threads, files = set(threading.enumerate()), _open_files()
    tasks = asyncio.run(_cancel_everywhere(make()))
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline:
        if set(threading.enumerate()) <= threads and _open_files() <= files:
            break
        gc.unfreeze()  # what lived when much was loaded is out of its sight
        gc.collect()  # a cycle is no leak, and holds what has an end: gRPC's poller, say
        time.sleep(0.01)
    return Leaks(
        tasks=tuple(tasks),
        threads=tuple(sorted(each.name for each in set(threading.enumerate()) - threads)),
        files=tuple(sorted(target for _, target in _open_files() - files)),
    )


class _Descendants:
    """Knows the tasks that the watch started, and those that these started.

    A registry that runs on the same loop has tasks of its own, which are none of the adapter's;
    what tells them apart is the context in which they were started.
    """

    def __init__(self) -> None:
        self._mark = ContextVar("watched", default=False)
        self._tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        asyncio.get_running_loop().set_task_factory(self._make)

    def _make(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, T] | Generator[Any, None, T],
        **options: Any,  # noqa: ANN401 - whatever this version of asyncio passes on
    ) -> asyncio.Task[T]:
        task = asyncio.Task(coroutine, loop=loop, **options)
        if self._mark.get():
            self._tasks.add(task)
        return task

    def start(self, watch: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start a watch, of which every task is a descendant from now on."""
        marked = copy_context()
        marked.run(self._mark.set, True)  # noqa: FBT003 - a variable's value
        return asyncio.create_task(watch, context=marked)

    def running(self) -> list[asyncio.Task[Any]]:
        """Return the descendants that have not ended."""
        return [task for task in asyncio.all_tasks() if task in self._tasks]


async def _cancel_everywhere(registry: RegistryUnderTest) -> list[str]:
    descendants = _Descendants()
    await registry.start()
    try:
        for port in (8081, 8082):
            await registry.add("orders", "127.0.0.1", port)
        left: list[str] = []
        for step in range(STEPS):
            when = f"{step} turns of the loop"
            left += await _cancel(registry, descendants, when, patient=not left, turns=step)
        whole = await _seconds_to_listing(registry)
        for moment in range(1, MOMENTS + 1):
            seconds = whole * 1.5 * moment / MOMENTS
            when = f"{seconds:.3f} s"
            left += await _cancel(registry, descendants, when, patient=not left, seconds=seconds)
        return left
    finally:
        await registry.stop()


async def _cancel(
    registry: RegistryUnderTest,
    descendants: _Descendants,
    when: str,
    *,
    patient: bool,
    turns: int = 0,
    seconds: float = 0.0,
) -> list[str]:
    """Watch so long, cancel, and return the tasks that were left, with the moment."""
    recorder = Recorder()
    watch = descendants.start(_watch(registry, recorder))
    for _ in range(turns):
        await asyncio.sleep(0)
    if seconds:
        await asyncio.sleep(seconds)
    watch.cancel()
    await asyncio.wait([watch], timeout=registry.within)
    if ending := descendants.running():
        await asyncio.wait(ending, timeout=TASK_GRACE if patient else LATER_GRACE)
    left = descendants.running()
    names = [f"{each.get_name()} ({_coroutine(each)}), cancelled after {when}" for each in left]
    for each in left:
        each.cancel()
    if left:
        await asyncio.wait(left, timeout=registry.within)
    return names


async def _watch(registry: RegistryUnderTest, recorder: Recorder) -> None:
    await registry.adapter(context(recorder.report)).watch(recorder.emit)


async def _seconds_to_listing(registry: RegistryUnderTest) -> float:
    recorder = Recorder()
    watch = asyncio.create_task(_watch(registry, recorder))
    begun = time.monotonic()
    try:
        await recorder.until(lambda: bool(recorder.listings()), registry.within, "a Listing")
        return time.monotonic() - begun
    finally:
        watch.cancel()
        await asyncio.wait([watch], timeout=registry.within)


def _coroutine(task: asyncio.Task[object]) -> str:
    coroutine = task.get_coro()
    return getattr(coroutine, "__qualname__", repr(coroutine))


def _open_files() -> set[tuple[str, str]]:
    """Return (descriptor, what it is) of all open files and sockets."""
    folder = Path("/proc/self/fd") if Path("/proc/self/fd").is_dir() else Path("/dev/fd")
    found: set[tuple[str, str]] = set()
    for entry in folder.iterdir():
        with suppress(OSError):  # the descriptor of this very listing has gone
            found.add((entry.name, str(entry.readlink()) if entry.is_symlink() else entry.name))
    return found
