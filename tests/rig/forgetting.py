"""Between a client and Eureka: some of what has changed is never told as changed.

As by a server that was asked too late, or one of several that heard of it from another. What is
asked for as a whole is answered whole.
"""

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import msgspec
from aiohttp import web

_PASSED: Final = ("Accept", "If-None-Match")
"""Headers of a question that are passed on."""


class _Application(msgspec.Struct):
    name: str
    instance: list[dict[str, object]]


class _Applications(msgspec.Struct):
    versions__delta: str
    apps__hashcode: str
    application: list[_Application]


class _Told(msgspec.Struct):
    applications: _Applications


@dataclass
class Forgetting:
    """Forwards to the server at ``port``, but for a share of the changes."""

    port: int
    share: float
    chance: random.Random
    address: str = ""
    """Where it listens."""
    swallowed: int = 0
    deltas: int = 0
    whole: int = 0
    """How often everything was asked for."""
    _fates: dict[object, bool] = field(default_factory=dict[object, bool])
    """Whether each change is swallowed."""

    @property
    def told(self) -> int:
        """How many changes there were."""
        return len(self._fates)

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        """Take questions until the block ends."""
        async with aiohttp.ClientSession(f"http://127.0.0.1:{self.port}") as session:

            async def answer(request: web.Request) -> web.Response:
                return await self._answer(session, request)

            application = web.Application()
            application.router.add_get("/{path:.*}", answer)
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                self.address = f"127.0.0.1:{runner.addresses[0][1]}"
                yield
            finally:
                await runner.cleanup()

    async def _answer(self, session: aiohttp.ClientSession, request: web.Request) -> web.Response:
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        async with session.get(request.path_qs, headers=headers) as answer:
            body, status, content = await answer.read(), answer.status, answer.content_type
        if request.path.endswith("/apps/delta"):
            self.deltas += 1
            body = self._without(body) if status == 200 else body
        else:
            self.whole += 1
        return web.Response(status=status, body=body, content_type=content)

    def _without(self, body: bytes) -> bytes:
        told = msgspec.json.decode(body, type=_Told)
        for application in told.applications.application:
            # What is new of one application goes together: an instance in the place of another is
            # what the hash does not show.
            fate = self.chance.random() < self.share
            left: list[dict[str, object]] = []
            for each in application.instance:
                key = each["instanceId"], each["actionType"], each["lastUpdatedTimestamp"]
                self.swallowed += fate and key not in self._fates
                if not self._fates.setdefault(key, fate):
                    left.append(each)
            application.instance = left
        return msgspec.json.encode(told)
