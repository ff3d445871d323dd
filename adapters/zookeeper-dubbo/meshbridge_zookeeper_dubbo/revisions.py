"""Keeps what revisions of applications export, as far as it was fetched, and who wants it; pure."""

from collections.abc import Collection
from typing import Final

from meshbridge_dubbo import ApplicationMetadata
from meshbridge_zookeeper_dubbo.endpoints import discard

Revision = tuple[str, str]
"""An application's name, and the revision of what it exports: all its instances of it are alike."""
DEFINITIONS: Final = ""
"""Stands for a revision where an application's service definitions must be read."""


class Revisions:
    """The revisions of all instances."""

    def __init__(self, before: "Revisions | None" = None) -> None:
        """Begin without any; what ``before`` knows need not be fetched again."""
        self._before: dict[Revision, ApplicationMetadata] = before.known if before else {}
        self._failed_before: dict[Revision, str] = before.failures if before else {}
        self.known: dict[Revision, ApplicationMetadata] = {}
        """What was fetched, of those that instances have."""
        self.failures: dict[Revision, str] = {}
        """Why it could not be fetched last."""
        self._users: dict[Revision, set[str]] = {}
        """The paths of the instances of a revision."""
        self.lacking: dict[Revision, set[str]] = {}
        """What must be fetched, and the paths of the instances that would tell something of it."""
        self.fresh: dict[Revision, None] = {}
        """Those of them that nobody has begun to fetch; whoever does takes them out."""
        self.unread: set[Revision] = set()
        """Those that the registry may hold, and that were not looked for there yet."""
        self.unasked: set[Revision] = set()
        """Those that nobody has told when asked, nor failed to, neither before."""

    def forget(self) -> None:
        """Let go of what was known before."""
        self._before = {}
        self._failed_before = {}

    def use(self, revision: Revision, path: str) -> None:
        """Note that an instance has a revision."""
        self._users.setdefault(revision, set()).add(path)
        if revision in self._before:
            self.known.setdefault(revision, self._before[revision])
        elif revision in self._failed_before:
            self.failures.setdefault(revision, self._failed_before[revision])

    def leave(self, revision: Revision, path: str) -> None:
        """Note that an instance has it no longer; what nobody has is forgotten."""
        discard(self._users, revision, path)
        self.lack_not(revision, path)
        if revision not in self._users:
            self.known.pop(revision, None)
            self.failures.pop(revision, None)

    def lack(self, revision: Revision, path: str, *, remote: bool) -> None:
        """Note that an instance needs it fetched, ``remote``: from the registry."""
        if revision not in self.lacking:
            self.fresh[revision] = None
            if remote:
                self.unread.add(revision)
            elif revision not in self.failures:
                self.unasked.add(revision)
        self.lacking.setdefault(revision, set()).add(path)

    def lack_not(self, revision: Revision, path: str) -> None:
        """Note that an instance does not need it fetched."""
        discard(self.lacking, revision, path)
        if revision not in self.lacking:
            self.fresh.pop(revision, None)
            self._tried(revision)

    def learn(self, revision: Revision, metadata: ApplicationMetadata) -> Collection[str]:
        """Take what was fetched; return the paths of the instances that it matters to."""
        if revision not in self._users:
            return ()
        self._tried(revision)
        self.known[revision] = metadata
        self.failures.pop(revision, None)
        return self._users[revision]

    def fail(self, revision: Revision, reason: str) -> Collection[str]:
        """Take why it was not fetched; return the paths of the instances that it matters to."""
        self._tried(revision)
        if revision not in self.lacking or self.failures.get(revision) == reason:
            return ()
        self.failures[revision] = reason
        return self._users[revision]

    def _tried(self, revision: Revision) -> None:
        self.unread.discard(revision)
        self.unasked.discard(revision)
