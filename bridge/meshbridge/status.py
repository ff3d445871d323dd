"""The status server: probes, metrics and what is served, for reading only; no secret is in it."""

import asyncio
import contextlib
import heapq
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Final, Never

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from meshbridge.bridge import Bridge
from meshbridge.dump import service_object
from meshbridge.errors import ConfigurationError
from meshbridge.metrics import CoreMetrics, LoopLag
from meshbridge.outlet import Outlet
from meshbridge.problems import IN_ORDER, Problem
from meshbridge.readiness import DRAINING, ready
from meshbridge.settings.listen import Address
from meshbridge.sites import start
from meshbridge.turns import SLICE

_CHUNK: Final = 64 * 1024
_JSON: Final = "application/json"


class StatusServer:
    """Answers ``/livez``, ``/readyz``, ``/metrics`` and ``/api``."""

    def __init__(
        self, bridge: Bridge, outlets: Mapping[str, Outlet], metrics: CollectorRegistry
    ) -> None:
        """Look at the bridge and its outlets, and add the core's own to ``metrics``."""
        self._bridge = bridge
        self._outlets = outlets
        self._metrics = metrics
        CoreMetrics(bridge, metrics)
        self._lag = LoopLag(metrics, time.monotonic, asyncio.sleep)
        self._draining = False

    def drain(self) -> None:
        """Say from now on that whoever connects anew shall go elsewhere."""
        self._draining = True

    async def serve(self, address: Address, listening: Callable[[str, str], None]) -> Never:
        """Serve until cancelled; ``listening`` hears of the port that was opened.

        Raises ConfigurationError if the port cannot be opened.
        """
        application = web.Application(middlewares=[_reading_only])
        application.add_routes(self._routes())
        runner = web.AppRunner(
            application, access_log=None, handle_signals=False, shutdown_timeout=1.0
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, address.host, address.port)
            try:
                await start(site)
            except OSError as error:
                reason = error.strerror or str(error)
                raise ConfigurationError(
                    f"status.listen: found {address}; cannot listen there: {reason}; name another "
                    "port, or end what uses it"
                ) from None
            host, port = runner.addresses[0][:2]
            listening("status", str(Address(host, port)))
            await self._lag.watch()
        finally:
            await runner.cleanup()

    def _routes(self) -> Iterator[web.RouteDef]:
        answers: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/metrics": self._metrics_page,
            "/api/services": self._services,
            "/api/services/{host}": self._service,
            "/api/registries": self._registries,
            "/api/subscribers": self._subscribers,
            "/api/problems": self._problems,
        }
        for path, answer in answers.items():
            yield web.get(path, answer)

    async def _livez(self, _: web.Request) -> web.Response:
        return web.Response(text="ok: the loop turns\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        is_ready, lines = ready(
            self._bridge.snapshots.newest, self._bridge.registries(), self._bridge.configuration
        )
        if self._draining:
            is_ready, lines = False, [DRAINING, *lines]
        return web.Response(status=200 if is_ready else 503, text="\n".join((*lines, "")))

    async def _metrics_page(self, _: web.Request) -> web.Response:
        body = generate_latest(self._metrics)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _services(self, request: web.Request) -> web.StreamResponse:
        newest = self._bridge.snapshots.newest
        if newest is None:
            return self._not_ready()
        services = newest.services
        return await _listed(request, (service_object(services[host]) for host in sorted(services)))

    async def _service(self, request: web.Request) -> web.StreamResponse:
        newest = self._bridge.snapshots.newest
        if newest is None:
            return self._not_ready()
        host = request.match_info["host"]
        service = newest.services.get(host)
        if service is None:
            text = f"no service has the host {host!r}; /api/services lists all"
            return _answer({"error": text}, status=404)
        return _answer(service_object(service))

    async def _registries(self, request: web.Request) -> web.StreamResponse:
        return await _listed(request, self._bridge.registries())

    async def _subscribers(self, request: web.Request) -> web.StreamResponse:
        found = (
            each for name in sorted(self._outlets) for each in self._outlets[name].subscribers()
        )
        return await _listed(request, found)

    async def _problems(self, request: web.Request) -> web.StreamResponse:
        runs: list[list[Problem]] = []
        for run in self._bridge.problems.runs():
            runs.append(run)
            await asyncio.sleep(0)
        return await _listed(request, heapq.merge(*runs, key=IN_ORDER))

    def _not_ready(self) -> web.Response:
        _, lines = ready(None, self._bridge.registries(), self._bridge.configuration)
        return _answer({"error": "nothing is served yet", "reasons": lines}, status=503)


def _answer(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type=_JSON)


async def _listed(request: web.Request, items: Iterable[object]) -> web.StreamResponse:
    """Answer with a list, encoded and sent in slices: it may hold tens of thousands."""
    response = web.StreamResponse(headers={"Content-Type": _JSON})
    with contextlib.suppress(ConnectionResetError):  # who asked has gone, perhaps before the answer
        await response.prepare(request)
        if request.method != "HEAD":
            await _send(response, items)
    return response


async def _send(response: web.StreamResponse, items: Iterable[object]) -> None:
    part = bytearray(b"[")
    begun, separator = time.perf_counter(), b""
    for item in items:
        part += separator + msgspec.json.encode(item)
        separator = b","
        if len(part) >= _CHUNK:
            await response.write(bytes(part))
            part.clear()
        if time.perf_counter() - begun >= SLICE:
            await asyncio.sleep(0)
            begun = time.perf_counter()
    part += b"]"
    await response.write(bytes(part))
    await response.write_eof()


@web.middleware
async def _reading_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    if request.method not in {"GET", "HEAD"}:
        raise web.HTTPMethodNotAllowed(request.method, ["GET", "HEAD"])
    return await handler(request)
