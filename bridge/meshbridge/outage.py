"""Tells a registry's outages once when they begin and once when they end, and how long to wait."""

import enum
from collections.abc import Callable

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


class Failure(enum.StrEnum):
    """Why a registry is not being watched."""

    UNAVAILABLE = "unavailable"
    """It cannot be read; tried again within half a minute."""
    REJECTED = "rejected"
    """It refuses us; tried again within five minutes, because only a person can help."""
    FAULT = "adapter-fault"
    """The adapter broke its contract; treated as unavailable."""


class AdapterFault(Exception):  # noqa: N818 - the word says who must mend it
    """An adapter broke the contract of the SDK; its author must mend it."""


def failure_of(error: Exception) -> Failure:
    """Tell what an exception that ended a watch means."""
    if isinstance(error, RegistryRejected):
        return Failure.REJECTED
    return Failure.UNAVAILABLE if isinstance(error, RegistryUnavailable) else Failure.FAULT


def reason_of(error: Exception) -> str:
    """Return the exception in one bounded line, with its type when it should not have come."""
    text = " ".join(str(error).split())
    if not isinstance(error, (RegistryRejected, RegistryUnavailable, AdapterFault)):
        text = f"{type(error).__qualname__}: {text}" if text else type(error).__qualname__
    return text[:_LONGEST] or type(error).__name__


class Backoff:
    """How long to wait before the next attempt: full jitter, so that replicas do not march.

    Unavailable: up to 1 s, doubled with each attempt, at most 30 s. Rejected: 5 s at least, at
    most 5 minutes. Half a second at least, so that a watch that ends at once costs little.
    """

    def __init__(self) -> None:
        """Start before the first attempt."""
        passing = wait_random_exponential(multiplier=1, max=30, min=0.5)
        self._waits: dict[Failure, wait_base] = {
            Failure.UNAVAILABLE: passing,
            Failure.FAULT: passing,
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
        self._begun_aloud = False

    def begin(self, error: Exception) -> Failure:
        """Note that the watch ended with ``error``; return what that means."""
        failure, reason = failure_of(error), reason_of(error)
        if self.failure is None:
            self.since = self._clock()
        if failure is Failure.FAULT:
            self._say_fault(reason, error)
        elif failure is not self.failure:
            self._say(failure, reason)
        self.failure, self.reason = failure, reason
        self._show("registry", reason)
        return failure

    def _say(self, failure: Failure, reason: str) -> None:
        self._begun_aloud = True
        if failure is Failure.REJECTED:
            self._logger.error(
                "registry rejects the bridge",
                reason=reason,
                next="trying again within 5 minutes; check credentials and version",
            )
        else:
            self._logger.warning(
                "registry unavailable", reason=reason, next="trying again within 30 s"
            )

    def _say_fault(self, reason: str, error: Exception) -> None:
        """Say an adapter's fault, each but once: it comes back until the adapter is mended."""
        if reason in self._faults or len(self._faults) >= _MANY:
            return
        self._faults.add(reason)
        self._begun_aloud = True
        self._logger.error(
            "adapter failed",
            error=type(error).__qualname__,
            reason=reason,
            next="its services are kept, it is started again within 30 s",
            exc_info=error,
        )

    def end(self) -> None:
        """Note that everything the outage had made stale was read again."""
        if self.failure is None:
            return
        if self._begun_aloud:
            after = round(self._clock() - self.since, 3)
            self._logger.info("registry available", after_seconds=after)
            self._begun_aloud = False
        self.failure, self.reason, self.since = None, "", self._clock()
        self._problems.put(("outage", self._registry, "registry"), ())

    def stale(self, scope: str, reason: str) -> None:
        """Note that one scope cannot be read; said once, and not beside the registry's outage."""
        if scope in self._stale:
            since, _ = self._stale[scope]
            self._stale[scope] = (since, reason)
            if self.failure is None:
                self._show(scope, reason)
            return
        self._stale[scope] = (self._clock(), reason)
        if self.failure is None:
            self._logger.warning("scope unreadable", scope=scope, reason=reason)
            self._show(scope, reason)

    def listed(self, scope: str) -> None:
        """Note that the scope was read; ends the outage with the last of its scopes."""
        since, _ = self._stale.pop(scope, (None, ""))
        if since is not None and self.failure is None:
            after = round(self._clock() - since, 3)
            self._logger.info("scope readable", scope=scope, after_seconds=after)
        self._problems.put(("outage", self._registry, scope), ())
        if not self._stale:
            self.end()

    def gone(self, scope: str) -> None:
        """Note that the scope was deleted: nobody waits for it."""
        self.listed(scope)

    def stale_since(self, scope: str) -> float | None:
        """Return the monotonic second since which the scope cannot be read, if it cannot."""
        since, _ = self._stale.get(scope, (None, ""))
        return since

    def _show(self, subject: str, reason: str) -> None:
        problem = Problem(
            self._registry,
            subject,
            ProblemKind.REGISTRY,
            f"cannot be read: {reason}",
            "nothing is removed meanwhile; see that the registry can be reached and accepts us",
        )
        self._problems.put(("outage", self._registry, subject), [problem])
