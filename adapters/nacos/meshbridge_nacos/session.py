"""One connection to one Nacos server for one namespace: questions, subscriptions and pushes.

It lives until anything goes wrong with it, and then says so: nothing is repeated, resumed or
remembered here. Whoever wants to go on connects anew and asks for everything again, so that there
is one way back from every fault and it is the way of the first start.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import cast

import grpc
import grpc.aio
import msgspec

from meshbridge import BadData, RegistryRejected, RegistryUnavailable
from meshbridge.steps import Pace, after_reading, parts
from meshbridge_nacos.asking import OnPush, OnRequest, Page
from meshbridge_nacos.config import Configs, Name, Reply, tenant_of
from meshbridge_nacos.decoding import PUSH, UnreadableError, decode, decode_message, fit
from meshbridge_nacos.identity import TOKEN, Identity, Sign, sign_nothing
from meshbridge_nacos.link import Link, linked
from meshbridge_nacos.options import Server
from meshbridge_nacos.outcome import NO_RIGHT, NoRightError, Outcome, judge, masked
from meshbridge_nacos.over_http import FAILURES, Answer, Http, OverHttp, reason
from meshbridge_nacos.parse import SEPARATOR, Record, plain_name
from meshbridge_nacos.servers import Servers
from meshbridge_nacos.signing import AccessKey

PATIENCE = 10.0
"""Seconds for one answer."""
CHECK_EVERY, CHECKED = 2.0, 3.0
"""Seconds between the checks that the server still knows this connection, and for the answer.

The two together are how long a frozen server goes unnoticed.
"""
LOOK_EVERY = 10.0
"""Seconds between looks at what an address server says, which is asked as often as that is due."""
FOUND, NOT_ALLOWED = 200, {401, 403}


class _Page(msgspec.Struct, frozen=True):
    count: int
    names: list[str] = msgspec.field(name="serviceNames")


@dataclass(frozen=True, slots=True)
class Means:
    """What the sessions of one registry have in common."""

    servers: Servers
    identity: Identity
    http: OverHttp
    credentials: Callable[[], grpc.ChannelCredentials] | None
    """What gRPC needs for TLS; raises RegistryUnavailable. None for none."""
    sleep: Callable[[float], Awaitable[None]]


class Session:
    """Asks one server; see :class:`meshbridge_nacos.asking.Questions`, which it is."""

    def __init__(
        self, server: Server, namespace: str, identity: Identity, http: Http, link: Link
    ) -> None:
        self.server = server
        self.namespace = namespace
        self._identity = identity
        self._http = http
        self._link = link
        self.configs = Configs(self._ask_config, tenant_of(namespace))
        link.hear("ConfigChangeNotifyRequest", "ConfigChangeNotifyResponse", self.configs.on_change)

    @property
    def abilities(self) -> frozenset[str]:
        """What the server says that it can do."""
        return self._link.abilities

    async def page(self, group: str, number: int, size: int) -> Page:
        """Return one page of the services of a group."""
        fields = {
            "namespace": self.namespace,
            "groupName": group,
            "serviceName": "",
            "pageNo": number,
            "pageSize": size,
        }
        what = f"its list of the services in {group}"
        try:
            answer = await self.ask("ServiceListRequest", fields)
            pace = Pace()
            listed = fit(answer, _Page, what)
        except BadData as bad:
            reason = f"{what} cannot be read: {bad}"
            raise RegistryUnavailable(f"{self.server}: {reason}") from None
        except UnreadableError as error:
            raise RegistryUnavailable(f"{self.server}: {error}") from None
        names: list[str] = []
        for part in parts(listed.names):
            names += [plain_name(group, name) for name in part]
            await pace.breathe()
        return Page(listed.count, tuple(names))

    async def subscribe(self, group: str, service: str) -> Record:
        """Have a service's changes pushed from now on; return what it is now."""
        try:
            answer = await self._subscribe(group, service, wanted=True)
        except NoRightError as refused:  # a right may be given or withheld service by service
            raise BadData(str(refused)) from None
        info = answer.get("serviceInfo")
        if not isinstance(info, dict):
            raise BadData("the server's answer does not describe it")
        return cast("Record", info)

    async def unsubscribe(self, group: str, service: str) -> None:
        """Have no more changes of it pushed."""
        await self._subscribe(group, service, wanted=False)

    async def ask(self, kind: str, fields: Mapping[str, object], resource: str = "") -> Record:
        """Ask anything over gRPC, and return the body of a successful answer."""
        reply = await self._ask(kind, fields, lambda key, now: key.sign_naming(resource, now))
        return reply.body

    def hear(self, kind: str, answer: str, on_request: OnRequest) -> None:
        """Hand on the requests of one type that the server sends."""
        self._link.hear(kind, answer, on_request)

    async def fetch(self, path: str, query: Mapping[str, str]) -> Record:
        """Return the JSON object that the same server gives over HTTP."""
        token = await self._identity.token()
        answer = await self._get(path, query, token)
        if answer.status in NOT_ALLOWED and self._identity.forget(token):
            answer = await self._get(path, query, await self._identity.token())
        if answer.status in NOT_ALLOWED:
            raise RegistryRejected(
                f"{self.server}: no right to {path} ({answer.status}); check username and password,"
                " and that the user may read it"
            )
        if answer.status != FOUND:
            raise BadData(f"{self.server}: it answers {answer.status} to {path}")
        try:
            return decode(answer.body, dict[str, object], f"its answer to {path}")
        except UnreadableError as error:
            raise RegistryUnavailable(f"{self.server}: {error}") from None

    async def read_config(self, group: str, data_id: str) -> str | None:
        """Return a configuration's text, None when there is none."""
        return await self.configs.read(Name(group, data_id))

    def watch_config(self, group: str, data_id: str) -> AsyncGenerator[str | None]:
        """Give the text as it is now, and again whenever it has changed; None for none."""
        return self.configs.watch(Name(group, data_id))

    async def check(self) -> None:
        """Raise RegistryUnavailable when the server no longer knows this connection.

        It needs no right, and is not told who asks: pushes go on while nobody can log in.
        """
        outcome, _ = await self._send("HealthCheckRequest", {}, {}, CHECKED)
        if not outcome.is_success:
            said = outcome.message or f"error {outcome.code or 0}"
            raise RegistryUnavailable(f"{self.server}: {said}")

    async def _subscribe(self, group: str, service: str, *, wanted: bool) -> Record:
        fields = {
            "namespace": self.namespace,
            "groupName": group,
            "serviceName": service,
            "clusters": "",
            "subscribe": wanted,
        }
        return await self.ask("SubscribeServiceRequest", fields, f"{group}{SEPARATOR}{service}")

    async def _ask_config(
        self, kind: str, fields: Record, group: str, expected: frozenset[int] = frozenset()
    ) -> Reply:
        tenant = self.configs.tenant

        def sign(key: AccessKey, now: int) -> dict[str, str]:
            return key.sign_config(tenant, group, now)

        return await self._ask(kind, fields, sign, expected)

    async def _ask(
        self, kind: str, fields: Record, sign: Sign, expected: frozenset[int] = frozenset()
    ) -> Reply:
        """Return a successful or expected answer; a token that is refused is replaced once."""
        token = await self._identity.token()
        outcome, body = await self._send(kind, fields, self._identity.headers(token, sign))
        if outcome.code == NO_RIGHT and self._identity.forget(token):
            token = await self._identity.token()
            outcome, body = await self._send(kind, fields, self._identity.headers(token, sign))
        if outcome.code not in expected:
            judge(outcome, self.server, self.namespace, token)
        return Reply(outcome.code or 0, body)

    async def _send(
        self, kind: str, fields: Record, headers: dict[str, str], within: float = PATIENCE
    ) -> tuple[Outcome, Record]:
        what = f"its answer to {kind}"
        try:
            reply = await self._link.ask(self._link.pack(kind, fields, headers), within)
            await after_reading(len(reply.body))
            body = decode_message(reply.kind, reply.body, what)
            await after_reading(len(reply.body))
            return fit(body, Outcome, what), body
        except grpc.aio.AioRpcError as error:
            reason = masked(error.details() or error.code().name, headers.get(TOKEN, ""))
            raise RegistryUnavailable(f"{self.server}: {reason}") from None
        except UnreadableError as error:
            raise RegistryUnavailable(f"{self.server}: {error}") from None

    async def _get(self, path: str, query: Mapping[str, str], token: str) -> Answer:
        headers = self._identity.headers(token, sign_nothing)
        try:
            return await self._http.get(self.server, path, query, headers)
        except FAILURES as error:
            raise RegistryUnavailable(f"{self.server}: {reason(error)}") from None


@contextlib.asynccontextmanager
async def connected(
    server: Server, namespace: str, means: Means, on_push: OnPush
) -> AsyncGenerator[Session]:
    """Give a session.

    Leaving it closes everything. Its body is cancelled, and RegistryUnavailable raised, when the
    connection ends or the server has forgotten it.
    """

    def take(message: Record) -> None:
        info = message.get("serviceInfo")
        if not isinstance(info, dict):
            return
        record = cast("Record", info)
        # The request's own fields are null on a real server; only the record names the service.
        group, name = record.get("groupName"), record.get("name")
        if isinstance(group, str) and isinstance(name, str):
            on_push(group, plain_name(group, name), record)

    async with (
        means.http.open() as http,
        linked(server, means.credentials, namespace) as link,
    ):
        link.hear(PUSH, "NotifySubscriberResponse", take)
        session = Session(server, namespace, means.identity, http, link)
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(_watch(link, session, means))
            yield session
            watch.cancel()


async def _watch(link: Link, session: Session, means: Means) -> None:
    """Raise RegistryUnavailable once the connection is of no use any more."""

    async def stay_known() -> None:
        while True:
            await means.sleep(CHECK_EVERY)
            await session.check()

    async def stay_named() -> None:
        while means.servers.may_change:
            await means.sleep(LOOK_EVERY)
            await means.servers.refresh()
            if session.server not in means.servers.known():
                raise RegistryUnavailable(f"{session.server}: endpoint does not name it any more")

    async with asyncio.TaskGroup() as tasks:
        checks = [
            tasks.create_task(stay_known()),
            tasks.create_task(stay_named()),
            tasks.create_task(session.configs.compare(means.sleep)),
        ]
        ended = await link.ended
        for check in checks:
            check.cancel()
    if ended.elsewhere:
        means.servers.send_to(ended.elsewhere)
    raise RegistryUnavailable(f"{session.server}: connection lost: {ended.reason}")
