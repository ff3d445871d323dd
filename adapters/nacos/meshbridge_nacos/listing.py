"""Reads the names of a group's services page by page, and says when what was read is whole."""

from dataclasses import dataclass

from meshbridge import RegistryUnavailable
from meshbridge.steps import Pace
from meshbridge_nacos.asking import Page, Questions

PAGE = 100_000
"""Names on one page. Nacos cuts pages from an unordered set that changes between two of them, so
that names move from one to the other: most lists should fit on one."""
MOST_READS = 6
"""Full reads of a list before it is given up, or taken without a second that agrees."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The names that were seen, and whether that is the whole list."""

    names: frozenset[str]
    whole: bool
    """If not, some may be missing, and none has to be."""


class FullRead:
    """One read of all pages of a list."""

    def __init__(self) -> None:
        """Begin before the first page."""
        self._names: set[str] = set()
        self._pages: list[Page] = []
        self._given = 0

    def take(self, page: Page) -> bool:
        """Add the next page; say whether there may be another one."""
        self._pages.append(page)
        self._names.update(page.names)
        self._given += len(page.names)
        return bool(page.names) and self._given < page.count

    @property
    def names(self) -> frozenset[str]:
        """The names on all pages."""
        return frozenset(self._names)

    @property
    def adds_up(self) -> bool:
        """Whether the pages hold as many names as each of them counts."""
        return all(page.count == len(self._names) for page in self._pages)

    @property
    def is_one_state(self) -> bool:
        """Whether the server made it in one go."""
        return len(self._pages) == 1 and self.adds_up

    @property
    def fault(self) -> str:
        """What is wrong with it, if it does not add up."""
        return f"it counts {self._pages[-1].count} services and lists {len(self._names)}"


class NameList:
    """The list of the services of one group, read again and again."""

    def __init__(self, questions: Questions, group: str) -> None:
        """Read nothing yet."""
        self._questions = questions
        self._group = group
        self._before: frozenset[str] | None = None
        """What the last read gave, if it added up."""

    async def all(self) -> frozenset[str]:
        """Return all names: what two full reads in a row agree on.

        While services come and go too fast for that, one page that holds them all is taken. Raises
        RegistryUnavailable when there is none either, and what the questions raise.
        """
        read = FullRead()
        for _ in range(MOST_READS):
            read, agrees = await self._read()
            if agrees:
                return read.names
        if read.is_one_state:
            return read.names
        reason = "it changes faster than it can be read" if read.adds_up else read.fault
        server = self._questions.server
        raise RegistryUnavailable(f"{server}: no whole list of the group {self._group}: {reason}")

    async def look(self) -> Seen:
        """Read the list once, and once more if it is not what it was."""
        first, agrees = await self._read()
        if agrees:
            return Seen(first.names, whole=True)
        second, agrees = await self._read()
        return Seen(first.names | second.names, whole=agrees)

    async def _read(self) -> tuple[FullRead, bool]:
        """Read all pages; say whether they give the same names as the last time."""
        read, number, more = FullRead(), 1, True
        pace = Pace()  # each step takes milliseconds where names are many
        while more:
            page = await self._questions.page(self._group, number, PAGE)
            await pace.breathe()
            more = read.take(page)
            number += 1
            await pace.breathe()
        before, now = self._before, read.names if read.adds_up else None
        self._before = now
        await pace.breathe()
        agrees = before is not None and before == now
        await pace.breathe()
        return read, agrees
