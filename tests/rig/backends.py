"""Small HTTP backends that answer with who they are, and can be slow, fail or be gone."""

import asyncio

from aiohttp import web

from meshbridge.testing.startable import Startable


class Backend(Startable):
    """Answers every request with its name, in the body and in the header ``x-instance``."""

    def __init__(self, name: str, host: str = "127.0.0.1") -> None:
        """Give it a name, and an address; it gets its port when it starts and keeps it."""
        self.name = name
        self.host = host
        self.port = 0
        self.answered = 0
        """Requests that it has answered with 200."""
        self.delay = 0.0
        """Seconds before each answer."""
        self.status = 200
        """What it answers with; a failing one says 503."""
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> str:
        """Return ``host:port``."""
        return f"{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen, on the same port as before if it had one."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(
            application, access_log=None, handle_signals=False, shutdown_timeout=0.1
        )
        await runner.setup()
        site = web.TCPSite(runner, self.host, self.port)
        await site.start()
        self._runner = runner
        self.port = int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.Response:
        if self.delay:
            await asyncio.sleep(self.delay)
        self.answered += self.status == 200
        return web.Response(
            status=self.status,
            text=self.name,
            headers={"x-instance": self.name, "x-seen-host": request.host},
        )
