"""Tells what the first answer waits for: once in the log; an empty registry is a problem, too."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

from meshbridge.configuration import Configuration
from meshbridge.problems import Problem, ProblemKind, Problems, Said
from meshbridge.readiness import Lack, Wait, wait
from meshbridge.standing import RegistryState, ScopeState

_EVERY: Final = 1.0
"""Seconds between two looks."""
_PATIENCE: Final = 5.0
"""Seconds from the start in which it is nothing to speak of that a registry was not read yet."""
_MOST: Final = 10
"""Lines of the log for one registry; ``/readyz`` names all that is waited for."""


class Waiting:
    """The wait for the first answer, as long as there is none."""

    def __init__(
        self,
        logger: FilteringBoundLogger,
        problems: Problems,
        configuration: Configuration,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        """Say nothing yet."""
        self._logger, self._sleep = logger, sleep
        self._configuration = configuration
        self._problems = Said(problems)
        self._said: set[tuple[str, str, Lack]] = set()
        self._lines: Counter[str] = Counter()
        self._over = False

    async def run(self, registries: Callable[[], tuple[RegistryState, ...]]) -> None:
        """Look now and then, until it is over."""
        seconds = 0.0
        while not self._over:
            await self._sleep(_EVERY)
            seconds += _EVERY
            if not self._over:
                self._look(registries(), seconds)

    def end(self) -> None:
        """Take back what is a problem no longer: the first answer is there."""
        self._over = True
        self._problems.take_back()

    def _look(self, states: tuple[RegistryState, ...], seconds: float) -> None:
        self._problems.take_back()
        if self._configuration.withheld:
            return  # that is what it waits for, and it was said
        for state in states:
            for scope in state.scopes if state.required else ():
                if not scope.ready and (scope.listed or seconds >= _PATIENCE):
                    self._tell(state, scope, wait(self._configuration, state, scope))

    def _tell(self, state: RegistryState, scope: ScopeState, why: Wait) -> None:
        if why.lack is Lack.EMPTY:
            reason = f"it {why.reason}, so nothing is answered yet"
            kind, subject = ProblemKind.REGISTRY, scope.scope or state.name
            problem = Problem(state.name, subject, kind, reason, why.way_out)
            self._problems.put(("waiting", state.name, scope.scope), [problem])
        which = state.name, scope.scope, why.lack
        if which in self._said or self._lines[state.name] >= _MOST:
            return
        self._said.add(which)
        self._lines[state.name] += 1
        beyond = "; /readyz names the others" if self._lines[state.name] == _MOST else ""
        say = self._logger.info if why.lack is Lack.FILLING else self._logger.warning
        say(
            "waiting",
            registry=state.name,
            scope=scope.scope,
            reason=f"it {why.reason}; the first answer waits for it",
            next=why.way_out + beyond,
        )
