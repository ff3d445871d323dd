"""Tells a registry's outages once when they begin and once when they end, and how long to wait."""

import enum
from collections.abc import Callable, Iterable

from structlog.typing import FilteringBoundLogger
from tenacity import RetryCallState, Retrying
from tenacity.wait import wait_base, wait_random_exponential

from meshbridge.errors import RegistryRejected, RegistryUnavailable
from meshbridge.problems import Problem, ProblemKind, Problems

STEADY = 30.0
"""Seconds a watch must have lasted for its end to count as the first failure again."""
_LONGEST = 500
_MANY = 64
"""Attempts beyond which the wait no longer grows, and faults beyond which none is said."""
_FAULTS = 3
"""Different faults of the adapter that are said in one outage."""
_SCOPES = 10
"""Scopes that are said to be unreadable within a minute; problems and metrics show all of them."""
_MINUTE = 60.0


class Failure(enum.StrEnum):
    """Why a registry is not being watched."""

    UNAVAILABLE = "unavailable"
    """It cannot be read; tried again within 3 s."""
    REJECTED = "rejected"
    """It refuses us; tried again within five minutes, because only a person can help."""
    FAULT = "adapter-fault"
    """The adapter broke its contract; tried again within half a minute."""


class AdapterFault(Exception):  # noqa: N818 - the word says who must mend it
    """An adapter broke the contract of the SDK; its author must mend it."""


def failure_of(error: Exception) -> Failure:
    """Tell what an exception that ended a watch means."""
    if isinstance(error, RegistryRejected):
        return Failure.REJECTED
    return Failure.UNAVAILABLE if isinstance(error, RegistryUnavailable) else Failure.FAULT


def reason_of(error: Exception) -> str:
    """Return the exception in one bounded line, with its type when it should not have come."""
    try:
        text = one_line(str(error))
    except Exception:  # noqa: BLE001 - whoever wrote it does not know what it says either
        text = "it cannot say why"
    if not isinstance(error, (RegistryRejected, RegistryUnavailable, AdapterFault)):
        text = f"{type(error).__qualname__}: {text}" if text else type(error).__qualname__
    return text[:_LONGEST] or type(error).__name__


def one_line(text: str) -> str:
    """Return the text in one bounded line."""
    return " ".join(text[: 4 * _LONGEST].split())[:_LONGEST]


def _which(error: Exception, reason: str) -> str:
    """Tell an adapter's faults apart: by the line that raised it, as its words may differ."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None or isinstance(error, AdapterFault):
        return reason
    return f"{type(error).__qualname__} {place.tb_frame.f_code.co_filename}:{place.tb_lineno}"


class Backoff:
    """How long to wait before the next attempt: full jitter, so that replicas do not march.

    Unavailable: up to 1 s, 2 s, then 3 s, so that a registry that has returned is read within 5 s.
    A fault of the adapter: doubled with each attempt, at most 30 s. Rejected: 5 s at least, at most
    5 minutes. Half a second at least, so that a watch that ends at once costs little.
    """

    def __init__(self) -> None:
        """Start before the first attempt."""
        self._waits: dict[Failure, wait_base] = {
            Failure.UNAVAILABLE: wait_random_exponential(multiplier=1, max=3, min=0.5),
            Failure.FAULT: wait_random_exponential(multiplier=1, max=30, min=0.5),
            Failure.REJECTED: wait_random_exponential(multiplier=15, max=300, min=5),
        }
        self._state = RetryCallState(Retrying(), None, (), {})
        self._state.attempt_number = 0

    def next(self, failure: Failure, lasted: float) -> float:
        """Return the seconds to wait after a watch that ``lasted`` so many seconds and failed."""
        failed_before = 0 if lasted >= STEADY else self._state.attempt_number
        self._state.attempt_number = min(failed_before + 1, _MANY)
        return self._waits[failure](self._state)


class Outage:
    """Whether a registry is being watched; each change is said once, in the log and in problems."""

    def __init__(
        self,
        registry: str,
        logger: FilteringBoundLogger,
        problems: Problems,
        clock: Callable[[], float],
    ) -> None:
        """Begin without an outage."""
        self._registry = registry
        self._logger = logger
        self._problems = problems
        self._clock = clock
        self.failure: Failure | None = None
        """What is wrong now; ``None`` while the registry is being watched."""
        self.reason = ""
        self.since = clock()
        """Monotonic seconds of the last change between watched and not."""
        self._stale: dict[str, tuple[float, str]] = {}
        self._faults: set[str] = set()
        self._said: set[Failure] = set()
        """What was said of this outage."""
        self._owed = False
        """Whether the end is to be said of what began before :meth:`carry_on`."""
        self._faults_said = 0
        self._aloud: set[str] = set()
        """The unreadable scopes that were said to be, and will be said to be readable again."""
        self._minute, self._in_minute = self.since, 0

    def carry_on(self, before: "Outage", scopes: Iterable[str]) -> None:
        """Take over the outage of who watched these scopes before, so that its end is said.

        What is wrong with the new one is said anew: it may be something else.
        """
        self.failure, self.reason, self.since = before.failure, before.reason, before.since
        self._owed = before.was_said()
        for scope in scopes:
            since, reason = before.stale_since(scope), before.stale_reason(scope)
            if since is not None and reason is not None:
                self._stale[scope] = since, reason
                self._aloud |= {scope} if before.was_said(scope) else set()
                if self.failure is None:
                    self._show(scope, reason)
        if self.failure is not None:
            self._show("registry", self.reason)

    def was_said(self, scope: str | None = None) -> bool:
        """Whether the outage, or that the scope cannot be read, was logged; then its end is."""
        return bool(self._said) or self._owed if scope is None else scope in self._aloud

    def begin(self, error: Exception) -> Failure:
        """Note that the watch ended with ``error``; return what that means."""
        failure, reason = failure_of(error), reason_of(error)
        if self.failure is None:
            self.since = self._clock()
        if failure is Failure.FAULT:
            self._say_fault(reason, error)
        elif failure not in self._said:  # also when it was rejected meanwhile
            self._say(failure, reason)
        self.failure, self.reason = failure, reason
        self._show("registry", reason)
        return failure

    def _say(self, failure: Failure, reason: str) -> None:
        self._said.add(failure)
        if failure is Failure.REJECTED:
            self._logger.error(
                "registry rejects the bridge",
                reason=reason,
                next="trying again within 5 minutes; check credentials and version",
            )
        else:
            self._logger.warning(
                "registry unavailable", reason=reason, next="trying again within 3 s"
            )

    def _say_fault(self, reason: str, error: Exception) -> None:
        """Say an adapter's fault, each but once: it comes back until the adapter is mended."""
        which = _which(error, reason)
        if which in self._faults or len(self._faults) >= _MANY or self._faults_said >= _FAULTS:
            return
        self._faults.add(which)
        self._faults_said += 1
        self._said.add(Failure.FAULT)
        self._logger.error(
            "adapter failed",
            error=type(error).__qualname__,
            reason=reason,
            next="its services are kept, it is started again within 30 s",
            exc_info=error,
        )

    def end(self) -> None:
        """Note that the registry is being watched again; a scope may still be stale by itself."""
        if self.failure is None:
            return
        if self.was_said():
            after = round(self._clock() - self.since, 3)
            self._logger.info("registry available", after_seconds=after)
            self._said.clear()
            self._owed = False
            self._faults_said = 0
        self.failure, self.reason, self.since = None, "", self._clock()
        self._problems.put(("outage", self._registry, "registry"), ())

    def stale(self, scope: str, reason: str) -> None:
        """Note that one scope cannot be read; said once, and not beside the registry's outage."""
        since, _ = self._stale.get(scope, (self._clock(), ""))
        self._stale[scope] = (since, reason)
        if self.failure is None:
            self._say_scope(scope, reason)
            self._show(scope, reason)

    def _say_scope(self, scope: str, reason: str) -> None:
        if scope in self._aloud:
            return
        if self._clock() - self._minute >= _MINUTE:
            self._minute, self._in_minute = self._clock(), 0
        self._in_minute += 1
        if self._in_minute > _SCOPES:
            return
        self._aloud.add(scope)
        more = {"next": "/api/problems shows the others"} if self._in_minute == _SCOPES else {}
        self._logger.warning("scope unreadable", scope=scope, reason=reason, **more)

    def listed(self, scope: str) -> None:
        """Note that the scope was read; ends the outage with the last of its scopes."""
        self._forget(scope, "scope readable")
        self.end_if_readable()

    def gone(self, scope: str) -> None:
        """Note that the scope is not there any more: nobody waits for it."""
        self._forget(scope, "scope gone")

    def end_if_readable(self) -> None:
        """End the outage if no scope is unreadable; not while nobody watches."""
        if not self._stale:
            self.end()

    def _forget(self, scope: str, event: str) -> None:
        since, _ = self._stale.pop(scope, (None, ""))
        if scope in self._aloud and since is not None:
            after = round(self._clock() - since, 3)
            self._logger.info(event, scope=scope, after_seconds=after)
            self._aloud.remove(scope)
        self._problems.put(("outage", self._registry, scope), ())

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The scopes that cannot be read."""
        return tuple(self._stale)

    def stale_since(self, scope: str) -> float | None:
        """Return the monotonic second since which the scope cannot be read, if it cannot."""
        since, _ = self._stale.get(scope, (None, ""))
        return since

    def stale_reason(self, scope: str) -> str | None:
        """Return why the scope cannot be read, if it cannot."""
        _, reason = self._stale.get(scope, (None, None))
        return reason

    def _show(self, subject: str, reason: str) -> None:
        problem = Problem(
            self._registry,
            subject,
            ProblemKind.REGISTRY,
            f"cannot be read: {reason}",
            "nothing is removed meanwhile; see that the registry can be reached and accepts us",
        )
        self._problems.put(("outage", self._registry, subject), [problem])
