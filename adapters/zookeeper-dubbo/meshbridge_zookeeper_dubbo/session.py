"""One connection to one ZooKeeper server: questions, watches, and one stream of what comes.

It lives until anything goes wrong with it, and then says so at once: nothing is repeated, resumed
or remembered here. Whoever wants to go on connects anew and asks for everything again, so that
there is one way back from every fault and it is the way of the first start.
"""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from functools import partial

from structlog.typing import FilteringBoundLogger

from meshbridge import RegistryRejected, RegistryUnavailable
from meshbridge.apart import to_the_end
from meshbridge.client_tls import make_context
from meshbridge.settings.client_tls import ClientTls
from meshbridge_zookeeper_dubbo.options import Options, Server
from meshbridge_zookeeper_dubbo.persistent import (
    NO_NODE,
    AddWatch,
    Event,
    Read,
    ReadMany,
    ReadOne,
    Result,
    Results,
    Sync,
)
from meshbridge_zookeeper_dubbo.session_client import Client, Login, Wire
from meshbridge_zookeeper_dubbo.session_inbox import Inbox
from meshbridge_zookeeper_dubbo.session_kazoo import (
    AuthFailedError,
    ConnectionLoss,
    Request,
    SessionExpiredError,
    ZookeeperError,
)
from meshbridge_zookeeper_dubbo.session_reasons import code_of, explain, protected

PARTING = 0.5
"""Seconds that a server gets to close the connection when asked to."""
SHORTEST_TRY = 1.0
"""Seconds that each server gets at least to be connected to."""
MOST_ASKED = 100
"""Answers that may be outstanding: kazoo's pipe to its thread holds little more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one question of the session, or of several that were asked at once."""

    number: int
    """Which of them, as it returned it."""
    results: Sequence[Result]
    """One for each question; of a watch or sync none, or the code of why it is refused."""
    size: int
    """Bytes of the results."""


class Session:
    """Asks one server and hears from it; every method raises RegistryUnavailable once it is over.

    Paths are those below the chroot. Answers and events come in the order in which the server made
    them: what an event tells is in every answer that comes after it.
    """

    def __init__(
        self, server: Server, options: Options, logger: FilteringBoundLogger, connection: Wire
    ) -> None:
        loop = asyncio.get_running_loop()
        self.server = server
        self.logger = logger
        self._loop = loop
        self._chroot = options.chroot
        self._username = options.username
        self._in_the_clear = connection.tls is None
        self._inbox: Inbox[Event | Answer] = Inbox(loop)
        self._ready: asyncio.Future[None] = loop.create_future()
        self._over = asyncio.Event()
        self._reason: RegistryUnavailable | RegistryRejected | None = None
        self._asked = 0
        self._client = Client(connection, self)
        self._client.open()

    def sync(self) -> int:
        """Have the server catch up with its leader; return the answer's number."""
        return self._send(Sync(self._absolute("/")), 1)

    def watch(self, path: str) -> int:
        """Watch a node and all that is below it, there or not; return the answer's number."""
        return self._send(AddWatch(self._absolute(path)), 1)

    def ask(self, reads: Sequence[Read], *, watching: bool = False) -> int:
        """Ask for children and data; return the answer's number.

        ``watching`` asks one question and sets ZooKeeper's watch of old, which tells one event.
        Not more than :data:`MOST_ASKED` answers may be outstanding.
        """
        absolute = [Read(self._absolute(path), want) for path, want in reads]
        if watching:
            (one,) = absolute
            return self._send(ReadOne(one), 1)
        return self._send(ReadMany(absolute), len(absolute))

    async def take(self) -> list[Event | Answer]:
        """Wait for what comes next, and return all that is there, in its order.

        Raises RegistryUnavailable or RegistryRejected as soon as the connection is over.
        """
        self.check()
        items = await self._inbox.take()
        self.check()
        return items

    def check(self) -> None:
        """Raise why the connection is over, if it is."""
        if self._reason is not None:
            raise self._reason

    def wake(self) -> None:
        """Have :meth:`take` return, also if there is nothing."""
        self._inbox.wake()

    def unavailable(self, reason: str) -> RegistryUnavailable:
        """Return the error that names the server and the reason."""
        return RegistryUnavailable(f"{self.server}: {reason}")

    def protected(self, path: str) -> RegistryRejected:
        """Return the error that names a node which may not be read, and the remedy."""
        return protected(self.server, self._username, self._absolute(path))

    async def known(self) -> None:
        """Wait until the server has let us in; raises why it has not."""
        await asyncio.shield(self._ready)

    async def close(self) -> None:
        """Leave no thread, socket or session behind; takes little more than PARTING seconds."""
        if self._ready.done() and not self._over.is_set():
            self._client.take_leave()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PARTING):
                    await self._over.wait()
        self._client.abort()
        await self._over.wait()
        self._client.free()

    # What follows is called on kazoo's thread.

    def connected(self) -> None:
        """Take it that the server knows us."""
        self._loop.call_soon_threadsafe(self._let_in)

    def event(self, event: Event) -> None:
        """Take what a watch tells; raises Overrun."""
        self._inbox.put(Event(event.happened, event.path[len(self._chroot) :] or "/"))

    def answered(self, number: int, results: Sequence[Result], size: int) -> None:
        """Take an answer; raises Overrun."""
        self._inbox.put(Answer(number, results, size))

    def ended(self, reason: Exception) -> None:
        """Take it that the connection is over."""
        self._loop.call_soon_threadsafe(self._end, reason)

    def _let_in(self) -> None:
        if not self._ready.done():
            self._ready.set_result(None)

    def _end(self, reason: Exception) -> None:
        unheard = self._in_the_clear and not self._ready.done()
        self._reason = explain(self.server, reason, unheard=unheard)
        if not self._ready.done():
            self._ready.set_exception(self._reason)
            self._ready.exception()  # seen, also if nobody waits for it any more
        self._over.set()
        self._inbox.wake()

    def _absolute(self, path: str) -> str:
        return (self._chroot if path == "/" else self._chroot + path) or "/"

    def _send(self, request: Request, questions: int) -> int:
        self.check()
        self._asked += 1
        self._client.ask(request, _Reply(self, self._asked, questions))
        return self._asked


class _Reply:
    """Hands on what came of one request."""

    def __init__(self, session: Session, number: int, questions: int) -> None:
        self._session = session
        self._number = number
        self._questions = questions

    def set(self, value: object) -> None:
        if not isinstance(value, Results):
            value = Results([NO_NODE], 0)  # kazoo's word for a node that does not even exist
        self._session.answered(self._number, value.each, value.size)

    def set_exception(self, exception: Exception) -> None:
        if isinstance(exception, (ConnectionLoss, SessionExpiredError, AuthFailedError)):
            return  # the end of the connection is told in any case
        if not isinstance(exception, ZookeeperError):
            raise exception  # an answer that cannot be read: ends the connection
        self._session.answered(self._number, [code_of(exception)] * self._questions, 0)


@contextlib.asynccontextmanager
async def connected(options: Options, logger: FilteringBoundLogger) -> AsyncGenerator[Session]:
    """Give a session with the first server that answers, of all in any order.

    It is found within the session's timeout, or a second for each server if that is more. Raises
    RegistryUnavailable with what each server said, and RegistryRejected if one refuses us. Leaving
    it closes everything, in little more than half a second, however it is left.
    """
    servers = random.sample(options.servers, len(options.servers))
    patience = max(SHORTEST_TRY, options.session_timeout.total_seconds() / len(servers))
    reasons: list[str] = []
    async with contextlib.AsyncExitStack() as stack:
        for server in servers:
            try:
                session = await stack.enter_async_context(
                    _connected(server, options, logger, patience)
                )
            except RegistryUnavailable as unavailable:
                reasons.append(str(unavailable))
                continue
            yield session
            return
    raise RegistryUnavailable("; ".join(reasons))


@contextlib.asynccontextmanager
async def _connected(
    server: Server, options: Options, logger: FilteringBoundLogger, patience: float
) -> AsyncGenerator[Session]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(patience):
            connection = await reach(server, patience)
    except (OSError, UnicodeError) as error:  # UnicodeError: no name that DNS could know
        raise explain(server, error) from None
    tls = options.tls if isinstance(options.tls, ClientTls) else None
    wire = Wire(
        host=server.host,
        socket=connection,
        tls=partial(make_context, tls) if tls is not None else None,
        patience=patience,
        session=options.session_timeout.total_seconds(),
        largest=options.max_reply,
        login=(
            Login(options.username, options.password.reveal(), sasl=options.sasl is not None)
            if options.username
            else None
        ),
    )
    try:
        session = Session(server, options, logger, wire)
    except OSError as error:  # too many files are open
        connection.close()
        raise explain(server, error) from None
    try:
        try:
            async with asyncio.timeout_at(began + patience):
                await session.known()
        except TimeoutError as error:
            raise explain(server, error) from None
        yield session
    finally:
        await to_the_end(session.close())


async def reach(server: Server, patience: float) -> socket.socket:
    """Return a socket that is connected to one of the server's addresses; raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    failure: OSError = TimeoutError()
    for family, kind, protocol, _, address in found:
        with contextlib.ExitStack() as stack:
            try:
                connection = stack.enter_context(socket.socket(family, kind, protocol))
                connection.settimeout(0)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                async with asyncio.timeout(patience / len(found)):
                    await loop.sock_connect(connection, address)
            except OSError as error:  # TimeoutError is one
                failure = error
            else:
                stack.pop_all()
                return connection
    raise failure
