"""Keeps what adapters say is wrong, for as long as it holds: with records, and with registries."""

import threading
from collections.abc import Iterator
from itertools import islice

from meshbridge.adapter import Changed, Gone, Listing, Removed, Unreadable, Update
from meshbridge.problems import Problem, ProblemKind, Problems
from meshbridge.registration import ServiceId

Subject = ServiceId | tuple[ServiceId, str]
_MOST_PER_SERVICE = 20
"""Records of one service that are shown one by one; their number alone tells of the others."""
_MOST_TROUBLES = 20
_MOST_KEPT = 1_000
_LONGEST = 500
"""Characters of a reason or a remedy that are kept: both may quote what a registry holds."""


class Reports:
    """What one registry's adapter reported and has not made good.

    A report holds until an update that covers its service no longer names its subject in
    ``unreadable``: adapters need to take nothing back.
    """

    def __init__(self, registry: str, problems: Problems) -> None:
        """Keep the reports of ``registry`` in ``problems``."""
        self._registry = registry
        self._problems = problems
        self._said: dict[str, dict[ServiceId, dict[Subject, Problem]]] = {}

    def report(self, scope: str, subject: Subject, reason: str, remedy: str) -> None:
        """Take a reason from the adapter; it is shown with the update that names the subject."""
        problem = Problem(
            self._registry,
            _shown(subject),
            ProblemKind.UNREADABLE,
            reason[:_LONGEST],
            remedy[:_LONGEST],
        )
        self._said.setdefault(scope, {}).setdefault(_service(subject), {})[subject] = problem

    def settle(self, update: Update) -> None:
        """Drop what the update makes good, and show what it names."""
        match update:
            case Listing(scope, _, unreadable):
                named = _by_service(unreadable)
                for service_id in {*self._said.get(scope, {}), *named}:
                    self._keep(scope, service_id, named.get(service_id, ()))
            case Changed(scope, service, unreadable):
                named = _by_service(unreadable)
                for service_id in {service.id, *named}:
                    self._keep(scope, service_id, named.get(service_id, ()))
            case Removed(scope, service_id):
                self._keep(scope, service_id, ())
            case Gone(scope):
                for service_id in list(self._said.get(scope, {})):
                    self._keep(scope, service_id, ())
            case _:  # Stale, which names nothing
                return

    def _keep(self, scope: str, service_id: ServiceId, named: tuple[Subject, ...]) -> None:
        said = self._said.get(scope, {}).pop(service_id, {})
        kept = {subject: said.get(subject) or self._unexplained(subject) for subject in named}
        if kept:
            self._said.setdefault(scope, {})[service_id] = kept
        owner = ("unreadable", self._registry, scope, service_id)
        self._problems.put(owner, self._bounded(service_id, list(kept.values())))

    def _bounded(self, service_id: ServiceId, problems: list[Problem]) -> Iterator[Problem]:
        yield from problems[:_MOST_PER_SERVICE]
        if len(problems) > _MOST_PER_SERVICE:
            yield Problem(
                self._registry,
                str(service_id),
                ProblemKind.UNREADABLE,
                f"{len(problems) - _MOST_PER_SERVICE} more records cannot be read",
                "mend those shown first",
            )

    def _unexplained(self, subject: Subject) -> Problem:
        return Problem(
            self._registry,
            _shown(subject),
            ProblemKind.UNREADABLE,
            "the adapter cannot read the record and did not say why",
            "look at the record in the registry",
        )


class Troubles:
    """What one adapter says is wrong with its registry, apart from records and outages."""

    def __init__(self, registry: str, problems: Problems) -> None:
        """Show in ``problems`` what is said of ``registry``, from :meth:`show` on."""
        self._registry = registry
        self._problems = problems
        self._owner = ("unreadable", registry, None)  # goes with what is said of records
        self._said: dict[str, Problem] = {}
        self._thread = threading.get_ident()
        self._shown = self._over = False

    def say(self, subject: str, reason: str, remedy: str = "") -> None:
        """Take a trouble from the adapter; an empty ``reason`` takes it back.

        Of more than a thousand subjects no further ones are taken. Raises RuntimeError in another
        thread than the event loop's.
        """
        if threading.get_ident() != self._thread:
            raise RuntimeError("trouble is to be called in the event loop's thread")
        subject = subject[:_LONGEST]
        if not reason:
            if self._said.pop(subject, None) is None:
                return
        elif subject in self._said or len(self._said) < _MOST_KEPT:
            self._said[subject] = self._problem(subject, reason[:_LONGEST], remedy[:_LONGEST])
        if self._shown and not self._over:
            self._put()

    def end(self) -> None:
        """Hear the adapter no more: it may go on though nobody wants it to."""
        self._over = True

    def show(self) -> None:
        """Show what it says from now on, in place of what an adapter before it said."""
        self._shown = True
        self._put()

    def _put(self) -> None:
        shown = list(islice(self._said.values(), _MOST_TROUBLES))
        if (beyond := len(self._said) - len(shown)) > 0:
            least = "at least " if len(self._said) == _MOST_KEPT else ""
            reason = f"{least}{beyond} more are in trouble"
            shown.append(self._problem("all else", reason, "mend those shown first"))
        self._problems.put(self._owner, shown)

    def _problem(self, subject: str, reason: str, remedy: str) -> Problem:
        return Problem(self._registry, subject, ProblemKind.OTHER, reason, remedy)


def _service(subject: Subject) -> ServiceId:
    return subject if isinstance(subject, ServiceId) else subject[0]


def _shown(subject: Subject) -> str:
    if isinstance(subject, ServiceId):
        return str(subject)[:_LONGEST]
    return f"{subject[0]}, record {subject[1]}"[:_LONGEST]


def _by_service(unreadable: Unreadable) -> dict[ServiceId, tuple[Subject, ...]]:
    sorted_out: dict[ServiceId, tuple[Subject, ...]] = {}
    for subject in unreadable:
        service_id = _service(subject)
        sorted_out[service_id] = (*sorted_out.get(service_id, ()), subject)
    return sorted_out
