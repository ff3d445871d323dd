"""An address server of Nacos': a page that names the servers of a cluster, one a line."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

PATH = "/nacos/serverlist"


@dataclass
class AddressServer:
    """What it answers."""

    url: str = ""
    text: str = ""
    status: int = 200

    async def answer(self, _: web.Request) -> web.Response:
        """Answer a request."""
        return web.Response(text=self.text, status=self.status)


@asynccontextmanager
async def address_server() -> AsyncGenerator[AddressServer]:
    """Run one that names nobody yet."""
    made = AddressServer()
    application = web.Application()
    application.router.add_get(PATH, made.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
    try:
        yield made
    finally:
        await runner.cleanup()
