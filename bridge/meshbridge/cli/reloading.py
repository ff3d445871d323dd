"""Reads the configuration again when it is asked for, one time after the other."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Never

from structlog.typing import FilteringBoundLogger

from meshbridge.admin.reloading import Reloaded
from meshbridge.commands import accept_loss_command
from meshbridge.configuration import Configuration, Result
from meshbridge.errors import ConfigurationError
from meshbridge.settings.comparing import Plan, compare
from meshbridge.settings.model import Settings
from meshbridge.tally import Tally, refusal

_MOST: Final = 50
"""Lines of an answer."""
_RECENT: Final = 60.0
"""Seconds for which who asks is told of what was applied unasked."""

Apply = Callable[[Settings, Plan, bool], Awaitable[Tally | None]]
"""Lets a configuration hold; returns what would be lost if that is too much and not accepted.

Raises ConfigurationError for what cannot be had, a port for one; nothing has changed then."""


class Reloads:
    """Takes the wishes for a reload; wishes that come while one is at work are one."""

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Settings],
        apply: Apply,
        configuration: Configuration,
        logger: FilteringBoundLogger,
    ) -> None:
        """Begin with the configuration in force; ``read`` is called in a thread."""
        self.settings = settings
        """The configuration in force."""
        self._read, self._apply = read, apply
        self._configuration, self._logger = configuration, logger
        self._wanted = asyncio.Event()
        self._wishes: list[tuple[bool, asyncio.Future[Reloaded]]] = []
        self._unasked = False
        self._last: tuple[float, tuple[str, ...]] | None = None
        """When something was applied that nobody waited for, and what."""

    def ask(self) -> None:
        """Reload soon; the log says what came of it."""
        self._unasked = True
        self._wanted.set()

    async def reload(self, accept_loss: bool) -> Reloaded:  # noqa: FBT001 - the operation's shape
        """Reload, and return what came of it."""
        answer: asyncio.Future[Reloaded] = asyncio.get_running_loop().create_future()
        self._wishes.append((accept_loss, answer))
        self._wanted.set()
        return await answer

    async def run(self) -> Never:
        """Reload whenever that is wanted, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            wishes, self._wishes = self._wishes, []
            unasked, self._unasked = self._unasked, False
            if unasked and not wishes:
                told = await self._once(accept_loss=False)
                if told.result is Result.APPLIED:
                    self._last = asyncio.get_running_loop().time(), tuple(told.lines)
            for accept_loss, answer in wishes:
                told = await self._once(accept_loss=accept_loss)
                if told.result is Result.UNCHANGED:
                    told.lines = list(self._before())
                elif told.result is Result.APPLIED:
                    self._last = None  # what came before it is not the last change any more
                if not answer.done():
                    answer.set_result(told)

    def _before(self) -> Iterator[str]:
        """Yield what changed a moment ago: the file was seen to change before anyone could ask."""
        if self._last is not None:
            ago = asyncio.get_running_loop().time() - self._last[0]
            if ago < _RECENT:
                yield from (f"{ago:.0f} s ago: {line}" for line in self._last[1])

    async def _once(self, *, accept_loss: bool) -> Reloaded:
        try:
            told = await self._reloaded(accept_loss=accept_loss)
        except ConfigurationError as error:
            told = Reloaded(Result.INVALID, list(error.faults))
        except Exception as error:
            self._logger.exception("reload failed", next="the configuration in force stays so")
            said = str(error) or type(error).__name__
            told = Reloaded(Result.INVALID, [f"an adapter or an outlet cannot be made: {said}"])
        told.lines = [*told.lines[:_MOST], *(["and more"] if told.lines[_MOST:] else [])]
        self._note(told)
        return told

    async def _reloaded(self, *, accept_loss: bool) -> Reloaded:
        """Raises ConfigurationError, and whatever an adapter's or outlet's author raises."""
        settings = await asyncio.to_thread(self._read)
        plan = compare(self.settings, settings)
        if plan.faults:
            raise ConfigurationError(*plan.faults)
        lines = plan.lines()
        withheld = bool(self._configuration.withheld)
        if lines or withheld:
            tally = await self._apply(settings, plan, accept_loss)
            if tally is not None:
                text = refusal(tally, settings.keeping.max_loss)
                return Reloaded(Result.REFUSED, [text, *tally.listed()])
        self.settings = settings
        if withheld:
            lines = (*lines, "what was withheld since the start is served")
        return Reloaded(Result.APPLIED if lines else Result.UNCHANGED, list(lines))

    def _note(self, told: Reloaded) -> None:
        self._configuration.counts[told.result] += 1
        match told.result:
            case Result.APPLIED:
                self._configuration.refused = ()
                self._logger.info("configuration applied", changes=told.lines)
            case Result.UNCHANGED:
                self._configuration.refused = ()
                self._logger.info("configuration unchanged")
            case Result.INVALID:
                self._configuration.refused = tuple(told.lines)
                self._logger.error(
                    "configuration invalid",
                    faults=told.lines,
                    next="the configuration in force stays so; mend the file",
                )
            case Result.REFUSED:
                self._configuration.refused = tuple(told.lines)
                self._logger.error(
                    "configuration refused",
                    reason=told.lines[0],
                    hosts=told.lines[1:],
                    next="the configuration in force stays so; mend the file, or if it is meant: "
                    f"{accept_loss_command(self._configuration)}",
                )
