"""Answers commands on the admin socket: bounded, by POST only, each question to one operation."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Never

import msgspec
from aiohttp import web
from structlog.typing import FilteringBoundLogger

from meshbridge.admin.opening import opened
from meshbridge.admin.operation import LARGEST_QUESTION, AdminRefusal, Code, Operation
from meshbridge.sites import start

_JSON = "application/json"
_STATUS: Mapping[Code, int] = {1: 409, 2: 400}


class AdminServer:
    """Serves operations by their names, at ``POST /<name>``."""

    def __init__(
        self, path: Path, operations: Mapping[str, Operation], logger: FilteringBoundLogger
    ) -> None:
        """Take what can be asked; nothing is opened yet."""
        self._path, self._operations, self._logger = path, operations, logger

    async def serve(self, listening: Callable[[str, str], None]) -> Never:
        """Serve until cancelled; ``listening`` hears when the socket is open.

        Raises ConfigurationError if it cannot be had.
        """
        application = web.Application(client_max_size=LARGEST_QUESTION)
        application.router.add_route("*", "/{operation}", self._answer)
        runner = web.AppRunner(
            application,
            access_log=None,
            handle_signals=False,
            # Otherwise an operation that hangs would outlive whoever asked, and this server.
            handler_cancellation=True,
            shutdown_timeout=1.0,
        )
        async with opened(self._path) as socket:
            await runner.setup()
            try:
                await start(web.SockSite(runner, socket))
                listening("admin", str(self._path))
                await asyncio.Event().wait()
            finally:
                await runner.cleanup()
        raise AssertionError("an event that nobody sets was set")

    async def _answer(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            raise web.HTTPMethodNotAllowed(request.method, ["POST"])
        name = request.match_info["operation"]
        try:
            answer = await self._operation(name)(await request.read())
        except AdminRefusal as refusal:
            self._logger.info("refused", operation=name, reason=refusal.reason)
            return _refused(refusal.reason, refusal.code, _STATUS[refusal.code])
        except web.HTTPRequestEntityTooLarge:
            text = f"the question is longer than {LARGEST_QUESTION} bytes"
            return _refused(text, 2, 413)
        except Exception:
            self._logger.exception("operation failed", operation=name)
            text = f"{name} failed in the bridge, which is a fault of its own; its log says how"
            return _refused(text, 1, 500)
        return web.Response(body=answer, content_type=_JSON)

    def _operation(self, name: str) -> Operation:
        found = self._operations.get(name)
        if found is None:
            known = ", ".join(sorted(self._operations))
            raise AdminRefusal(
                f"this bridge knows no {name[:40]!r}, only {known}; is it older than the command?",
                2,
            )
        return found


class Refusal(msgspec.Struct):
    """How a refusal stands in the answer."""

    error: str
    code: Code


def _refused(reason: str, code: Code, status: int) -> web.Response:
    body = msgspec.json.encode(Refusal(reason, code))
    return web.Response(status=status, body=body, content_type=_JSON)
