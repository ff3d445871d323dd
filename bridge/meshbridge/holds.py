"""Says what the guard holds: in the registry's words, since when, and how to let it go."""

from collections.abc import Callable
from math import isfinite

from structlog.typing import FilteringBoundLogger

from meshbridge.commands import release_command
from meshbridge.configuration import Configuration
from meshbridge.guard import Effective, GuardRules, Scope
from meshbridge.looking import listed, utc
from meshbridge.problems import Problem, ProblemKind, Problems

_MOST = 5
"""Instances of a service that are named one by one."""


class Holds:
    """What one registry's guard holds, in the log once per change and in the problems while so."""

    def __init__(
        self,
        registry: str,
        rules: GuardRules,
        logger: FilteringBoundLogger,
        problems: Problems,
        unix: Callable[[float], float],
        configuration: Configuration,
    ) -> None:
        """Speak of ``registry``; ``unix`` turns the guard's seconds into those since 1970."""
        self._registry = registry
        self.rules = rules
        self._logger = logger.bind(registry=registry)
        self._problems = problems
        self._unix = unix
        self._configuration = configuration
        self._said: dict[str, str] = {}
        """The phase that was logged last of each scope of which not all is over."""

    def of_service(self, effective: Effective) -> None:
        """Show what is held of one service."""
        owner = ("held", self._registry, effective.scope, effective.service_id)
        if not effective.held or effective.service is None:
            self._problems.put(owner, ())
            return
        held = sorted(each.instance.id for each in effective.held)
        named = listed(held, _MOST)
        since = self._time(min(each.since for each in effective.held))
        text = (
            f"the registry no longer lists {len(held)} of its "
            f"{len(effective.service.instances)} instances ({named}), since {since}; "
            "they are served on"
        )
        remedy = self._release(effective.scope, str(effective.service_id))
        self._put(owner, str(effective.service_id), text, f"if they are gone for good: {remedy}")

    def of_scope(self, scope: Scope) -> None:
        """Show, and log once, that much of a scope is held, and when that is over."""
        owner = ("guard", self._registry, scope.name)
        phase = scope.phase if scope.missing.instances else ""
        if phase not in {"settling", "in loss"}:
            self._problems.put(owner, ())
            if scope.name in self._said:
                self._end(scope)
            return
        since = scope.in_loss if scope.in_loss is not None else scope.since
        self._put(owner, scope.name or self._registry, *self._explained(scope, since))
        if self._said.get(scope.name) != phase:
            self._said[scope.name] = phase
            self._log(scope, phase)

    def _end(self, scope: Scope) -> None:
        """Log that it has settled, and then, perhaps later, that nothing is held any more."""
        if not scope.missing.instances:
            del self._said[scope.name]
            self._logger.info("nothing is held any more", scope=scope.name)
        elif self._said[scope.name] != scope.phase:
            self._said[scope.name] = scope.phase
            due = (each.due for _, entry in scope.held() for each in entry.held)
            last = max(filter(isfinite, due), default=None)
            self._logger.info(
                "settled",
                scope=scope.name,
                instances=scope.missing.instances,
                until=None if last is None else self._time(last),
                next="held until then: their services list no other instance that serves",
            )

    def _explained(self, scope: Scope, since: float) -> tuple[str, str]:
        held, when, release = scope.missing.instances, self._time(since), self._release(scope.name)
        if scope.in_loss is not None:
            reason = (
                f"{held} instances are held since {when}: more than max-loss "
                f"({self.rules.max_loss:.0%}) of what was listed vanished at once"
            )
            remedy = (
                "what returns is taken up by itself: look what ails the registry; "
                f"if it was wanted: {release}"
            )
        else:
            reason = (
                f"{held} instances that were served are not listed since {when}; they are held "
                f"until they return or it has been quiet for {self.rules.settle:g} s"
            )
            remedy = f"nothing needs to be done; to take the registry at its word now: {release}"
        return reason, remedy

    def _log(self, scope: Scope, phase: str) -> None:
        held, release = scope.missing.instances, self._release(scope.name)
        if phase == "in loss":
            self._logger.error(
                "loss held", scope=scope.name, instances=held, next=f"if it was wanted: {release}"
            )
        else:
            self._logger.warning(
                "registry lists less than was served",
                scope=scope.name,
                instances=held,
                next="kept until they return or the registry has been quiet for a while",
            )

    def _put(self, owner: object, subject: str, reason: str, remedy: str) -> None:
        held = Problem(self._registry, subject, ProblemKind.HELD, reason, remedy)
        self._problems.put(owner, [held])

    def _release(self, *which: str) -> str:
        return release_command(self._configuration, self._registry, *which)

    def _time(self, when: float) -> str:
        return utc(self._unix(when))
