"""Reads what a Eureka cluster holds, again and again, and tells what has changed."""

import random
from dataclasses import dataclass
from typing import Final, Never

from meshbridge import BadData, Context, Emit, RegistryRejected, RegistryUnavailable
from meshbridge.contained import spent
from meshbridge.steps import in_turns
from meshbridge_eureka.agenda import Agenda, Ask, Question
from meshbridge_eureka.options import Options, Server
from meshbridge_eureka.over_http import Answer, Http, RefusedError
from meshbridge_eureka.servers import Servers
from meshbridge_eureka.services import News
from meshbridge_eureka.telling import listing, updates
from meshbridge_eureka.view import View

SCOPE: Final = "applications"
"""What a server holds is one thing: it tells all of it in one answer."""
_LOST: Final = 2
_LOST_SHARE: Final = 0.02
"""Instances that one answer has fewer, and their share of all, from which on everything is listed:
the guard judges a listing as a whole, but of changes each by itself."""
_PATH: Final = "/apps"


@dataclass(frozen=True, slots=True)
class _Told:
    """What a server has told, and what it calls that."""

    server: Server
    ask: Ask
    etag: str


class Reading:
    """Lasts until no server of the cluster answers."""

    def __init__(
        self,
        options: Options,
        servers: Servers,
        http: Http,
        context: Context,
        emit: Emit,
        *,
        again: bool,
    ) -> None:
        """Know nothing yet; ``again`` says that all was listed before, and changes were missed."""
        self._servers, self._http, self._context, self._emit = servers, http, context, emit
        self._query = {"regions": ",".join(options.regions)} if options.regions else {}
        self._view = View(options.names)
        self._agenda = Agenda(
            options.interval.total_seconds(),
            options.full_interval.total_seconds(),
            random.random,
        )
        self._server: Server | None = None
        """Who told what is known."""
        self._told: _Told | None = None
        """What of it need not be told again."""
        self.listed = again
        """Whether all was listed, in this reading or an earlier one."""
        self._begun = False
        self._overdue = 0

    async def run(self) -> Never:
        """Raises RegistryUnavailable or RegistryRejected, which tell of each server."""
        clock = self._context.clock
        while True:
            await self._context.sleep(max(0.0, self._agenda.due - clock()))
            await self._read(self._agenda.question(clock()))

    async def _read(self, question: Question) -> None:
        failures: list[RegistryUnavailable | RegistryRejected] = []
        for server in self._servers.order(home=question.ask is Ask.FULL):
            try:
                if server == self._server:
                    await self._ask(server, question)
                else:
                    # What it has been told by the others may be less than we know: a gap.
                    self._agenda.moved()
                    await self._ask(server, Question(Ask.FULL, after_gap=self.listed))
            except (RegistryUnavailable, RegistryRejected) as error:
                spent(error)  # else it would keep the answer
                failures.append(error)
            else:
                self._note(server, failures)
                return
        raise _outage(failures)

    async def _ask(self, server: Server, question: Question) -> None:
        path = f"{_PATH}{question.ask.value}"
        try:
            answer = await self._http.get(server, path, self._query, self._etag(server, question))
            await self._take(server, question, answer)
        except (RefusedError, BadData) as error:
            spent(error)
            if question.ask is Ask.DELTA:
                self._context.logger.debug("no delta", server=str(server), reason=str(error))
                self._agenda.refused_delta(self._context.clock())
                return
            if isinstance(error, BadData):
                raise RegistryUnavailable(f"{server}: {error}") from None
            raise

    def _etag(self, server: Server, question: Question) -> str:
        told = self._told
        same = told is not None and (told.server, told.ask) == (server, question.ask)
        return told.etag if told is not None and same and not question.after_gap else ""

    async def _take(self, server: Server, question: Question, answer: Answer | None) -> None:
        if answer is None:  # nothing has changed
            self._took(question, agrees=True)
            return
        self._told = None
        is_full = question.ask is Ask.FULL
        read = self._view.full if is_full else self._view.delta
        held = len(self._view)
        news = await in_turns(read(answer.body, answer.at_ms))
        await self._tell(question, news, held - len(self._view))
        self._took(question, agrees=news.agrees)
        if news.agrees and answer.etag:
            self._told = _Told(server, question.ask, answer.etag)

    def _took(self, question: Question, *, agrees: bool) -> None:
        now = self._context.clock()
        if question.ask is Ask.FULL:
            self._agenda.took_full(now)
        else:
            self._agenda.took_delta(now, agrees=agrees)

    async def _tell(self, question: Question, news: News, lost: int) -> None:
        for fault in news.faults:
            self._context.report(SCOPE, fault.subject, fault.reason, fault.remedy)
        much = max(_LOST, _LOST_SHARE * len(self._view))
        if self._begun and not question.after_gap and lost < much:
            for update in updates(news, SCOPE):
                self._emit(update)
            return
        self._emit(await in_turns(listing(self._view, SCOPE, after_gap=question.after_gap)))
        self._begun = self.listed = True

    def _note(self, server: Server, failures: list[RegistryUnavailable | RegistryRejected]) -> None:
        """Remember who answered, and say what an operator should know."""
        logger = self._context.logger
        if self._server not in (None, server):
            why = _all(failures) or "it is of our zone, and answers again"
            logger.warning("another server is asked", server=str(server), reason=why)
        self._server = self._servers.current = server
        overdue = self._view.overdue
        if bool(overdue) != bool(self._overdue):
            if overdue:
                logger.warning(
                    "may hold dead instances",
                    server=str(server),
                    instances=overdue,
                    reason="their leases are long over, and Eureka keeps them: self-preservation",
                )
            else:
                logger.info("holds no instance any more whose lease is over", server=str(server))
        self._overdue = overdue


def _outage(failures: list[RegistryUnavailable | RegistryRejected]) -> Exception:
    """Return what ends the reading: who is refused everywhere needs a person."""
    if all(isinstance(each, RegistryRejected) for each in failures):
        return RegistryRejected(_all(failures))
    return RegistryUnavailable(_all(failures))


def _all(failures: list[RegistryUnavailable | RegistryRejected]) -> str:
    return "; ".join(str(each) for each in failures)
