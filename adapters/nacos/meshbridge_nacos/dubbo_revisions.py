"""Keeps what revisions of applications export, as far as it was read, and who wants it; pure."""

from collections.abc import Collection

from meshbridge_dubbo import ApplicationMetadata
from meshbridge_nacos.dubbo_records import Path

Revision = tuple[str, str]
"""An application's name, and the revision of what it exports: all its instances of it are alike."""


class Revisions:
    """The revisions of all instances, each known by a path."""

    def __init__(self) -> None:
        """Begin without any."""
        self.known: dict[Revision, ApplicationMetadata] = {}
        """What was read, of those that instances have."""
        self.failures: dict[Revision, str] = {}
        """Why it could not be read last."""
        self._users: dict[Revision, set[Path]] = {}
        self.wanted: dict[Revision, None] = {}
        """What must be read, in the order in which it came."""

    def use(self, revision: Revision, path: Path, *, remote: bool) -> None:
        """Note that an instance has a revision; ``remote``: it is in Nacos' configuration."""
        self._users.setdefault(revision, set()).add(path)
        if remote and revision not in self.known:
            self.wanted[revision] = None

    def leave(self, revision: Revision, path: Path) -> None:
        """Note that an instance has it no longer; what nobody has is forgotten."""
        users = self._users[revision]
        users.discard(path)
        if not users:
            del self._users[revision]
            for held in (self.known, self.failures, self.wanted):
                held.pop(revision, None)

    def learn(self, revision: Revision, metadata: ApplicationMetadata) -> Collection[Path]:
        """Take what was read; return the paths of the instances that it matters to."""
        if revision not in self._users:
            return ()
        self.known[revision] = metadata
        self.failures.pop(revision, None)
        self.wanted.pop(revision, None)
        return self._users[revision]

    def fail(self, revision: Revision, reason: str) -> Collection[Path]:
        """Take why it was not read; return the paths of the instances that it matters to."""
        if revision not in self.wanted or self.failures.get(revision) == reason:
            return ()
        self.failures[revision] = reason
        return self._users[revision]
