"""When a process is to stop: it hears of it at any moment, and is gone in time whatever hangs."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Final, Self

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Stopping:
    """Hears SIGTERM and SIGINT from the moment it is entered; of the main thread only.

    The first signal asks for an end, and puts the system's own handlers back: a second one ends
    the process at once, with 143 or 130, even while the event loop is blocked. That is also why
    these are no handlers of the loop's.
    """

    def __init__(self, limit: "Limit") -> None:
        """Begin the limit with the first signal."""
        self.signal: str | None = None
        """The name of the first signal."""
        self._limit = limit
        self._tell: Callable[[], object] | None = None
        self._before = [(each, signal.getsignal(each)) for each in SIGNALS]

    def __enter__(self) -> Self:
        """Hear from now on."""
        for each in SIGNALS:
            signal.signal(each, self._hear)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put back who heard before, unless the process is about to end."""
        if self.signal is None:
            for each, handler in self._before:
                signal.signal(each, handler)

    async def asked(self) -> str:
        """Wait for the first signal; return its name."""
        loop, heard = asyncio.get_running_loop(), asyncio.Event()
        self._tell = lambda: loop.call_soon_threadsafe(heard.set)
        try:
            while self.signal is None:
                await heard.wait()
        finally:
            self._tell = None
        return self.signal

    def _hear(self, number: int, _: FrameType | None) -> None:
        _let_signals_end_the_process()
        self.signal = signal.Signals(number).name
        self._limit.begin(0)
        if self._tell is not None:
            self._tell()


def _let_signals_end_the_process() -> None:
    for each in SIGNALS:
        # The kernel keeps the first process of a container from ending by the system's handlers.
        signal.signal(each, signal.SIG_DFL if os.getpid() != 1 else _end_at_once)


def _end_at_once(number: int, _: FrameType | None) -> None:
    os._exit(128 + number)


class Limit:
    """Ends the process a while after it should have begun to end, unless it is gone by then.

    By a thread, since what hangs may be the event loop, another thread that the interpreter waits
    for, or what a library does at the very end.
    """

    def __init__(
        self,
        seconds: float,
        last_words: Callable[[], None],
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        """Take what to say before the process ends that way; it is said by the thread."""
        self._seconds, self._last_words, self._leave = seconds, last_words, leave
        self._code = 0
        self._begun = threading.Event()
        self._lifted = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="limit", daemon=True)

    def __enter__(self) -> Self:
        """Be ready to begin."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Forget it, unless it has begun: then it holds for the end of the interpreter, too."""
        if not self._begun.is_set():
            self.lift()

    def begin(self, code: int) -> None:
        """Begin to count, unless that was done; the process may end with the code."""
        if not self._begun.is_set():
            self._code = code
            self._begun.set()

    def lift(self) -> None:
        """Never end the process."""
        self._lifted.set()
        self._begun.set()
        self._thread.join()

    def _watch(self) -> None:
        self._begun.wait()
        if self._lifted.wait(self._seconds):
            return
        try:
            self._last_words()
        finally:
            self._leave(self._code)
