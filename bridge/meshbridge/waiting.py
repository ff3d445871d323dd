"""Tells what the first answer waits for: once in the log; what no time ends is a problem, too.

That is an empty registry, and one of which nothing serves.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from structlog.typing import FilteringBoundLogger

from meshbridge.configuration import Configuration
from meshbridge.problems import Problem, ProblemKind, Problems
from meshbridge.readiness import Lack, lack_of, wait
from meshbridge.standing import ScopeState, Together
from meshbridge.watched import Watched

_EVERY: Final = 1.0
"""Seconds between two looks."""
_PATIENCE: Final = {Lack.UNREAD: 5.0, Lack.EMPTY: 5.0, Lack.BESIDE: 5.0}
"""Seconds in which that is nothing to speak of: a registry is read, and its scopes one by one."""
_WARNED_OF: Final = frozenset({Lack.UNREAD, Lack.EMPTY})
_LINES: Final = 10
"""Lines of the log for one registry and what its scopes lack; ``/readyz`` names all of them."""
_SHOWN: Final = 20
"""Scopes of one registry that hold nothing that serves and are problems of their own."""


class Waiting:
    """The wait for the first answer, as long as there is none."""

    def __init__(
        self,
        logger: FilteringBoundLogger,
        problems: Problems,
        configuration: Configuration,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """Say nothing yet."""
        self._logger, self._clock, self._sleep = logger, clock, sleep
        self._configuration = configuration
        self._problems = problems
        self._told: dict[Watched, _Told] = {}
        self._over = False

    async def run(self, watched: Callable[[], Iterable[Watched]]) -> None:
        """Look now and then, until it is over."""
        while not self._over:
            # Who waits for a configuration waits for no registry, and that was said.
            self._look(() if self._configuration.withheld else tuple(watched()))
            await self._sleep(_EVERY)

    def end(self) -> None:
        """Take back what is a problem no longer: the first answer is there."""
        self._over = True
        self._look(())

    def _look(self, watched: tuple[Watched, ...]) -> None:
        for gone in self._told.keys() - set(watched):
            self._told.pop(gone).take_back()
        for each in watched:
            if each not in self._told:
                self._told[each] = _Told(
                    each.name, self._logger, self._problems, self._configuration
                )
            if each.required and not each.ready():
                state = each.state(now := self._clock())
                self._told[each].look(state.awaited, state.together, now)
            else:
                self._told[each].take_back()


class _Told:
    """What was said of one registry, for as long as it is the same."""

    def __init__(
        self,
        registry: str,
        logger: FilteringBoundLogger,
        problems: Problems,
        configuration: Configuration,
    ) -> None:
        self._registry, self._logger = registry, logger
        self._problems, self._configuration = problems, configuration
        self._since: dict[tuple[str, Lack], float] = {}
        """When each that lacks something was first seen to."""
        self._said: set[tuple[str, Lack]] = set()
        self._lines: Counter[Lack] = Counter()
        self._shown: list[Problem] = []

    def look(self, scopes: tuple[ScopeState, ...], together: Together, now: float) -> None:
        lacking: dict[tuple[str, Lack], float] = {}
        empty: list[ScopeState] = []
        for scope in scopes:
            lack = lack_of(scope, together)
            which = scope.scope, lack
            lacking[which] = self._since.get(which, now)
            if now - lacking[which] >= _PATIENCE.get(lack, 0.0):
                if lack is Lack.EMPTY:
                    empty.append(scope)
                if which not in self._said and self._lines[lack] < _LINES:
                    self._said.add(which)
                    self._say(lack, scope, together)
        self._since = lacking
        self._show(self._problems_of(empty, together))

    def take_back(self) -> None:
        self._since = {}
        self._show([])

    def _say(self, lack: Lack, scope: ScopeState, together: Together) -> None:
        why = wait(self._configuration, self._registry, scope, together)
        self._lines[lack] += 1
        beyond = "; /readyz names the others" if self._lines[lack] == _LINES else ""
        say = self._logger.warning if lack in _WARNED_OF else self._logger.info
        say(
            "waiting",
            registry=self._registry,
            scope=scope.scope,
            reason=f"it {why.reason}; the first answer waits for it",
            next=why.way_out + beyond,
        )

    def _problems_of(self, empty: list[ScopeState], together: Together) -> list[Problem]:
        problems: list[Problem] = []
        for each in empty[:_SHOWN]:
            why = wait(self._configuration, self._registry, each, together)
            reason = f"it {why.reason}, so nothing is answered yet"
            problems.append(self._problem(each.scope or self._registry, reason, why.way_out))
        if (beyond := len(empty) - len(problems)) > 0:
            what = "more scopes hold nothing that serves, which nothing proves to be true"
            problems.append(self._problem("all else", f"{beyond} {what}", "/readyz names them"))
        return problems

    def _show(self, problems: list[Problem]) -> None:
        if problems != self._shown:
            self._shown = problems
            self._problems.put(("waiting", self._registry), problems)

    def _problem(self, subject: str, reason: str, remedy: str) -> Problem:
        return Problem(self._registry, subject, ProblemKind.REGISTRY, reason, remedy)
