"""Says what is wrong with stored state, once, in the log and among the problems; and its end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from structlog.typing import FilteringBoundLogger

from meshbridge.problems import Problem, ProblemKind, Problems
from meshbridge.store.disk import Aside
from meshbridge.store.pending import Batch, Key
from meshbridge.store.rows import Left, Unreadable
from meshbridge.store.trouble import Unwritable

OWNER: Final = "state"
"""Stands where other problems have the name of their registry."""
_MOST: Final = 20
"""Registrations that are shown one by one; their number alone tells of the others."""
_LONGEST: Final = 300
_DAMAGE: Final = "look at the disk; the file can be deleted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt to write came to."""

    batch: Batch | None = None
    """What reached the disk."""
    left: Sequence[Left] = ()
    """What of it could not be stored."""
    unwritable: Unwritable | None = None
    """Why nothing did."""


class Telling:
    """What is known of the store's fortune; for the loop's thread."""

    def __init__(
        self,
        directory: Path,
        logger: FilteringBoundLogger,
        problems: Problems,
        unix: Callable[[], float],
    ) -> None:
        """Begin with all well; ``unix`` returns the seconds since 1970."""
        self._directory = directory
        self._logger = logger.bind(state=str(directory))
        self.problems = problems
        """Where it is shown what is wrong."""
        self._unix = unix
        self._since = 0.0
        self._aside: Aside | None = None
        self._left: dict[tuple[str, Key | None], Problem] = {}
        self.trouble: str | None = None
        self.written_at: float | None = None
        self.written_rows = 0

    def now(self) -> float:
        """Return the seconds since 1970."""
        return self._unix()

    def attempted(self, outcome: Outcome, aside: Aside | None) -> None:
        """Take in what came of an attempt to write."""
        self._set_aside(aside)
        if outcome.unwritable is not None:
            self._begin(outcome.unwritable)
            return
        self._end()
        if outcome.batch is not None:
            self.written_at = self._unix()
            self.written_rows += len(outcome.batch)
            self._leave(outcome.batch, outcome.left)

    def loaded(self, unreadable: Sequence[Unreadable]) -> None:
        """Take in which rows could not be read."""
        if not unreadable:
            return
        reason = f"{len(unreadable)} stored records cannot be read: {unreadable[0].reason}"
        self._logger.warning(
            "stored records unreadable",
            count=len(unreadable),
            reason=unreadable[0].reason,
            next="their registries are asked; all others are served",
        )
        self._show("records", "state.sqlite", reason, _DAMAGE)

    def _set_aside(self, aside: Aside | None) -> None:
        if aside is None or aside is self._aside:
            return
        self._aside = aside
        self._logger.error(
            "stored state broken",
            reason=aside.reason[:_LONGEST],
            kept_as=aside.kept_as.name,
            next="a new file was begun, the registries are asked; delete the broken one when seen",
        )
        self._show(
            "broken",
            aside.kept_as.name,
            f"the stored state was broken and was set aside: {aside.reason[:_LONGEST]}",
            "look at the disk; delete the file when it was seen",
        )

    def _begin(self, unwritable: Unwritable) -> None:
        reason = unwritable.reason[:_LONGEST]
        if self.trouble is None:
            self._since = self._unix()
            self._logger.warning(
                "state not written",
                reason=reason,
                remedy=unwritable.remedy,
                next="serving goes on; trying again",
            )
        self.trouble = f"{self._directory}: state is not written: {reason}; {unwritable.remedy}"
        self._show(
            "trouble",
            str(self._directory),
            f"state is not written: {reason}",
            unwritable.remedy,
        )

    def _end(self) -> None:
        if self.trouble is None:
            return
        self.trouble = None
        self._logger.info("state written again", after_seconds=round(self._unix() - self._since, 3))
        self.problems.put((OWNER, "trouble"), ())

    def _leave(self, batch: Batch, left: Sequence[Left]) -> None:
        if not left and not self._left:
            return
        for registry, key in list(self._left):
            written = (
                registry in batch.announced
                if key is None
                else key in batch.services.get(registry, {})
            )
            if written or registry in batch.forgotten:
                del self._left[registry, key]
        for each in left:
            subject = "announced losses" if each.key is None else str(each.key[1])
            self._left[each.registry, each.key] = Problem(
                each.registry,
                _printable(subject)[:_LONGEST],
                ProblemKind.STATE,
                f"cannot be stored: {_printable(each.reason)[:_LONGEST]}",
                "it is served, but not from stored state after a start; mend it in the registry",
            )
        shown = list(self._left.values())[:_MOST]
        if len(self._left) > _MOST:
            more = f"{len(self._left) - _MOST} more registrations cannot be stored"
            shown.append(Problem(OWNER, "", ProblemKind.STATE, more, "mend those shown first"))
        self.problems.put((OWNER, "left"), shown)

    def _show(self, which: str, subject: str, reason: str, remedy: str) -> None:
        problem = Problem(OWNER, subject, ProblemKind.STATE, reason, remedy)
        self.problems.put((OWNER, which), [problem])


def _printable(text: str) -> str:
    """Escape half a character, which no log and no JSON takes."""
    return text.encode(errors="backslashreplace").decode()
