"""Asks a running bridge, Envoy and istiod many times a second what they show, for a history.

::

    history = History(Rules(away=frozenset({"bridge"})))
    async with observing(history, BridgeObserver(status), EnvoyObserver(envoy)):
        async with loading(history, Load(port, "orders.file", 220), "orders.file"):
            ...

An observer that does not answer, or says that it is not ready, is noted as unreachable: that is
no sign that it shows nothing.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp
from aiohttp import web

from meshbridge.cli.demo.traffic import Answer, Load
from meshbridge.testing.history import History, Request, View
from meshbridge.testing.history_lines import to_lines
from rig.backends import Backend
from rig.envoy import Envoy
from rig.observing_formats import bridge_view, configz_view, envoy_view, shards_view

RATE = 10.0
"""Looks a second."""
PATIENCE = 0.4
"""Seconds after which an observer that has not answered counts as unreachable."""


class Observer(Protocol):
    """Whom to ask, and how to read the answer."""

    name: str

    def url(self) -> str:
        """Return where it is asked now."""
        ...

    def read(self, answer: bytes) -> View:
        """Return what the answer shows; raises msgspec.MsgspecError if it is no such answer."""
        ...


@dataclass
class BridgeObserver:
    """A bridge, by the ``host:port`` of its status server."""

    status: str
    name: str = "bridge"

    def url(self) -> str:
        """Return where it lists its services; 503 until it has them."""
        return f"http://{self.status}/api/services"

    def read(self, answer: bytes) -> View:
        """Return what it serves."""
        return bridge_view(answer)


@dataclass
class EnvoyObserver:
    """An Envoy, whose admin port is another after each start."""

    envoy: Envoy
    name: str = "envoy"

    def url(self) -> str:
        """Return where it tells of its clusters."""
        return f"http://{self.envoy.admin}/clusters?format=json"

    def read(self, answer: bytes) -> View:
        """Return the endpoints of its clusters."""
        return envoy_view(answer)


@dataclass
class ConfigzObserver:
    """The store of an istiod, by its debug server's address such as ``http://127.0.0.1:8080``."""

    debug: str
    name: str = "istiod"

    def url(self) -> str:
        """Return where it shows its store."""
        return f"{self.debug}/debug/configz"

    def read(self, answer: bytes) -> View:
        """Return what its ServiceEntries say."""
        return configz_view(answer)


@dataclass
class ShardsObserver:
    """What an istiod tells its proxies of endpoints, by its debug server's address."""

    debug: str
    name: str = "istiod shards"

    def url(self) -> str:
        """Return where it shows them."""
        return f"{self.debug}/debug/endpointShardz"

    def read(self, answer: bytes) -> View:
        """Return its endpoints."""
        return shards_view(answer)


def istiod_observers(debug: str) -> tuple[Observer, Observer]:
    """Return both observers of one istiod: its store, and what follows from it."""
    return ConfigzObserver(debug), ShardsObserver(debug)


@asynccontextmanager
async def observing(
    history: History, *observers: Observer, rate: float = RATE
) -> AsyncGenerator[None]:
    """Look while the context lasts; once before it begins, and once more when it ends."""
    limit = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(timeout=limit) as session:

        async def look_at_all() -> None:
            async with asyncio.TaskGroup() as group:
                for observer in observers:
                    group.create_task(_look(history, session, observer))

        async def keep_looking(observer: Observer) -> None:
            due = time.monotonic()
            while True:
                due = max(due + 1 / rate, time.monotonic())
                await asyncio.sleep(due - time.monotonic())
                await _look(history, session, observer)

        await look_at_all()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(keep_looking(observer)) for observer in observers]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
        await look_at_all()


async def _look(history: History, session: aiohttp.ClientSession, observer: Observer) -> None:
    asked = history.now()
    try:
        async with session.get(observer.url()) as answer:
            body = await answer.read()
    except TimeoutError:
        history.unreachable(observer.name, f"no answer in {PATIENCE:g} s", asked=asked)
        return
    except (aiohttp.ClientError, OSError) as error:
        history.unreachable(observer.name, f"{type(error).__name__}: {error}", asked=asked)
        return
    if answer.status != 200:
        history.unreachable(observer.name, f"status {answer.status}", asked=asked)
        return
    history.sample(observer.name, observer.read(body), asked=asked)


def note_answers(
    history: History, host: str, answers: Iterable[Answer], names: Mapping[str, str] | None = None
) -> None:
    """Note what came of a load's requests; ``names`` tells the ``address:port`` of instances.

    Without it the instances are to answer with that themselves, as :class:`Addressed` does.
    """
    for each in answers:
        by = each.instance if names is None else names.get(each.instance, each.instance)
        history.add(Request(host, each.sent, each.done, by, each.failure))


@asynccontextmanager
async def loading(
    history: History, load: Load, host: str, names: Mapping[str, str] | None = None
) -> AsyncGenerator[None]:
    """Send the load while the context lasts, and note its answers however that ends."""
    try:
        async with load.running():
            yield
    finally:
        note_answers(history, host, load.answers, names)


class Addressed(Backend):
    """A backend whose answers say its address in ``x-instance``, where a load looks for a name."""

    async def _answer(self, request: web.Request) -> web.Response:
        answer = await super()._answer(request)
        answer.headers["x-instance"] = self.address
        return answer


@contextmanager
def kept(history: History, file: Path) -> Generator[None]:
    """Write the history into a file, however the run ends.

    ``python -m meshbridge.testing.checker FILE`` then shows it.
    """
    try:
        yield
    finally:
        text = "".join(f"{line}\n" for line in to_lines(history))
        file.write_text(text, encoding="utf-8")
