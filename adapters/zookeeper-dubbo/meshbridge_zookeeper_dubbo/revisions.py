"""Keeps what revisions of applications export, as far as it was fetched, and who wants it; pure."""

from collections.abc import Collection, Iterator

from meshbridge_dubbo import ApplicationMetadata
from meshbridge_zookeeper_dubbo.endpoints import discard

Revision = tuple[str, str]
"""An application's name, and the revision of what it exports: all its instances of it are alike."""


class Revisions:
    """The revisions of all instances."""

    def __init__(self, before: "Revisions | None" = None) -> None:
        """Begin without any; what ``before`` knows need not be fetched again."""
        self._before: dict[Revision, ApplicationMetadata] = before.known if before else {}
        self.known: dict[Revision, ApplicationMetadata] = {}
        """What was fetched, of those that instances have."""
        self.failures: dict[Revision, str] = {}
        """Why it could not be fetched last."""
        self._users: dict[Revision, set[str]] = {}
        """The paths of the instances of a revision."""
        self._lacking: dict[Revision, set[str]] = {}
        """Those of them of which it would tell something."""
        self._news = False

    def forget(self) -> None:
        """Let go of what was known before."""
        self._before = {}

    def use(self, revision: Revision, path: str) -> None:
        """Note that an instance has a revision."""
        self._users.setdefault(revision, set()).add(path)
        if revision in self._before:
            self.known.setdefault(revision, self._before[revision])

    def leave(self, revision: Revision, path: str) -> None:
        """Note that an instance has it no longer; what nobody has is forgotten."""
        discard(self._users, revision, path)
        discard(self._lacking, revision, path)
        if revision not in self._users:
            self.known.pop(revision, None)
            self.failures.pop(revision, None)

    def lack(self, revision: Revision, path: str, *, lacks: bool) -> None:
        """Note whether an instance needs it to be fetched."""
        if lacks:
            self._news = self._news or revision not in self._lacking
            self._lacking.setdefault(revision, set()).add(path)
        else:
            discard(self._lacking, revision, path)

    def take_news(self) -> bool:
        """Return whether there is more to be fetched than when this was called last."""
        news, self._news = self._news, False
        return news

    def lacking(self) -> Iterator[tuple[Revision, Collection[str]]]:
        """Yield what must be fetched, and the paths of the instances that need it, in order."""
        for revision in sorted(self._lacking):
            yield revision, self._lacking[revision]

    def learn(self, revision: Revision, metadata: ApplicationMetadata) -> Collection[str]:
        """Take what was fetched; return the paths of the instances that it matters to."""
        if revision not in self._users:
            return ()
        self.known[revision] = metadata
        self.failures.pop(revision, None)
        return self._users[revision]

    def fail(self, revision: Revision, reason: str) -> Collection[str]:
        """Take why it was not fetched; return the paths of the instances that it matters to."""
        if revision not in self._lacking or self.failures.get(revision) == reason:
            return ()
        self.failures[revision] = reason
        return self._users[revision]
