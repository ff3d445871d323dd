"""kazoo's client for one connection, repaired from outside for the version read line by line.

What is repaired, and why:

* it connects once: the socket comes from the event loop, where connecting can be cancelled, and
  whatever ends the connection ends the client, with its reason. kazoo connects again by itself,
  drops every watch on the way and says nothing of it, waits up to an hour between two attempts,
  and falls silent for ever after an exception on its own thread;
* an answer that is larger than the bound is refused by its announced length; kazoo would read it;
* bytes that TLS has decrypted already are read at once; kazoo waits until more arrive on the
  wire, so that of answers that travelled together all but the first came seconds later;
* one thread instead of three: what arrives is handed on by the thread that read it;
* DIGEST-MD5 is answered by :mod:`meshbridge_zookeeper_dubbo.session_sasl`: the library that kazoo
  uses for it is unmaintained and has no wheel.
"""

import contextlib
import logging
import select
import socket
import ssl
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol

from meshbridge.errors import ConfigurationError
from meshbridge_zookeeper_dubbo import session_kazoo as kazoo
from meshbridge_zookeeper_dubbo.persistent import Event, read_event
from meshbridge_zookeeper_dubbo.session_kazoo import AuthFailedError, ConnectionDropped
from meshbridge_zookeeper_dubbo.session_sasl import DigestMd5

REPAIRED = "2.11.0"
"""The version of kazoo that was read line by line for this."""
_QUIET = logging.Logger("kazoo", logging.CRITICAL + 1)  # noqa: LOG001 - in no hierarchy, no file


class TooLargeError(Exception):
    """An answer is announced that is larger than the bound."""

    def __init__(self, length: int, bound: int) -> None:
        """Say how large."""
        super().__init__(f"an answer of {length} bytes, where at most {bound} are read")


class ForeignProtocolError(Exception):
    """Who answers does not speak ZooKeeper's protocol."""

    def __init__(self, length: bytes) -> None:
        """Say what stands where the length of an answer should."""
        super().__init__(f"it does not speak ZooKeeper's protocol: it answers {length.decode()!r}")


class Told(Protocol):
    """Is told what happens to a client, on kazoo's thread; never waits."""

    def connected(self) -> None:
        """Take it that the server knows us."""

    def event(self, event: Event) -> None:
        """Take what a watch tells."""

    def ended(self, reason: Exception) -> None:
        """Take it that the connection is over, and why; nothing comes after it."""


@dataclass(frozen=True, slots=True)
class Login:
    """Whom to log in as."""

    username: str
    password: str
    sasl: bool


@dataclass(frozen=True, slots=True)
class Wire:
    """How to speak to one server."""

    host: str
    """The name that its certificate must carry."""
    socket: socket.socket
    """Connected to it."""
    tls: Callable[[], ssl.SSLContext] | None
    """Makes the context; reads files."""
    patience: float
    """Seconds that TLS and each part of the login may take."""
    session: float
    """Seconds of silence after which the server forgets us."""
    largest: int
    """Bytes that one answer may have."""
    login: Login | None


def check_version() -> None:
    """Raise ConfigurationError when another version of kazoo is installed than the repaired."""
    found = version("kazoo")
    if found != REPAIRED:
        raise ConfigurationError(
            f"kazoo {found} is installed, but {REPAIRED} is needed; install that one"
        )


class Client(kazoo.Client):
    """One connection's worth of kazoo's client."""

    def __init__(self, wire: Wire, told: Told) -> None:
        login = wire.login
        in_the_clear = login is not None and not login.sasl
        super().__init__(
            hosts="unused",  # the socket is there already
            timeout=wire.session,
            handler=_Handler(wire),
            auth_data=[("digest", f"{login.username}:{login.password}")]
            if login and in_the_clear
            else [],
            logger=_QUIET,
        )
        # Closed on its own: another descriptor of the same connection can be shut down safely
        # while kazoo's thread uses, wraps or closes the first.
        self._handle = wire.socket.dup()
        self._wired = _Connection(self, self._conn_retry, wire, told)
        self._connection = self._wired

    def open(self) -> None:
        """Start its thread; raises OSError, and then it holds nothing."""
        try:
            self.start_async()
        except OSError:
            self._handle.close()
            raise

    def ask(self, request: kazoo.Request, reply: kazoo.Reply) -> None:
        """Send a request; may be called on any thread.

        Not more than a hundred may wait to be sent: kazoo's pipe to its thread then blocks.
        """
        self._call(request, reply)

    def take_leave(self) -> None:
        """Ask the server to forget us and to close; the connection ends when it has."""
        self._stopped.set()
        self._queue.append((kazoo.CLOSE, None))
        with contextlib.suppress(OSError):
            self._wired.wake()

    def abort(self) -> None:
        """End the connection now, whatever its thread waits for."""
        self._stopped.set()
        with contextlib.suppress(OSError):  # it is not connected any more
            self._handle.shutdown(socket.SHUT_RDWR)

    def forget(self) -> None:
        """Answer whatever is still asked with an error."""
        self._session_callback(kazoo.CLOSED)

    def free(self) -> None:
        """Wait for the thread, which must have said that it ended, and free what it held."""
        self.handler.stop()
        self._connection.stop()
        self.close()
        self._handle.close()
        vars(self).clear()  # kazoo's recipes hold their client: a circle that holds all the rest


class _Handler(kazoo.Handler):
    """Gives kazoo the one socket; runs no threads for callbacks, as there are none."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def start(self) -> None:
        self._running = True

    def stop(self) -> None:
        self._running = False

    def create_connection(self, **_: object) -> socket.socket:
        wire = self._wire
        wire.socket.settimeout(wire.patience)
        if wire.tls is None:
            return wire.socket
        return wire.tls().wrap_socket(wire.socket, server_hostname=wire.host)

    def select(
        self,
        rlist: Sequence[socket.socket],
        wlist: Sequence[socket.socket],
        xlist: Sequence[socket.socket],  # noqa: ARG002 - kazoo's own takes it
        timeout: float | None = None,
    ) -> tuple[list[socket.socket], list[socket.socket], list[socket.socket]]:
        """Return what can be read or written, bytes that TLS has decrypted included."""
        decrypted = [each for each in rlist if isinstance(each, ssl.SSLSocket) and each.pending()]
        poll = select.poll()
        for each in rlist:
            poll.register(each, select.POLLIN)
        for each in wlist:
            poll.register(each, select.POLLOUT)
        wait = 0.0 if decrypted else timeout
        ready = {number for number, _ in poll.poll(None if wait is None else wait * 1000)}
        readable = [each for each in rlist if each.fileno() in ready or each in decrypted]
        return readable, [each for each in wlist if each.fileno() in ready], []


class _Connection(kazoo.ConnectionHandler):
    """One connection, never another; says once why it ended."""

    def __init__(self, client: Client, retry: kazoo.Retry, wire: Wire, told: Told) -> None:
        sasl = wire.login is not None and wire.login.sasl
        super().__init__(client, retry, logger=_QUIET, sasl_options={} if sasl else None)
        self._mine = client
        self._wire = wire
        self._told = told
        self._cause: Exception | None = None

    def wake(self) -> None:
        """Have the thread look at its queue."""
        if self._write_sock is not None:
            self._write_sock.send(b"\0")

    def zk_loop(self) -> None:
        self.connection_stopped.clear()
        try:
            self._connect_attempt(self._wire.host, self._wire.host, 0, self.retry_sleeper)
        except Exception as error:  # noqa: BLE001 - handed on: nobody else hears it on this thread
            self._note(error)
        finally:
            if self._mine.client_state == kazoo.AUTH_FAILED:
                self._cause = AuthFailedError()
            self._wire.socket.close()
            self._mine.forget()
            self.connection_stopped.set()
            # Its traceback holds this connection, and that what was read.
            cause, self._cause = self._cause, None
            self._told.ended(cause or ConnectionDropped("the server closed it"))

    def _connect(self, host: str, hostip: str, port: int) -> tuple[float, float]:
        timeouts = super()._connect(host, hostip, port)
        self._told.connected()
        return timeouts

    @contextlib.contextmanager
    def _socket_error_handling(self) -> Generator[None]:
        try:
            yield
        except OSError as error:
            self._note(error)
            raise ConnectionDropped(str(error)) from error
        except Exception as error:
            self._note(error)
            raise

    def _note(self, error: Exception) -> None:
        self._cause = self._cause or error

    def _read(self, length: int, timeout: float) -> bytes:
        if not 0 <= length <= self._wire.largest:
            sign = length.to_bytes(4, "big", signed=True)
            if sign.isascii() and sign.decode().isprintable():
                raise ForeignProtocolError(sign)
            raise TooLargeError(length, self._wire.largest)
        return super()._read(length, timeout)

    def _read_watch_event(self, buffer: bytes, offset: int) -> None:
        event = read_event(buffer, offset)
        if event is not None:
            self._told.event(event)

    def _authenticate_with_sasl(self, host: str, timeout: float) -> None:  # noqa: ARG002 - as kazoo's
        login = self._wire.login
        if login is None:
            raise AssertionError("SASL is asked for with a login only")
        sasl = DigestMd5(login.username, login.password)
        answer = b""  # ZooKeeper begins with a challenge to an empty token
        for turn in (1, 2):
            self._submit(kazoo.Sasl(answer), timeout, turn)
            try:
                header, buffer, offset = self._read_header(timeout)
            except ConnectionDropped:  # that is how ZooKeeper refuses
                raise AuthFailedError from None
            if header.err:
                raise AuthFailedError
            challenge, _ = kazoo.Sasl.deserialize(buffer, offset)
            answer = sasl.answer(challenge or b"")
