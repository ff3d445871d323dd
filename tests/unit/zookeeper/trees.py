"""Tells holdings of a tree as the reader does, and keeps what they say."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast
from urllib.parse import quote

from meshbridge import BadData, RegisteredService, ServiceId
from meshbridge.adapter import Unreadable
from meshbridge_dubbo import read_metadata
from meshbridge_zookeeper_dubbo.definitions_walk import Walk
from meshbridge_zookeeper_dubbo.holdings import Holdings
from meshbridge_zookeeper_dubbo.persistent import NO_AUTH, NO_NODE, Read, Result
from meshbridge_zookeeper_dubbo.records import Fault
from meshbridge_zookeeper_dubbo.revisions import DEFINITIONS
from meshbridge_zookeeper_dubbo.roots import Roots, join
from meshbridge_zookeeper_dubbo.tree import Want

CORPUS = Path(__file__).parents[2] / "corpus" / "zookeeper"

Tree = dict[str, bytes]
"""What each node holds, by its path; whoever has a child is a node, too."""


def captured(name: str) -> Tree:
    """Return a tree that real applications have made."""
    records = cast("list[dict[str, str]]", json.loads((CORPUS / f"{name}.json").read_text()))
    return {each["path"]: each["text"].encode() for each in records}


def with_url(tree: Tree, interface: str, url: str, category: str = "providers") -> Tree:
    """Return the tree with one more URL."""
    return tree | {f"/dubbo/{quote(interface)}/{category}/{quote(url, safe='')}": b"10.0.0.9"}


def kids(tree: Iterable[str]) -> dict[str, list[str]]:
    """Return the children of each node, by its path."""
    found: dict[str, dict[str, None]] = {}
    for path in tree:
        while path != "/":
            parent, _, name = path.rpartition("/")
            found.setdefault(parent or "/", {})[name] = None
            path = parent or "/"  # noqa: PLW2901 - upwards
    return {path: list(names) for path, names in found.items()}


class Registry:
    """Holdings, what there is below the roots, and what was said of it."""

    def __init__(
        self, roots: Roots | None = None, *, dials: bool = False, fetches: bool = True
    ) -> None:
        """Begin with an empty tree that nobody has told of."""
        self.fetches = fetches
        """Whether what the registry holds of revisions is fetched at once."""
        self.defines = True
        """Whether service definitions are read at once."""
        self.roots = roots or Roots(["/dubbo"], ["/services"])
        self.dials = dials
        self.tree: Tree = {}
        self.guarded: set[str] = set()
        """Paths of nodes that may not be read."""
        self.holdings = Holdings(self.roots, dials=dials)
        self.services: dict[ServiceId, RegisteredService] = {}
        self.unreadable: dict[ServiceId, Unreadable] = {}
        self.reports: list[Fault] = []
        self.news = 0
        """How often something was said of a service."""

    def read(self, tree: Tree) -> "Registry":
        """Read this tree from the beginning, as after a gap."""
        before = self.holdings if self.tree or self.services else None
        self.tree = dict(tree)
        self.holdings = Holdings(self.roots, dials=self.dials, before=before)
        for root in self.roots.all:
            self.tell(root)
        self.holdings.settled()
        self.services.clear()
        self.unreadable.clear()
        self.say()
        services, unreadable = self.holdings.said.listing()
        assert {each.id: each for each in services} == self.services
        assert set(unreadable) == {each for told in self.unreadable.values() for each in told}
        self.holdings.forget()
        return self

    def become(self, tree: Tree) -> None:
        """Let the tree become this, event by event, in the order of paths."""
        before, now = kids(self.tree), kids(tree)
        gone = sorted({*before, *self.tree} - {*now, *tree}, reverse=True)
        come = sorted({*now, *tree} - {*before, *self.tree})
        changed = [path for path in tree if path in self.tree and tree[path] != self.tree[path]]
        self.tree = dict(tree)
        for path in gone:
            self.vanish(path)
        for path in come:
            self.appear(path)
        for path in changed:
            self.hold(path)
        self.settle()

    def tell(self, path: str) -> None:
        """Tell all that is at a node and below it, as when it is read."""
        if path in self.guarded:
            self.holdings.guarded(path)
            return
        want = self.roots(path)
        if Want.DATA in want:
            self.hold(path)
        if Want.CHILDREN in want:
            names = kids(self.tree).get(path, [])
            self.holdings.children(path, names)
            for name in names:
                self.tell(join(path, name))

    def appear(self, path: str) -> None:
        """Tell of a new node."""
        parent, _, name = path.rpartition("/")
        if Want.CHILDREN in self.roots(parent or "/"):
            self.holdings.added(parent or "/", name)
        self.hold(path)

    def vanish(self, path: str) -> None:
        """Tell that a node has gone."""
        parent, _, name = path.rpartition("/")
        if Want.CHILDREN in self.roots(parent or "/"):
            self.holdings.removed(parent or "/", name)

    def hold(self, path: str) -> None:
        """Tell what a node holds."""
        if Want.DATA in self.roots(path):
            self.holdings.data(path, self.tree.get(path, b""))

    def guard(self, path: str) -> bool:
        """Tell that a node may not be read any more; return whether that is said of a service."""
        self.guarded.add(path)
        known = self.holdings.guarded(path)
        self.settle()
        return known

    def admit(self, path: str) -> None:
        """Tell that a node may be read again."""
        self.guarded.discard(path)
        self.tell(path)
        self.settle()

    def settle(self) -> None:
        """End what was told, and take what there is to say."""
        self.holdings.settled()
        self.say()

    def say(self) -> None:
        """Take what there is to say, and fetch what is wanted of the registry."""
        while True:
            for news in self.holdings.take():
                if news is None:
                    continue
                self.news += 1
                self.reports += news.reports
                self.unreadable[news.id] = news.unreadable
                if news.service is None:
                    del self.services[news.id]
                    assert not news.unreadable
                else:
                    assert news.service.id == news.id
                    self.services[news.id] = news.service
            if not (self._fetch() or (self.defines and self.define())):
                return

    def look_again(self) -> None:
        """Read the service definitions that are wanted again, as is done from time to time."""
        for application in list(self.holdings.applications.definitions.held):
            self.holdings.applications.revisions.fresh[application, DEFINITIONS] = None
        self.say()

    def define(self) -> bool:
        """Read the service definitions that must be; return whether there were any to be read."""
        applications = self.holdings.applications
        fresh = applications.revisions.fresh
        wanted: dict[str, list[str]] = {}
        for application, what in list(fresh):
            if what == DEFINITIONS:
                del fresh[application, what]
                wanted[application] = sorted(applications.definitions.wanted(application))
        walk = Walk(self.roots, wanted)
        children = kids(self.tree)
        while reads := walk.next(3):
            walk.take([self._answer(read, children) for read in reads])
        for application, defined in walk.defined():
            applications.define(application, defined)
        return bool(wanted)

    def _answer(self, read: Read, children: Mapping[str, list[str]]) -> Result:
        if read.path in self.guarded:
            return NO_AUTH
        if read.path not in self.tree and read.path not in children:
            return NO_NODE
        if read.want is Want.DATA:
            return self.tree.get(read.path, b"")
        return children.get(read.path, [])

    def _fetch(self) -> bool:
        """Fetch what the registry holds of revisions; return whether that made a difference."""
        applications = self.holdings.applications
        different = False
        for revision in list(applications.revisions.lacking) if self.fetches else ():
            wanted = applications.wanted(revision)
            if wanted is None or not wanted.remote:
                continue
            paths = [path for path in self.roots.metadata(*wanted.revision) if path in self.tree]
            reason = "it is not there"
            try:
                if paths:
                    applications.learn(wanted.revision, read_metadata(self.tree[paths[0]]))
                    different = True
                    continue
            except BadData as bad:
                reason = str(bad)
            if applications.revisions.failures.get(wanted.revision) != reason:
                applications.fail(wanted.revision, reason)
                different = True
        return different

    def shown(self) -> dict[str, list[str]]:
        """Return the ids of each service's instances, by the service."""
        return {
            str(name): [each.id for each in service.instances]
            for name, service in sorted(self.services.items())
        }

    def __getitem__(self, name: str) -> RegisteredService:
        """Return a service by how it is written."""
        return next(each for each in self.services.values() if str(each.id) == name)


def endpoints(services: Mapping[ServiceId, RegisteredService]) -> dict[str, RegisteredService]:
    """Return the services that have an instance, by how they are written."""
    return {str(name): each for name, each in services.items() if each.instances}
