"""Keeps the instances of applications, and works out which interfaces each of them serves; pure.

An instance does not say what it serves. That is told, the surest first, by

* the metadata of its revision, which the registry holds or the instance itself tells when asked;
* the URLs of the interfaces, where it registers both ways (Dubbo's default). These are complete,
  so that a mapping, which nobody ever takes back, adds nothing to them;
* the mapping of interfaces to applications, read in reverse, which knows no group and no version.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from meshbridge import Instance, RegisteredService
from meshbridge_dubbo import (
    ApplicationInstance,
    ApplicationMetadata,
    Provider,
    Served,
    guessed_providers,
    providers_of,
)
from meshbridge_zookeeper_dubbo.application import (
    Application,
    How,
    Judged,
    Node,
    Serves,
    Wanted,
    out,
    read,
    unknown,
)
from meshbridge_zookeeper_dubbo.endpoints import Endpoints
from meshbridge_zookeeper_dubbo.interface import Told
from meshbridge_zookeeper_dubbo.records import AGAIN, Fault, plain
from meshbridge_zookeeper_dubbo.revisions import Revision, Revisions

REMOTE: Final = "remote"
STEP: Final = 100
"""Interfaces of an instance that are worked out at once: in 2 ms."""
_LATE: Final = "nobody has answered yet"
_NOTHING: Final = Judged(Served(()))


class Applications:
    """All applications, and what their instances serve."""

    def __init__(
        self, changed: dict[str, None], *, dials: bool, before: "Applications | None" = None
    ) -> None:
        """Begin without any; take from ``before`` what need not be read or fetched again.

        ``changed`` is where the names of those are put of which something may have to be said;
        ``dials`` says whether instances that can be asked are.
        """
        self._changed = changed
        self._dials = dials
        self._applications: dict[str, Application] = {}
        self.instances: dict[str, Node] = {}
        """By the paths of their nodes."""
        self._before: dict[str, Node] = before.instances if before else {}
        self.revisions: Revisions = Revisions(before.revisions if before else None)
        self.endpoints = Endpoints()
        self.stirred: dict[str, None] = {}
        """The paths of instances that may serve something else."""

    def forget(self) -> None:
        """Let go of what was known before."""
        self._before = {}
        self.revisions.forget()

    def list(self, application: str, path: str) -> None:
        """Note that an application has a node."""
        self._known(application).listed.add(path)

    def unlist(self, application: str, path: str) -> None:
        """Note that an application's node is gone; its instances are let go one by one."""
        self._known(application).listed.discard(path)
        self._dispose(application)

    def names(self) -> Collection[str]:
        """Return the names of all applications."""
        return self._applications.keys()

    def nodes(self, application: str) -> Collection[str]:
        """Return the paths of all nodes of an application's instances."""
        known = self._applications.get(application)
        return known.nodes if known else ()

    def put(self, application: str, node: str, path: str, data: bytes) -> None:
        """Take what an instance's node holds."""
        key = hash(data)
        last = self.instances.get(path)
        if last is not None and last.data == key:
            return
        served = frozenset[str]()
        if last is not None:
            self._unlink(path, last)
            served = last.interfaces
        known = self._before.get(path)
        if known is not None and known.data == key:
            value = known.value
        else:
            value = read(application, node, data)
        new = Node(application, key, value, served)
        if last is not None:
            new.follow(last, same=True)
        elif known is not None:
            new.follow(known, same=known.data == key)
        self._link(path, new)

    def keep(self, path: str, *, below: bool = False) -> None:
        """Take it that an instance's node, or all below one, are as before a gap, if not known."""
        paths = [each for each in self._before if each.startswith(f"{path}/")] if below else [path]
        for each in paths:
            known = self._before.get(each)
            if known is not None and each not in self.instances:
                new = Node(known.application, known.data, known.value)
                new.follow(known, same=True)
                self._link(each, new)

    def drop(self, path: str) -> Serves | None:
        """Let an instance's node go; return what it serves no longer."""
        node = self.instances.pop(path, None)
        if node is None:
            return None
        self._unlink(path, node)
        self.stirred.pop(path, None)
        self._known(node.application).nodes.discard(path)
        self._dispose(node.application)
        return Serves(path, dict.fromkeys(node.interfaces, ()))

    def map(self, interface: str, path: str, no_longer: Iterable[str], now: Iterable[str]) -> None:
        """Take it that other applications serve an interface."""
        for application in no_longer:
            known = self._known(application)
            known.mapped.discard((interface, path))
            self._stir(known.nodes)
            self._dispose(application)
        for application in now:
            known = self._known(application)
            known.mapped.add((interface, path))
            self._stir(known.nodes)

    def mind(self, application: str, path: str, faults: tuple[Fault, ...]) -> None:
        """Take what is to be said of the rule at a path that names an application."""
        known = self._known(application)
        if faults:
            known.wrong[path] = faults
        else:
            known.wrong.pop(path, None)
        self._dispose(application)

    def url_came(self, provider: Provider) -> None:
        """Note that an interface's URL tells this."""
        self._stir(self.endpoints.come(provider))

    def url_went(self, provider: Provider) -> None:
        """Note that an interface's URL tells this no longer."""
        self._stir(self.endpoints.go(provider))

    def wanted(self, revision: Revision) -> Wanted | None:
        """Return what must be fetched of a revision; ``None`` if that is nothing (any more)."""
        paths = self.revisions.lacking.get(revision)
        if paths is None:
            return None
        values = (self.instances[path].value for path in paths)
        instances = [each for each in values if isinstance(each, ApplicationInstance)]
        instances.sort(key=lambda each: each.instance.id)
        remote = any(each.storage == REMOTE for each in instances)
        return Wanted(revision, remote, tuple(instances))

    def wait_no_longer(self) -> None:
        """Take it that who has not answered yet may never do so."""
        for revision in list(self.revisions.unasked):
            self.fail(revision, _LATE)

    def learn(self, revision: Revision, metadata: ApplicationMetadata) -> None:
        """Take what the instances of a revision export."""
        self._stir(self.revisions.learn(revision, metadata))

    def fail(self, revision: Revision, reason: str) -> None:
        """Take it that what they export cannot be fetched now."""
        self._stir(self.revisions.fail(revision, reason))
        self._changed[revision[0]] = None

    def serving(self) -> Iterator[Serves | None]:
        """Yield what one more instance serves, and ``None`` after each step towards it.

        Raises KeyError if that is known of all.
        """
        path, _ = self.stirred.popitem()
        node = self.instances[path]
        judged = self._judge(path, node)
        metadata = node.metadata
        if metadata is not None and isinstance(node.value, ApplicationInstance):
            providers: list[Provider] = []
            faults = list(metadata.faults)
            for at in range(0, len(metadata.exported), STEP):
                part = ApplicationMetadata("", "", metadata.exported[at : at + STEP], ())
                served = providers_of(node.value, part)
                providers += served.providers
                faults += served.faults
                yield None
            judged = Judged(Served(tuple(providers), tuple(faults)), agreed=providers)
        if self.instances.get(path) is node:  # else it has become another meanwhile
            self._changed[node.application] = None
            yield node.serve(path, judged)

    def service(self, application: str) -> Told | None:
        """Return what is said of an application, ``None`` if there is none."""
        known = self._applications.get(application)
        if known is None or not known.exists:
            return None
        name = plain(application)
        instances: dict[str, Instance] = {}
        faults = {fault for told in known.wrong.values() for fault in told}
        for path in sorted(known.nodes):
            node = self.instances[path]
            if isinstance(node.value, Fault):
                faults.add(node.value)
                continue
            instance = node.instance or node.value.instance
            instances.setdefault(instance.id, instance)
            faults.update(Fault(name, key, reason, AGAIN) for key, reason in node.faults)
            if node.unknown:
                failure = self.revisions.failures.get((application, node.value.revision))
                faults.add(unknown(node.value, failure))
        ordered = tuple(instances[each] for each in sorted(instances))
        return Told(RegisteredService(name, ordered), tuple(sorted(faults)))

    def _known(self, application: str) -> Application:
        """Return an application of which something may have to be said now."""
        self._changed[application] = None
        known = self._applications.get(application)
        if known is None:
            known = self._applications[application] = Application()
        return known

    def _dispose(self, application: str) -> None:
        """Forget an application of which nothing is left."""
        known = self._known(application)
        if not (known.exists or known.mapped or known.wrong):
            del self._applications[application]

    def _link(self, path: str, node: Node) -> None:
        self.instances[path] = node
        self._known(node.application).nodes.add(path)
        if revision := node.revision:
            self.revisions.use(revision, path)
        if isinstance(node.value, ApplicationInstance):
            self.endpoints.link(path, node.value.instance)
        self.stirred[path] = None

    def _unlink(self, path: str, node: Node) -> None:
        if revision := node.revision:
            self.revisions.leave(revision, path)
        if isinstance(node.value, ApplicationInstance):
            self.endpoints.unlink(path, node.value.instance)

    def _stir(self, paths: Iterable[str]) -> None:
        self.stirred.update(dict.fromkeys(paths))

    def _judge(self, path: str, node: Node) -> Judged:
        """Return what an instance serves as far as that is not told by its metadata."""
        value = node.value
        if isinstance(value, Fault) or not value.exports:
            return _NOTHING
        told = self.endpoints.told(value.instance)
        node.by_urls = node.by_urls or bool(told)
        comes = self._comes(path, node, value)
        metadata = self.revisions.known.get(node.revision) if node.revision else None
        if comes and not told:
            metadata = node.metadata  # of the revision before, which the same process had
        node.metadata = metadata
        if metadata is not None:
            return _NOTHING  # besides what they tell
        if node.by_urls:
            return Judged(Served(out(value, told)), agreed=told)
        if comes and not node.guessed:
            return _NOTHING  # it comes in a moment
        mapped = {interface for interface, _ in self._known(node.application).mapped}
        if not mapped:
            return Judged(Served(()), How.UNKNOWN)
        return Judged(guessed_providers(value, mapped), How.GUESSED)

    def _comes(self, path: str, node: Node, value: ApplicationInstance) -> bool:
        """Have an instance's metadata fetched if they must be; return whether they may come."""
        revision = node.revision
        if revision is None:
            return False
        asked = self._dials and value.answers_over_triple and not node.by_urls
        if revision in self.revisions.known or not (value.storage == REMOTE or asked):
            self.revisions.lack_not(revision, path)
            return False
        self.revisions.lack(revision, path, remote=value.storage == REMOTE)
        return revision not in self.revisions.failures
