"""Reads what is wanted of a ZooKeeper tree and follows its changes, until the connection ends.

The watch comes first and the reading after it, so that nothing is missed between them. Servers of
3.6 and newer tell every change below a root by themselves; on older ones each node is watched on
its own.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Never

from meshbridge import memory
from meshbridge_zookeeper_dubbo.persistent import NO_AUTH, UNIMPLEMENTED, Event, Read
from meshbridge_zookeeper_dubbo.reading_nodes import Node, ProtectedRootError, UnreadableTreeError
from meshbridge_zookeeper_dubbo.reading_state import State
from meshbridge_zookeeper_dubbo.session import Answer, Session
from meshbridge_zookeeper_dubbo.tree import Interest, Listener

SLICE = 0.002
"""Seconds after which others get their turn."""
LATEST = 0.1
"""Seconds after which what was told is said to be one state, even if changes never pause."""
REMEDY = "let the bridge's user read all that is below the roots"
CHECK_EVERY = 1.0
"""Seconds between checks of some nodes for what no watch has told."""
CHECKED_WITHIN = 60.0
"""Seconds in which each node is checked: 700 reads a second for ten thousand interfaces."""
MANY = 5000
"""Answers after which what came of them is put out of the garbage collector's sight."""
NAMES = 200
"""To look at before it is asked whether a slice is over."""
REPLY = 512 * 1024
"""Bytes that the answer to one request shall have; what comes of it is seen afterwards."""
FIRST_QUESTIONS = 32
FORGETTING = 0.7
"""What is left of a large answer's part in what the next is expected to be."""
MOST_QUESTIONS = 64
"""In one request: few enough that lists of a thousand instances, unlooked for, fit in max-reply."""
REQUESTS = 4
"""Outstanding, so that neither side waits for the other."""
SINGLE_REQUESTS = 64
"""Outstanding where each asks one question."""


async def follow(
    session: Session,
    roots: Sequence[str],
    interest: Interest,
    listener: Listener,
    *,
    together: int = MOST_QUESTIONS,
    single_watches: bool = False,
) -> Never:
    """Tell what is below the roots, and then each change, until the connection ends.

    Args:
        session: What is asked; nobody else may ask or take from it meanwhile.
        roots: Paths to read from, each once. One that does not exist holds nothing until it does.
        interest: Says what to read of them and of what is below.
        listener: Is told, on the event loop.
        together: Questions that one request may ask: with one, only what is too large by itself is
            too large.
        single_watches: Speak as to a server before 3.6, whatever it is: no such server is at hand
            in tests.

    Raises RegistryUnavailable once the connection is over or there is too much to be read (see
    reading_state for the bounds), and RegistryRejected if a root may not be read.
    """
    following = _Following(session, roots, interest, listener, together)
    try:
        await following.run(single_watches=single_watches)
    except UnreadableTreeError as error:
        raise session.unavailable(str(error)) from None
    except ProtectedRootError as error:
        raise session.protected(str(error)) from None


class _Following:
    def __init__(
        self,
        session: Session,
        roots: Sequence[str],
        interest: Interest,
        listener: Listener,
        together: int,
    ) -> None:
        self._session = session
        self._together = together
        self._roots = roots
        self._interest = interest
        self._listener = listener
        self._asked: dict[int, list[tuple[Node, Read]]] = {}
        self._weight = REPLY / FIRST_QUESTIONS
        """Bytes that an answer to one question is expected to have."""
        self._answers = 0
        self._clock = asyncio.get_running_loop().time
        self._since = 0.0
        """When the oldest of what was told and is not settled was told, or shortly before."""

    async def run(self, *, single_watches: bool) -> Never:
        await self._catch_up()
        recursive = not single_watches and await self._watch()
        state = State(self._roots, self._interest, self._listener, recursive=recursive)
        loop = asyncio.get_running_loop()
        self._since = check_at = self._clock()
        waking: asyncio.TimerHandle | None = None
        try:
            while True:
                if recursive and self._clock() >= check_at:
                    if not state.nodes.unread:
                        state.nodes.check(CHECK_EVERY / CHECKED_WITHIN)
                    check_at = self._clock() + CHECK_EVERY
                    waking = loop.call_later(CHECK_EVERY, self._session.wake)
                self._ask(state, recursive=recursive)
                self._settle(state, quiet=not state.nodes.busy)
                await self._take(state, recursive=recursive)
        finally:
            if waking is not None:
                waking.cancel()

    async def _take(self, state: State, *, recursive: bool) -> None:
        """Wait for what comes, and take it in slices."""
        items = await self._session.take()
        pause_at = self._clock() + SLICE
        for _ in self._steps(state, items):
            if self._clock() > pause_at:
                self._ask(state, recursive=recursive)
                self._settle(state, quiet=False)
                await asyncio.sleep(0)
                self._session.check()
                pause_at = self._clock() + SLICE

    def _steps(self, state: State, items: Sequence[Event | Answer]) -> Iterator[None]:
        """Take what came, one thing at a time."""
        for item in items:
            if isinstance(item, Event):
                state.happened(item)
                yield
                continue
            questions = self._asked.pop(item.number)
            self._weight = max(item.size / len(questions), FORGETTING * self._weight)
            self._answers += len(questions)
            if self._answers > MANY:
                self._answers = 0
                memory.settle()
            for (node, read), result in zip(questions, item.results, strict=True):
                state.answered(node, read, result)
                while state.find(NAMES):
                    yield
                yield

    def _ask(self, state: State, *, recursive: bool) -> None:
        """Keep the server busy."""
        if not recursive:
            while len(self._asked) < SINGLE_REQUESTS:
                reads = state.next_reads(1)
                if not reads:
                    return
                for question in reads:  # two if both are wanted
                    number = self._session.ask([question[1]], watching=True)
                    self._asked[number] = [question]
            return
        while len(self._asked) < REQUESTS:
            most = max(1, min(self._together, int(REPLY / max(self._weight, 1))))
            reads = state.next_reads(most)
            if not reads:
                return
            self._asked[self._session.ask([read for _, read in reads])] = reads

    def _settle(self, state: State, *, quiet: bool) -> None:
        now = self._clock()
        if not state.told:
            self._since = now
        elif quiet or (not state.nodes.unread and now > self._since + LATEST):
            self._warn(state)
            state.told = False
            self._since = now
            self._listener.settled()

    def _warn(self, state: State) -> None:
        paths = state.overlooked
        if paths:
            self._session.logger.warning(
                "registry-changes-overlooked", first=paths[0], count=len(paths), remedy=REMEDY
            )
            paths.clear()

    async def _catch_up(self) -> None:
        """Have a follower learn first what its leader knows."""
        number = self._session.sync()
        answered = False
        while not answered:
            for item in await self._session.take():
                answered = answered or (isinstance(item, Answer) and item.number == number)

    async def _watch(self) -> bool:
        """Watch the roots; return whether the server can tell what happens below them."""
        session = self._session
        missing = {session.watch(root): root for root in self._roots}
        able = True
        while missing:
            for item in await session.take():
                # What happens before anything is read is in what is read.
                if isinstance(item, Answer) and item.number in missing:
                    root = missing.pop(item.number)
                    able = self._can_watch(root, item) and able
        return able

    def _can_watch(self, root: str, answer: Answer) -> bool:
        match answer.results:
            case []:
                return True
            case [code] if code == UNIMPLEMENTED:
                return False
            case [code] if code == NO_AUTH:
                raise ProtectedRootError(root)
            case codes:
                raise UnreadableTreeError(f"{root} cannot be watched: error {codes}")
