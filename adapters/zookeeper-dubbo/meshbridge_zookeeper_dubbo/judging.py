"""Works out which interfaces an application's instance serves, of all that is known; pure.

An instance does not say what it serves. That is told, the surest first, by

* the metadata of its revision, which the registry holds or the instance itself tells when asked;
* the URLs of the interfaces, where it registers both ways (Dubbo's default). These are complete,
  so that a mapping, which nobody ever takes back, adds nothing to them;
* the mapping of interfaces to applications, read in reverse, with the groups and versions of which
  there is a service definition.
"""

from collections.abc import Collection, Iterator
from typing import Final

from meshbridge_dubbo import (
    ApplicationInstance,
    ApplicationMetadata,
    Provider,
    Served,
    guessed_providers,
    providers_of,
)
from meshbridge_zookeeper_dubbo.application import REMOTE, How, Judged, Node, out
from meshbridge_zookeeper_dubbo.definitions import Definitions
from meshbridge_zookeeper_dubbo.endpoints import Endpoints
from meshbridge_zookeeper_dubbo.records import Fault
from meshbridge_zookeeper_dubbo.revisions import Revisions

STEP: Final = 100
"""Interfaces of an instance that are worked out at once: in 2 ms."""
_NOTHING: Final = Judged(Served(()))


class Judging:
    """Goes by the metadata, the URLs and the service definitions that are known."""

    def __init__(
        self, revisions: Revisions, endpoints: Endpoints, definitions: Definitions, *, dials: bool
    ) -> None:
        """Have what is not known and would tell more fetched; ``dials``: of instances, too."""
        self._revisions = revisions
        self._endpoints = endpoints
        self._definitions = definitions
        self._dials = dials

    def judge(
        self, path: str, node: Node, mapped: Collection[tuple[str, str]]
    ) -> Iterator[Judged | None]:
        """Yield ``None`` after each step, and at last what the instance serves.

        ``mapped`` are the interfaces whose mapping names its application.
        """
        judged = self._judge(path, node, mapped)
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
        if judged.how is not How.GUESSED:
            self._definitions.leave(node.application, path)
        yield judged

    def _judge(self, path: str, node: Node, mapped: Collection[tuple[str, str]]) -> Judged:
        """Return what an instance serves as far as that is not told by its metadata."""
        value = node.value
        if isinstance(value, Fault) or not value.exports:
            return _NOTHING
        told = self._endpoints.told(value.instance)
        node.by_urls = node.by_urls or bool(told)
        comes = self._comes(path, node, value)
        metadata = self._revisions.known.get(node.revision) if node.revision else None
        if comes and not told:
            metadata = node.metadata  # of the revision before, which the same process had
        node.metadata = metadata
        if metadata is not None:
            return _NOTHING  # besides what they tell
        if node.by_urls:
            return Judged(Served(out(value, told)), agreed=told)
        if comes and not node.guessed:
            return _NOTHING  # it comes in a moment
        if not mapped:
            return Judged(Served(()), How.UNKNOWN)
        interfaces = frozenset(interface for interface, _ in mapped)
        variants = self._definitions.guess(node.application, path, interfaces)
        vague = frozenset(name for name, told in variants.items() if not told)
        return Judged(guessed_providers(value, variants, variants), How.GUESSED, guessed=vague)

    def _comes(self, path: str, node: Node, value: ApplicationInstance) -> bool:
        """Have an instance's metadata fetched if they must be; return whether they may come."""
        revision = node.revision
        if revision is None:
            return False
        asked = self._dials and value.answers_over_triple and not node.by_urls
        if revision in self._revisions.known or not (value.storage == REMOTE or asked):
            self._revisions.lack_not(revision, path)
            return False
        self._revisions.lack(revision, path, remote=value.storage == REMOTE)
        return revision not in self._revisions.failures
