"""Works out which interfaces one instance of a Dubbo application serves; pure.

It does not say so itself. That is told, the surest first, by

* the metadata of its revision, where Nacos' configuration holds them;
* the Nacos services of the interfaces, where it registers both ways (Dubbo's default). These are
  complete, so that a mapping, which nobody ever takes back, adds nothing to them;
* the mapping of interfaces to applications, read in reverse. Groups and versions are those of the
  service definitions that the application has left, if it has left any.

The services of new interfaces may be heard of seconds after the new instance, so a mapping is gone
by only once nothing else has told for a while.
"""

import enum
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from meshbridge import Health, Instance, ServiceId
from meshbridge_dubbo import (
    ApplicationInstance,
    ApplicationMetadata,
    Provider,
    Variant,
    application_instance,
    guessed_providers,
    providers_of,
)
from meshbridge_nacos.dubbo_records import Fault, Path, application_of
from meshbridge_nacos.dubbo_revisions import Revision, Revisions

REMOTE: Final = "remote"
STEP: Final = 100
"""Interfaces of an instance that are worked out at once: in 2 ms."""
_WAYS: Final = "let it register with metadata-type=remote or register-mode=all"
_KEPT: Final = "the application keeps them to itself, and no mapping names any"
_UNNAMED: Final = "the application tells no revision of them, and no mapping names any"
_ALSO: Final = "let it register its interfaces, too, as without registry-type=service"


class Serves(NamedTuple):
    """What one instance of an application serves now."""

    path: Path
    services: dict[ServiceId, tuple[Provider, ...]]
    """Empty for a service that it serves no longer."""


class How(enum.Enum):
    """How it is known what an instance serves."""

    TOLD = enum.auto()
    WAITING = enum.auto()
    """Not yet; it may be told in a moment."""
    GUESSED = enum.auto()
    UNKNOWN = enum.auto()


class _Judged(NamedTuple):
    """What an instance serves as far as its own metadata do not tell it."""

    served: Sequence[Provider] = ()
    how: How = How.TOLD
    agreed: Sequence[Provider] = ()
    """What is told of it, which its weight and its labels are found in."""
    faults: Sequence[tuple[str, str]] = ()


_NOTHING: Final = _Judged()


@dataclass(slots=True)
class Node:
    """One instance of a Dubbo application."""

    key: int
    """The hash of what Nacos held when it was read."""
    value: ApplicationInstance
    weight: float
    """What Nacos has; Dubbo registers 1 there whatever its own is."""
    instance: Instance
    """With what is told of its interfaces."""
    services: frozenset[ServiceId] = frozenset()
    """Those that it was last said to serve."""
    by_names: bool = False
    """Whether the interfaces' services have told of it: then what it serves is never guessed."""
    how: How = How.TOLD
    ripe: bool = False
    """Whether nothing but a mapping has told for long enough to go by it."""
    metadata: ApplicationMetadata | None = None
    """What told last what it serves; may be of the revision that it had before."""
    faults: tuple[tuple[str, str], ...] = ()
    """What of its metadata cannot be read."""

    @property
    def revision(self) -> Revision | None:
        """What it exports; ``None`` if that is nothing, or not told."""
        value = self.value
        return (value.application, value.revision) if value.revision else None

    @property
    def remote(self) -> bool:
        """Whether its metadata are in Nacos' configuration."""
        return self.value.storage == REMOTE

    def is_doubtful(self, revisions: Revisions) -> bool:
        """Return whether only a mapping may tell what it serves."""
        if self.how is not How.TOLD:
            return True
        told = self.by_names or self.metadata is not None
        return not told and self.revision in revisions.failures

    def serve(
        self,
        path: Path,
        told: Sequence[Provider],
        revisions: Revisions,
        mapped: Mapping[str, Collection[Variant]],
    ) -> Iterator[Serves | None]:
        """Work out what it serves; yield ``None`` after each step, and that at last.

        ``told`` is what the interfaces' services tell of its endpoints, ``mapped`` what a mapping
        says that its application serves.
        """
        judged = self._judge(told, revisions, mapped)
        providers, faults = list(judged.served), list(judged.faults)
        metadata, agreed = self.metadata, judged.agreed
        if metadata is not None:
            faults += metadata.faults
            for at in range(0, len(metadata.exported), STEP):
                part = ApplicationMetadata("", "", metadata.exported[at : at + STEP])
                read = providers_of(self.value, part)
                providers += read.providers
                faults += read.faults
                yield None
            agreed = providers
        own = application_instance(self.value, agreed)
        self.instance = replace(own, weight=own.weight * self.weight)
        self.how, self.faults = judged.how, tuple(faults)
        services: dict[ServiceId, list[Provider]] = {name: [] for name in self.services}
        for each in providers:
            services.setdefault(each.service, []).append(self._weighed(each))
        self.services = frozenset(name for name, some in services.items() if some)
        yield Serves(path, {name: tuple(some) for name, some in services.items()})

    def unknown(self, service: ServiceId, revisions: Revisions) -> Iterator[Fault]:
        """Yield what is to be said of an instance of which nothing tells what it serves."""
        revision = self.revision
        failure = revisions.failures.get(revision) if revision else None
        outdated = failure is not None and self.metadata is not None
        if self.how is not How.UNKNOWN and not outdated:
            return
        if revision is None:
            yield Fault(service, "interfaces", _UNNAMED, _ALSO)
            return
        reason = _KEPT if failure is None else f"they cannot be read: {failure}"
        yield Fault(service, f"interfaces of revision {revision[1]}", reason, _WAYS)

    def _judge(
        self,
        told: Sequence[Provider],
        revisions: Revisions,
        mapped: Mapping[str, Collection[Variant]],
    ) -> _Judged:
        if not self.value.exports:
            self.metadata = None
            return _NOTHING
        self.by_names = self.by_names or bool(told)
        revision = self.revision
        known = revisions.known.get(revision) if revision else None
        wanted = revision in revisions.wanted
        if known is not None or told or not wanted:
            self.metadata = known  # else that of the revision before, which the same process had
        if self.metadata is not None:
            return _NOTHING  # besides what they tell
        if self.by_names:
            return _Judged(_out(self.value, told), agreed=told)
        if wanted and revision not in revisions.failures and self.how is not How.GUESSED:
            return _NOTHING  # it comes in a moment
        return self._guess(mapped)

    def _guess(self, mapped: Mapping[str, Collection[Variant]]) -> _Judged:
        if not self.ripe:
            return _Judged(how=How.WAITING)
        if not mapped:
            return _Judged(how=How.UNKNOWN)
        served = guessed_providers(self.value, mapped, mapped)
        return _Judged(served.providers, How.GUESSED, faults=served.faults)

    def _weighed(self, provider: Provider) -> Provider:
        if self.weight == 1:
            return provider
        weight = provider.instance.weight * self.weight
        return replace(provider, instance=replace(provider.instance, weight=weight))


def read_node(application: str, instance: Instance, before: Node | None) -> Node | None:
    """Read an instance, if it is Dubbo's; what is as ``before`` is not read again.

    Raises BadData.
    """
    key = hash(instance)
    if before is not None and before.key == key:
        return before
    value = application_of(application, instance)
    if value is None:
        return None
    node = Node(key, value, instance.weight, replace(value.instance, weight=instance.weight))
    if before is not None:
        node.by_names, node.services = before.by_names, before.services
        node.how, node.ripe = before.how, before.ripe
        if before.value.instance.ports == value.instance.ports:
            node.metadata = before.metadata
    return node


def places_of(instance: Instance) -> Iterator[str]:
    """Yield an instance's endpoints as the ids of its providers name them."""
    host = f"[{instance.address}]" if ":" in instance.address else instance.address
    for port in instance.ports:
        yield f"{port.protocol}://{host}:{port.number}"


def place_of(provider: Provider) -> str:
    """Return the endpoint in a provider's id, which may have a path."""
    protocol, _, rest = provider.instance.id.partition("://")
    return f"{protocol}://{rest.partition('/')[0]}"


def _out(value: ApplicationInstance, told: Iterable[Provider]) -> tuple[Provider, ...]:
    """Return what is told of an instance that is out of use as out of use, too."""
    if value.instance.health is not Health.DISABLED:
        return ()
    return tuple(replace(p, instance=replace(p.instance, health=Health.DISABLED)) for p in told)
