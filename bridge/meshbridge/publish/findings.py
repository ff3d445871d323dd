"""Collects what is wrong with one registration, bounded, so that one bad service cannot flood."""

from collections.abc import Iterable

from meshbridge.problems import Problem, ProblemKind

_MOST = 20
"""Problems kept per service and kind; a summary stands for the rest."""
_LONGEST = 160


def printable(text: str) -> str:
    """Return the text with what cannot be printed or encoded as UTF-8 escaped.

    A registry may hold lone surrogates and control characters; neither may reach a protocol
    buffer, a log line or a terminal.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def quoted(text: str) -> str:
    """Return registry data in quotation marks, escaped and cut, for a problem's text."""
    shown = printable(text)
    return f'"{shown[:_LONGEST]}…"' if len(shown) > _LONGEST else f'"{shown}"'


class Findings:
    """The problems of one registration as they are found."""

    def __init__(self, registry: str, service: str) -> None:
        """Start without any, for the service as the registry names it."""
        self._registry = registry
        self._service = service
        self._found: dict[ProblemKind, list[Problem]] = {}
        self._beyond: dict[ProblemKind, int] = {}

    def service(self, kind: ProblemKind, reason: str, remedy: str) -> None:
        """Note what holds for the service as a whole."""
        self._add(Problem(self._registry, self._service, kind, reason, remedy))

    def instance(self, instance: str, kind: ProblemKind, reason: str, remedy: str) -> None:
        """Note what holds for one instance, by the registry's id of it."""
        subject = f"{self._service}, instance {printable(instance)[:_LONGEST]}"
        self._add(Problem(self._registry, subject, kind, reason, remedy))

    def _add(self, problem: Problem) -> None:
        found = self._found.setdefault(problem.kind, [])
        if len(found) < _MOST:
            found.append(problem)
        else:
            self._beyond[problem.kind] = self._beyond.get(problem.kind, 0) + 1

    def problems(self) -> tuple[Problem, ...]:
        """Return all of them, sorted, with one line for what went beyond the bound."""
        return tuple(sorted({*self._listed(), *self._summaries()}))

    def _listed(self) -> Iterable[Problem]:
        return (problem for found in self._found.values() for problem in found)

    def _summaries(self) -> Iterable[Problem]:
        for kind, count in self._beyond.items():
            yield Problem(
                self._registry,
                self._service,
                kind,
                f"{count} more of this kind",
                "mend those that are listed; the others are shown then",
            )
