"""Reads what a Eureka cluster holds, again and again, and tells what has changed."""

import asyncio
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Never

from meshbridge import BadData, Context, Emit, RegistryRejected, RegistryUnavailable
from meshbridge.contained import spent
from meshbridge.looking import listed
from meshbridge.steps import in_turns
from meshbridge_eureka import parse
from meshbridge_eureka.agenda import Agenda, Ask, Question
from meshbridge_eureka.options import Options, Server
from meshbridge_eureka.over_http import Answer, Http
from meshbridge_eureka.refusals import NotOfferedError, RefusedError
from meshbridge_eureka.servers import Servers
from meshbridge_eureka.services import News
from meshbridge_eureka.telling import listing, updates
from meshbridge_eureka.trials import Trials
from meshbridge_eureka.view import View

SCOPE: Final = "applications"
"""What a server holds is one thing: it tells all of it in one answer."""
_LOST: Final = 2
_LOST_SHARE: Final = 0.02
"""Instances that one answer takes away, and their share of all, from which on everything is listed:
the guard judges a listing as a whole, but of changes each by itself."""
_SAID: Final = 200
_LEASES: Final = "leases"
PATH: Final = "/apps"
"""Where a server tells everything."""


@dataclass(slots=True)
class Past:
    """What is remembered from one reading to the next."""

    servers: Servers
    trials: Trials
    listed: bool = False
    """Whether all was listed: what comes after a failure comes after a gap."""
    overdue: bool = False
    """Whether it was said last that there are instances whose lease is long over."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What a server has told, and what it calls that."""

    server: Server
    ask: Ask
    etag: str
    at: float
    """When, in monotonic seconds."""


class Reading:
    """Lasts until no server of the cluster answers."""

    def __init__(
        self,
        options: Options,
        http: Http,
        context: Context,
        emit: Emit,
        past: Past,
    ) -> None:
        self._http, self._context, self._emit = http, context, emit
        self._servers, self._trials, self._past = past.servers, past.trials, past
        self.query = {"regions": ",".join(options.regions)} if options.regions else {}
        """What to ask a server with, whatever for."""
        self._view = View(options.names)
        self._full_interval = options.full_interval.total_seconds()
        self._agenda = Agenda(options.interval.total_seconds(), self._full_interval, random.random)
        self._server: Server | None = None
        """Who told what is known."""
        self._told: _Told | None = None
        """What of it need not be told again."""
        self._listed = False
        self._lost = 0
        """Instances that are gone and of which nothing was said yet."""
        self._home_at = self._judged_at = -math.inf
        """When servers of our zone are tried again, and leases are judged."""
        self._failures: dict[Server, RegistryUnavailable | RegistryRejected] = {}
        """Who did not answer as it should when it was asked last, and why."""

    async def run(self) -> Never:
        """Raises RegistryUnavailable or RegistryRejected, which tell of each server."""
        clock = self._context.clock
        while True:
            await self._context.sleep(max(0.0, self._agenda.due - clock()))
            await self._read(self._agenda.question(clock()))

    async def _read(self, question: Question) -> None:
        failures = self._failures = {}
        now = self._context.clock()
        home = question.ask is Ask.FULL and now >= self._home_at
        if home:
            self._home_at = now + self._full_interval / 2
        for server in self._servers.order(home=home):
            try:
                if server == self._server:
                    await self._ask(server, question)
                else:
                    # What it has been told by the others may be less than we know: a gap.
                    await self._ask(server, Question(Ask.FULL, after_gap=self._past.listed))
            except (RegistryUnavailable, RegistryRejected) as error:
                spent(error)  # else it would keep the answer
                failures[server] = error
                self._trials.failed(server, error)
            else:
                self._trials.answered(server, failures)
                self._note(server)
                return
        raise _outage(failures)

    async def _ask(self, server: Server, question: Question) -> None:
        path = f"{PATH}{question.ask.value}"
        try:
            answer = await self._http.get(server, path, self.query, self._etag(server, question))
            if server != self._server:
                self._agenda.moved()
                self._judged_at = self._context.clock() + parse.LATE / 1_000
            await self._take(server, question, answer)
        except (RefusedError, BadData) as error:
            spent(error)
            if question.ask is Ask.DELTA:
                self._context.logger.debug("no delta", server=str(server), reason=str(error))
                known = not isinstance(error, NotOfferedError)
                self._agenda.refused_delta(self._context.clock(), known=known)
                return
            if isinstance(error, BadData):
                raise RegistryUnavailable(str(error)) from None
            raise

    def _etag(self, server: Server, question: Question) -> str:
        """Return by what the server may say that its answer is the one of the last time.

        Now and then it may not, lest a proxy say so for ever.
        """
        told = self._told
        if told is None or (told.server, told.ask) != (server, question.ask):
            return ""
        old = self._context.clock() - told.at >= self._full_interval
        return "" if old or question.after_gap else told.etag

    async def _take(self, server: Server, question: Question, answer: Answer | None) -> None:
        now = self._context.clock()
        if answer is None:  # nothing has changed
            self._took(question, agrees=True)
            return
        self._told = None
        # A server that was out of reach, and was for its clients, too, tells old renewals for long.
        at_ms = answer.at_ms if now >= self._judged_at else None
        is_full = question.ask is Ask.FULL
        read = self._view.full if is_full else self._view.delta
        news = await in_turns(read(answer.body, at_ms))
        self._lost += self._view.gone
        self._took(question, agrees=news.agrees)
        await self._tell(server, question, news)
        if is_full:
            self._note_leases(server, judged=at_ms is not None)
        if news.agrees and answer.etag:
            self._told = _Told(server, question.ask, answer.etag, now)

    def _took(self, question: Question, *, agrees: bool) -> None:
        now = self._context.clock()
        if question.ask is Ask.FULL:
            self._agenda.took_full(now)
        else:
            self._agenda.took_delta(now, agrees=agrees)
        if self._view.overdue:
            self._agenda.soon(now)

    async def _tell(self, server: Server, question: Question, news: News) -> None:
        for number, fault in enumerate(news.faults, 1):
            self._context.report(SCOPE, fault.subject, fault.reason, fault.remedy)
            await _turn(number)
        if self._lost and not news.agrees and self._agenda.due <= self._context.clock():
            self._listed = False  # everything is read at once, and may tell otherwise
            return
        much = self._lost >= max(_LOST, _LOST_SHARE * len(self._view))
        # The server may have been started again, or be another one at the same address.
        gap = question.after_gap or (question.doubted and much)
        self._lost = 0
        if self._listed and not gap and not much:
            for number, update in enumerate(updates(news, SCOPE), 1):
                self._emit(update)
                await _turn(number)
            return
        if not self._past.listed:
            # Whoever looks only once, as check does, should hear of the other servers, too.
            self._trials.answered(server, self._failures)
            await self._trials.told()
        self._emit(await in_turns(listing(self._view, SCOPE, after_gap=gap)))
        self._listed = self._past.listed = True

    def _note(self, server: Server) -> None:
        """Remember who answered; say who did not, and who is asked now in another one's place."""
        logger, before = self._context.logger, self._servers.current
        if self._failures and server != self._server:
            reason = _all(self._failures)
            logger.warning("servers left out", asked=str(server), reason=reason)
        elif before not in (None, server):
            logger.info("a server of our zone is asked again", server=str(server))
        self._server = self._servers.current = server

    def _note_leases(self, server: Server, *, judged: bool) -> None:
        overdue, late = self._view.overdue, self._view.late
        if overdue:
            named = listed(late, len(late), overdue)
            self._context.trouble(
                _LEASES,
                f"may hold dead instances: {overdue} whose lease is long over, which Eureka keeps"
                f" (self-preservation): {named}",
                "they get calls only where no other instance is left; see whether they live, and"
                " cancel those that are dead: DELETE /apps/APPLICATION/INSTANCE",
            )
        else:
            self._context.trouble(_LEASES, "")
        if not judged or bool(overdue) == self._past.overdue:
            return
        self._past.overdue = bool(overdue)
        logger = self._context.logger
        if overdue:
            logger.warning(
                "may hold dead instances",
                server=str(server),
                instances=overdue,
                reason="their leases are long over, and Eureka keeps them: self-preservation",
            )
        else:
            logger.info("holds no instance any more whose lease is over", server=str(server))


async def _turn(number: int) -> None:
    """Let others have their turn after each two hundred things that were said."""
    if not number % _SAID:
        await asyncio.sleep(0)


def _outage(failures: Mapping[Server, Exception]) -> Exception:
    """Return what ends the reading: who is refused everywhere needs a person."""
    if all(isinstance(each, RegistryRejected) for each in failures.values()):
        return RegistryRejected(_all(failures))
    return RegistryUnavailable(_all(failures))


def _all(failures: Mapping[Server, Exception]) -> str:
    return "; ".join(f"{server}: {error}" for server, error in failures.items())
