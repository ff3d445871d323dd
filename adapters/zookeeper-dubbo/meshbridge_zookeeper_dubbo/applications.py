"""Keeps the instances of applications, and says which interfaces each of them serves; pure."""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from meshbridge import Instance, RegisteredService
from meshbridge_dubbo import (
    ApplicationInstance,
    ApplicationMetadata,
    Provider,
)
from meshbridge_zookeeper_dubbo.application import (
    REMOTE,
    Application,
    Node,
    Serves,
    Wanted,
    read,
    unknown,
    vague,
)
from meshbridge_zookeeper_dubbo.definitions import Defined, Definitions
from meshbridge_zookeeper_dubbo.endpoints import Endpoints
from meshbridge_zookeeper_dubbo.interface import Told
from meshbridge_zookeeper_dubbo.judging import Judging
from meshbridge_zookeeper_dubbo.records import AGAIN, Fault, plain, unreadable
from meshbridge_zookeeper_dubbo.revisions import Revision, Revisions

_LATE: Final = "nobody has answered yet"


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
        self._applications: dict[str, Application] = {}
        self.instances: dict[str, Node] = {}
        """By the paths of their nodes."""
        self._before: dict[str, Node] = before.instances if before else {}
        self.revisions: Revisions = Revisions(before.revisions if before else None)
        self.definitions: Definitions = Definitions(
            self.revisions, before.definitions if before else None
        )
        self.endpoints = Endpoints()
        self._judging = Judging(self.revisions, self.endpoints, self.definitions, dials=dials)
        self._hidden: dict[str, None] = {}
        """The paths of nodes that may not be read and would tell all mappings below them."""
        self.stirred: dict[str, None] = {}
        """The paths of instances that may serve something else."""

    def forget(self) -> None:
        """Let go of what was known before."""
        self._before = {}
        self.revisions.forget()
        self.definitions.forget()

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
            self.definitions.look_again(application)
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
        self.definitions.leave(node.application, path)
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

    def hide(self, path: str) -> None:
        """Take it that a node may not be read that would tell mappings of any application."""
        self._hidden[path] = None
        self._change_guessed()

    def reveal(self, path: str) -> None:
        """Take it that a node was read or is not there."""
        if path in self._hidden:
            del self._hidden[path]
            self._change_guessed()

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

    def define(self, application: str, defined: Defined) -> None:
        """Take what an application's service definitions tell."""
        self._stir(self.definitions.learn(application, defined))

    def fail_to_define(self, application: str, reason: str) -> None:
        """Take it that they cannot be read now."""
        self._stir(self.definitions.fail(application, reason))

    def serving(self) -> Iterator[Serves | None]:
        """Yield what one more instance serves, and ``None`` after each step towards it.

        Raises KeyError if that is known of all.
        """
        path, _ = self.stirred.popitem()
        node = self.instances[path]
        mapped = self._applications[node.application].mapped
        for judged in self._judging.judge(path, node, mapped):
            if judged is None:
                yield None
            elif self.instances.get(path) is node:  # else it has become another meanwhile
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
        undefined = set(self.definitions.faults(application))
        faults |= undefined
        for path in sorted(known.nodes):
            node = self.instances[path]
            if isinstance(node.value, Fault):
                faults.add(node.value)
                continue
            instance = node.instance or node.value.instance
            instances.setdefault(instance.id, instance)
            faults.update(Fault(name, key, reason, AGAIN) for key, reason in node.faults)
            if node.unknown or node.guessed:
                faults.update(unreadable(name, path) for path in self._hidden)
            if node.vague and not undefined:
                faults.add(vague(node.value, node.vague))
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

    def _change_guessed(self) -> None:
        """Have told again what only mappings tell of, or might."""
        for node in self.instances.values():
            if node.unknown or node.guessed:
                self._changed[node.application] = None

    def _stir(self, paths: Iterable[str]) -> None:
        self.stirred.update(dict.fromkeys(paths))
