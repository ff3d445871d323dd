"""Sends requests as a client of the mesh would, and keeps what came of every single one.

A client of its own, because counting failures is the point: aiohttp's client silently repeats a GET
whose kept-alive connection broke, and a repeated request would hide a failed one.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

_TIMEOUT = 2.0
"""Seconds after which a request has failed."""
_OK = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request."""

    sent: float
    """Monotonic seconds."""
    done: float
    """Monotonic seconds."""
    instance: str
    """Who answered; empty when it failed."""
    failure: str
    """Why it failed; empty when it was answered."""


class Connection:
    """One kept-alive connection to a proxy; opened at the first request and after a failure."""

    def __init__(self, port: int, host: str) -> None:
        """Ask for ``host`` at a loopback port."""
        self.cuts = 0
        """How often it broke, or the proxy asked for its end."""
        self._port = port
        self._request = f"GET / HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> Answer:
        """Send one request and wait for its answer; whatever goes wrong is in the answer."""
        sent = time.monotonic()
        try:
            async with asyncio.timeout(_TIMEOUT):
                status, instance = await self._exchange()
        except TimeoutError:
            status, instance, failure = 0, "", f"no answer in {_TIMEOUT:g} s"
        except (OSError, EOFError, ValueError) as error:
            status, instance, failure = 0, "", f"{type(error).__name__}: {error}"
        else:
            failure = "" if status == _OK else f"status {status}"
        if status == 0:
            self._cut()
        return Answer(sent, time.monotonic(), "" if failure else instance, failure)

    def close(self) -> None:
        """Close it; the next request opens it again."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None

    def _cut(self) -> None:
        self.cuts += 1
        self.close()

    async def _exchange(self) -> tuple[int, str]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {
            name.lower(): value.strip() for name, _, value in (x.partition(":") for x in head)
        }
        await reader.readexactly(int(fields.get("content-length", "0")))
        if fields.get("connection", "").lower() == "close":
            self._cut()
        return int(head[0].split(" ", 2)[1]), fields.get("x-instance", "")


class Load:
    """Requests at a steady rate; a slow answer delays only those of its own connection."""

    def __init__(self, port: int, host: str, rate: float, connections: int = 8) -> None:
        """Plan ``rate`` requests per second over kept-alive ``connections``."""
        self.answers: list[Answer] = []
        """All answers so far, in the order in which they came."""
        self._rate = rate
        self._connections = tuple(Connection(port, host) for _ in range(connections))

    @property
    def cuts(self) -> int:
        """How often a connection broke, or the proxy asked for its end."""
        return sum(connection.cuts for connection in self._connections)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Send for as long as the context lasts; then wait for the last answers."""
        done = asyncio.Event()
        begun = time.monotonic()
        broken: Exception | None = None
        async with asyncio.TaskGroup() as group:
            for place, connection in enumerate(self._connections):
                group.create_task(self._send(connection, begun + place / self._rate, done))
            try:
                yield
            except Exception as error:  # noqa: BLE001 - raised again below: the group would wrap it
                broken = error
            finally:
                done.set()
        for connection in self._connections:
            connection.close()
        if broken is not None:
            raise broken

    async def _send(self, connection: Connection, due: float, done: asyncio.Event) -> None:
        while not done.is_set():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.answers.append(await connection.ask())
            due += len(self._connections) / self._rate


async def burst(port: int, host: str, count: int, connections: int = 8) -> Sequence[Answer]:
    """Send ``count`` requests as fast as they are answered; return what came of each."""
    answers: list[Answer] = []
    numbers = iter(range(count))

    async def work(connection: Connection) -> None:
        for _ in numbers:
            answers.append(await connection.ask())  # noqa: PERF401 - shared between the workers
        connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(work(Connection(port, host)))
    return answers
