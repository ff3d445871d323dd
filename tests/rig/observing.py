"""Asks a running bridge, Envoy and istiod many times a second what they show, for a history.

::

    history = History(Rules(away=frozenset({"bridge"})))
    async with observing(history, BridgeObserver(status), EnvoyObserver(envoy)):
        async with loading(history, Load(port, "orders.file", 220), "orders.file"):
            ...

An observer that does not answer, or says that it is not ready, is noted as unreachable: that is
no sign that it shows nothing. Being slow is no fault on a busy machine, so it is asked with
patience, above all at the end, by which it is judged. Only whom ``Rules.away`` names must answer
fast: that it is silent is to be seen often.
"""

import asyncio
import errno
import socket
import time
from collections.abc import AsyncGenerator, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp
from aiohttp import web

from meshbridge.cli.demo.traffic import Answer, Load
from meshbridge.testing.checker import check
from meshbridge.testing.history import Endpoint, History, Request, View
from meshbridge.testing.history_lines import to_lines
from rig.backends import Backend
from rig.observing_formats import bridge_view, configz_view, envoy_view, shards_view
from rig.scripted_istiod import ScriptedIstiod
from rig.waiting import until

RATE = 10.0
"""Looks a second."""
PATIENCE = 5.0
"""Seconds after which an observer that has not answered counts as unreachable.

Who is dead refuses at once; this is for who hangs, and far more than a busy machine lets one wait.
"""
BRIEF = 0.4
"""Such seconds where silence is a look as well, and at the beginning, on which nothing depends.

Less than ``Rules.gap`` is when it is not set, so that a hanging observer is looked at often enough.
"""


class NoAnswer(Exception):  # noqa: N818 - it says what happened
    """An observer cannot be asked; the message says why."""


class Observer(Protocol):
    """Whom to ask, and how to read the answer."""

    name: str

    async def look(self, session: aiohttp.ClientSession) -> View:
        """Return what it shows now; raises NoAnswer."""
        ...


async def ask(session: aiohttp.ClientSession, url: str) -> bytes:
    """Return what is answered with 200, however long that takes; raises NoAnswer."""
    try:
        async with session.get(url) as answer:
            body = await answer.read()
    except (aiohttp.ClientError, OSError) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from None
    if answer.status != 200:
        raise NoAnswer(f"status {answer.status}")
    return body


@dataclass
class BridgeObserver:
    """What a bridge serves, by the ``host:port`` of its status server; 503 until it is ready."""

    status: str
    name: str = "bridge"
    _last: tuple[bytes, View] = b"", View(frozenset())

    async def look(self, session: aiohttp.ClientSession) -> View:
        """Return its services; what it answers again is not read again."""
        answer = await ask(session, f"http://{self.status}/api/services")
        if answer != self._last[0]:
            self._last = answer, bridge_view(answer)
        return self._last[1]


class Administered(Protocol):
    """An Envoy, as far as an observer needs it."""

    admin: str
    """``host:port`` of its admin interface."""


@dataclass
class EnvoyObserver:
    """What an Envoy sends requests to; its admin port is another after each start.

    Until it is ready it has no clusters yet, and has lost none.
    """

    envoy: Administered
    name: str = "envoy"

    async def look(self, session: aiohttp.ClientSession) -> View:
        """Return the endpoints of its clusters."""
        admin = f"http://{self.envoy.admin}"
        await ask(session, f"{admin}/ready")
        return envoy_view(await ask(session, f"{admin}/clusters?format=json"))


@dataclass
class ConfigzObserver:
    """The store of an istiod, by its debug server's address such as ``http://127.0.0.1:8080``."""

    debug: str
    name: str = "istiod"

    async def look(self, session: aiohttp.ClientSession) -> View:
        """Return what its ServiceEntries say."""
        return configz_view(await ask(session, f"{self.debug}/debug/configz"))


@dataclass
class ShardsObserver:
    """What an istiod tells its proxies of endpoints, by its debug server's address."""

    debug: str
    name: str = "istiod shards"

    async def look(self, session: aiohttp.ClientSession) -> View:
        """Return its endpoints."""
        return shards_view(await ask(session, f"{self.debug}/debug/endpointShardz"))


@dataclass
class StoreObserver:
    """The store of an istiod that this process plays."""

    istiod: ScriptedIstiod
    name: str = "istiod"

    async def look(self, session: aiohttp.ClientSession) -> View:  # noqa: ARG002 - asks nobody
        """Return what its ServiceEntries say."""
        found = frozenset(
            Endpoint.of(host, *_split(address))
            for host in self.istiod.hosts()
            for addresses in self.istiod.endpoints(host).values()
            for address in addresses
        )
        return View(found, versions=_versions(self.istiod))


def _versions(istiod: ScriptedIstiod) -> dict[str, str]:
    versions: dict[str, list[str]] = {}
    for stored in istiod.store.values():
        for host in stored.spec.hosts:
            versions.setdefault(host, []).append(stored.version)
    return {host: "+".join(sorted(each)) for host, each in versions.items()}


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def istiod_observers(debug: str) -> tuple[Observer, Observer]:
    """Return both observers of one istiod: its store, and what follows from it."""
    return ConfigzObserver(debug), ShardsObserver(debug)


@asynccontextmanager
async def observing(
    history: History, *observers: Observer, rate: float = RATE, patience: float = PATIENCE
) -> AsyncGenerator[None]:
    """Look while the context lasts; once before it begins, and once more when it ends.

    ``patience`` is the seconds that a look may take, where it need not be brief. The last look
    of each observer is what the end of the run is judged by, so the end waits for it that long.
    """
    unlimited = aiohttp.ClientTimeout(total=None, sock_connect=None)  # _look sets the limit
    async with aiohttp.ClientSession(timeout=unlimited) as session:

        async def look_at_all(within: float) -> None:
            async with asyncio.TaskGroup() as group:
                for observer in observers:
                    group.create_task(_look(history, session, observer, within))

        async def keep_looking(observer: Observer) -> None:
            within = BRIEF if observer.name in history.rules.away else patience
            due = time.monotonic()
            while True:
                due = max(due + 1 / rate, time.monotonic())
                await asyncio.sleep(due - time.monotonic())
                await _look(history, session, observer, within)

        await look_at_all(BRIEF)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(keep_looking(observer)) for observer in observers]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
        await look_at_all(patience)


async def _look(
    history: History, session: aiohttp.ClientSession, observer: Observer, within: float
) -> None:
    asked = history.now()
    try:
        async with asyncio.timeout(within):
            view = await observer.look(session)
    except TimeoutError:
        history.unreachable(observer.name, f"no answer in {within:g} s", asked=asked)
    except NoAnswer as why:
        history.unreachable(observer.name, str(why), asked=asked)
    else:
        history.sample(observer.name, view, asked=asked)


async def settled(history: History, *, within: float) -> float:
    """Wait until all show what the registry has, after all that was noted; return the seconds.

    Raises AssertionError with what is missing then.
    """

    async def look() -> tuple[str, ...]:
        verdict = check(history)
        waiting = [each for each in verdict.convergences if each.seconds is None]
        behind = (f"{each.observer} does not show {each.after}" for each in waiting)
        return (*map(str, (*verdict.differences, *verdict.disagreements)), *behind)

    _, took = await until(look, lambda left: not left, within=within, every=1 / RATE)
    return took


def refuses(address: str) -> bool:
    """Whether nobody listens at ``host:port``: what shows that a process is really gone.

    The kernel says so at once, however busy the machine is: only who hangs is waited for.
    """
    with socket.socket() as probe:
        probe.settimeout(BRIEF)
        return probe.connect_ex(_split(address)) == errno.ECONNREFUSED


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
