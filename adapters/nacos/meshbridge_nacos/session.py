"""One connection to one Nacos server for one namespace: questions, subscriptions and pushes.

It lives until anything goes wrong with it, and then says so: nothing is repeated, resumed or
remembered here. Whoever wants to go on connects anew and asks for everything again, so that there
is one way back from every fault and it is the way of the first start.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import cast

import grpc
import msgspec
from v2.nacos import ClientConfig
from v2.nacos.common.nacos_exception import NacosException
from v2.nacos.naming.model.naming_request import ServiceListRequest, SubscribeServiceRequest
from v2.nacos.transport.grpc_connection import GrpcConnection
from v2.nacos.transport.model.internal_request import (
    CLIENT_DETECTION_REQUEST_TYPE,
    HealthCheckRequest,
)
from v2.nacos.transport.model.rpc_request import Request
from v2.nacos.transport.model.server_info import ServerInfo
from v2.nacos.transport.server_request_handler import ClientDetectionRequestHandler

from meshbridge import BadData, RegistryRejected, RegistryUnavailable
from meshbridge_nacos.decoding import UnreadableError, decode, fit
from meshbridge_nacos.inbox import Inbox
from meshbridge_nacos.login import Login
from meshbridge_nacos.options import Server
from meshbridge_nacos.parse import Record, plain_name
from meshbridge_nacos.repairs import Client
from meshbridge_nacos.wire import ask, pack

EVERYTHING = 100_000
"""Services on one page: Nacos makes a page of an unordered set, so only one page is one state."""
PATIENCE = 10.0
"""Seconds for one answer."""
CHECK_EVERY = 5.0
"""Seconds between the checks that the server still knows this connection."""

TOKEN = "accessToken"  # noqa: S105 - the name of a header
NO_RIGHT = 403
UNREGISTERED = 301
"""The server has dropped this connection; it answers, and pushes nothing any more."""
NOT_READY = 300
DISCONNECTED = -401
"""The server has the connection, but no client of its naming module for it (any more)."""


class _Page(msgspec.Struct, frozen=True):
    count: int
    names: list[str] = msgspec.field(name="serviceNames")


class _Outcome(msgspec.Struct, frozen=True):
    result: int = msgspec.field(name="resultCode", default=0)
    error: int | None = msgspec.field(name="errorCode", default=None)
    message: str | None = None


class Session:
    """Asks one server; every method raises RegistryUnavailable or RegistryRejected."""

    def __init__(
        self, server: Server, namespace: str, connection: GrpcConnection, login: Login | None
    ) -> None:
        self._server = server
        self._namespace = namespace
        self._connection = connection
        self._login = login

    async def list_services(self, group: str) -> frozenset[str]:
        """Return the names of all services of the group."""
        names: set[str] = set()
        page, count = 1, 1
        while len(names) < count:
            try:
                answer = await self._ask(self._page_request(group, page))
                listed = fit(answer, _Page, f"its list of the services in {group}")
            except BadData as bad:
                reason = f"its list of the services in {group} cannot be read"
                raise RegistryUnavailable(f"{self._server}: {reason}: {bad}") from None
            except UnreadableError as error:
                raise RegistryUnavailable(f"{self._server}: {error}") from None
            more = {plain_name(group, name) for name in listed.names} - names
            if not more and len(names) < listed.count:
                reason = f"it counts {listed.count} services in {group} and lists {len(names)}"
                raise RegistryUnavailable(f"{self._server}: {reason}")
            names |= more
            page, count = page + 1, listed.count
        return frozenset(names)

    async def subscribe(self, group: str, service: str) -> Record:
        """Have its changes pushed from now on; return what it is now.

        Also raises BadData when this service alone is refused or cannot be read.
        """
        try:
            answer = await self._ask(self._subscription(group, service, wanted=True))
        except RegistryRejected as rejected:  # a right may be given or withheld service by service
            raise BadData(str(rejected)) from None
        info = answer.get("serviceInfo")
        if not isinstance(info, dict):
            raise BadData("the server's answer does not describe it")
        return cast("Record", info)

    async def unsubscribe(self, group: str, service: str) -> None:
        """Have no more changes of it pushed; also raises BadData."""
        await self._ask(self._subscription(group, service, wanted=False))

    async def check(self) -> None:
        """Raise when the server no longer knows this connection (error 301)."""
        try:
            await self._ask(HealthCheckRequest())
        except BadData as bad:
            raise RegistryUnavailable(f"{self._server}: {bad}") from None

    def _page_request(self, group: str, page: int) -> ServiceListRequest:
        return ServiceListRequest(
            namespace=self._namespace,
            groupName=group,
            serviceName="",
            pageNo=page,
            pageSize=EVERYTHING,
        )

    def _subscription(self, group: str, service: str, *, wanted: bool) -> SubscribeServiceRequest:
        return SubscribeServiceRequest(
            namespace=self._namespace,
            groupName=group,
            serviceName=service,
            clusters="",
            subscribe=wanted,
        )

    async def _ask(self, request: Request) -> Record:
        """Return a successful answer; a token that is refused is replaced once."""
        if self._login is None:
            return await self._send(request)
        token = await self._login.token()
        try:
            return await self._send(request, token)
        except RegistryRejected:
            self._login.forget(token)
            return await self._send(request, await self._login.token())

    async def _send(self, request: Request, token: str = "") -> Record:
        if token:
            request.put_header(TOKEN, token)
        what = f"its answer to {request.get_request_type()}"
        try:
            reply = await ask(self._connection, pack(request), PATIENCE)
            answer = decode(reply, dict[str, object], what)
            outcome = fit(answer, _Outcome, what)
        except grpc.aio.AioRpcError as error:
            reason = _masked(error.details() or error.code().name, token)
            raise RegistryUnavailable(f"{self._server}: {reason}") from None
        except (NacosException, UnreadableError) as error:
            raise RegistryUnavailable(f"{self._server}: {error}") from None
        self._judge(outcome, token)
        return answer

    def _judge(self, outcome: _Outcome, token: str) -> None:
        """Raise what an answer that is no success means."""
        code = outcome.error or 0
        if outcome.result == 200 and code == 0:  # noqa: PLR2004 - Nacos' word for yes
            return
        said = _masked(outcome.message or f"error {code}", token)
        if code == NO_RIGHT:
            raise RegistryRejected(
                f"{self._server}: no right to read namespace {self._namespace}: {said};"
                " check username and password, and that the user may read it"
            )
        if code in {UNREGISTERED, NOT_READY, DISCONNECTED}:
            raise RegistryUnavailable(f"{self._server}: {said}")
        raise BadData(f"the server refuses it: {said}")


def _masked(said: str, token: str) -> str:
    """Return a server's words without the token, should it repeat what it was sent."""
    return said.replace(token, "***") if token else said


@contextlib.asynccontextmanager
async def connected(
    server: Server,
    namespace: str,
    login: Login | None,
    inboxes: Mapping[str, Inbox],
    sleep: Callable[[float], Awaitable[None]],
) -> AsyncGenerator[Session]:
    """Give a session whose pushes go to the inbox of their group.

    Leaving it closes everything. Its body is cancelled, and RegistryUnavailable raised, when the
    connection ends or the server has forgotten it.
    """
    config = ClientConfig(server_addresses=str(server), namespace_id=namespace)

    def on_push(message: Record) -> None:
        info = message.get("serviceInfo")
        if not isinstance(info, dict):
            return
        record = cast("Record", info)
        # The request's own fields are null on a real server; only the record names the service.
        group, name = record.get("groupName"), record.get("name")
        if isinstance(group, str) and isinstance(name, str) and group in inboxes:
            inboxes[group].put(plain_name(group, name), record)

    client = Client(config, on_push)
    try:
        session = Session(server, namespace, await _connect(client, server), login)
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(_watch(client, session, server, sleep))
            yield session
            watch.cancel()
    finally:
        await client.close()


async def _connect(client: Client, server: Server) -> GrpcConnection:
    try:
        await client.register_server_request_handler(
            CLIENT_DETECTION_REQUEST_TYPE, ClientDetectionRequestHandler()
        )
        connection = await client.connect_to_server(ServerInfo(server.host, server.grpc_port))
    except NacosException as error:
        reason = str(error).rpartition("error=")[2]
        raise RegistryUnavailable(f"{server}: cannot connect to gRPC: {reason}") from None
    if not isinstance(connection, GrpcConnection):
        raise RegistryUnavailable(f"{server}: it is not ready, or not Nacos 2 or 3")
    return connection


async def _watch(
    client: Client, session: Session, server: Server, sleep: Callable[[float], Awaitable[None]]
) -> None:
    """Raise RegistryUnavailable once the connection is of no use any more."""

    async def stay_known() -> None:
        while True:
            await sleep(CHECK_EVERY)
            await session.check()

    async with asyncio.TaskGroup() as tasks:
        checks = tasks.create_task(stay_known())
        reason = await client.ended
        checks.cancel()
    raise RegistryUnavailable(f"{server}: connection lost: {reason}")
