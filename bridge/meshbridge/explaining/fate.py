"""What became of one instance: how far it came, and why no farther."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from meshbridge.catalog.merging import gathered
from meshbridge.catalog.ownership import Holding
from meshbridge.explaining.values import Stage
from meshbridge.health import stand_in
from meshbridge.problems import Problem
from meshbridge.publish import Published, Registry, publish
from meshbridge.registration import Health, Instance, RegisteredService
from meshbridge.service import Endpoint, Service

_WITHDRAWN = (Health.DRAINING, Health.DISABLED)
Ports = tuple[tuple[str, int], ...]
_Place = tuple[str, Ports]


@dataclass(frozen=True, slots=True)
class Fate:
    """How far an instance came."""

    lost: Stage | None
    """Where it was lost; ``None``: it is served."""
    reason: str
    """Why; of one that is served, as what."""


@dataclass(slots=True)
class Way:
    """All that decides about the instances of one registration, as it stands at one moment."""

    registry: Registry
    scope: str
    service: RegisteredService
    """With any of its instances: what else it says counts."""
    claim: Published | None
    holding: Holding
    """Of the host that the registration stands for."""
    conflicts: tuple[Problem, ...]
    """What the catalog says of those that want the host."""
    merged: Service | None
    """The host as the catalog has it now."""
    snapshot: Service | None
    """The host as it is served."""
    waiting: str
    """Why nothing at all is served yet; empty: something is."""
    _claimed: dict[_Place, Ports] = field(init=False)
    _raw: dict[_Place, Endpoint] = field(init=False)
    _sent: dict[_Place, Endpoint] = field(init=False)
    _served: dict[_Place, Endpoint] = field(init=False)

    def __post_init__(self) -> None:
        """Index the endpoints of each stage."""
        claimed = self.claim.endpoints if self.claim else ()
        self._claimed = {(each.address, _by_protocol(each.ports)): each.ports for each in claimed}
        ports = self.merged.ports if self.merged else ()
        self._raw = _placed(gathered(self.holding.served, ports) if self.holding.served else ())
        self._sent = _placed(self.merged.endpoints if self.merged else ())
        self._served = _placed(self.snapshot.endpoints if self.snapshot else ())

    def fate(self, instance: Instance, port: int | None, *, listed_only: bool) -> Fate:
        """Return what became of the instance, or of this port of it.

        ``listed_only``: it is not among what the rules selected.
        """
        if listed_only:
            return Fate(Stage.SELECTION, self._unselected(instance))
        if self.claim is None:
            return Fate(Stage.PUBLISH, "it has just come and is being worked out; ask again")
        if self.claim.host is None:
            return Fate(Stage.PUBLISH, _said(self.claim.problems) or "no host can be made of it")
        withdrawn = instance.health in _WITHDRAWN or instance.weight == 0
        endpoint, said = self._alone(instance, withdrawn=withdrawn)
        if endpoint is None:
            return Fate(Stage.PUBLISH, said or "it cannot be an endpoint")
        if port is not None and not _has(endpoint.ports, port):
            return Fate(Stage.PUBLISH, said or f"its port {port} is not served")
        found = self._beyond(endpoint, port)
        return self._withdrawn(instance, found) if withdrawn else self._explained(instance, found)

    def _withdrawn(self, instance: Instance, found: Fate) -> Fate:
        """Return the fate of one that is never sent, given that of its address and ports."""
        if found.lost is None:
            return Fate(None, f"{found.reason}, for another instance there")
        fitness = instance.health if instance.health in _WITHDRAWN else "registered with weight 0"
        return Fate(Stage.HEALTH, f"it is {fitness}: such instances are never sent")

    def _explained(self, instance: Instance, found: Fate) -> Fate:
        fittest = any(each.health is Health.HEALTHY for each in self._raw.values())
        if found.lost is None and instance.health is not Health.HEALTHY and not fittest:
            why = f"it is {instance.health}, and sent because the host has none that is fitter"
            return Fate(None, f"{found.reason}; {why}")
        if found.lost is not Stage.HEALTH:
            return found
        if self._sent:
            why = "and the host has instances that are fitter"
        else:
            why = "and publish.keep-last is false"
        return Fate(Stage.HEALTH, f"it is {instance.health}, {why}")

    def _unselected(self, instance: Instance) -> str:
        rules = self.registry.rules
        if not rules.selects(self.service.id):
            return "publish.include and publish.exclude leave the service out"
        has = dict(instance.metadata)
        missing = [
            f"{key}={value}, it has {has[key]!r}" if key in has else f"{key}={value}, it has none"
            for key, value in rules.instances.match
            if has.get(key) != value
        ]
        return f"publish.instances wants {'; '.join(missing)}"

    def _alone(self, instance: Instance, *, withdrawn: bool) -> tuple[Endpoint | None, str]:
        """Return the endpoint that publishing makes of it, fit or not, and what it says of it."""
        fit = replace(instance, health=Health.HEALTHY, weight=1.0) if withdrawn else instance
        made = publish(replace(self.service, instances=(fit,)), self.registry, self.scope)
        if made is None:
            return None, "the rules do not select it"
        of_it = [each for each in made.problems if ", instance " in each.subject]
        return next(iter(made.endpoints), None), _said(of_it)

    def _beyond(self, endpoint: Endpoint, port: int | None) -> Fate:
        """Return what became of the endpoint beyond its own registration."""
        claim = self.claim
        own = self._claimed.get((endpoint.address, _by_protocol(endpoint.ports)))
        if claim is not None and all(each.key != claim.key for each in self.holding.served):
            mine = [each for each in self.conflicts if each.subject == claim.source.name]
            return Fate(Stage.CATALOG, _said(mine) or "another registration has its host")
        if own is None:
            return Fate(Stage.PUBLISH, "it is being worked out; ask again")
        return self._in_host(endpoint.address, own, port)

    def _in_host(self, address: str, own: Ports, port: int | None) -> Fate:
        """Return what became of the endpoint in the host, which others may share."""
        names = {each.name for each in self.merged.ports} if self.merged else set[str]()
        kept = tuple(each for each in own if each[0] in names)
        place = (address, kept)
        if not kept or (port is not None and not _has(kept, port)):
            return Fate(Stage.CATALOG, "the host has other ports, by whom it is shared with")
        if place not in self._raw:
            return Fate(Stage.CATALOG, "another registry tells it with other protocols")
        if place not in self._sent:
            return Fate(Stage.HEALTH, "")
        if (served := self._served.get(place)) is None:
            return Fate(Stage.SNAPSHOT, self.waiting or "the next snapshot brings it; ask again")
        return Fate(None, described(served))


def sent_as_healthy(holding: Holding, service: Service | None) -> Health | None:
    """Return the registry's health of what a host sends as healthy for want of fitter ones."""
    if service is None or not service.endpoints:
        return None
    return stand_in(gathered(holding.served, service.ports))


def described(endpoint: Endpoint) -> str:
    """Return an endpoint as people read it."""
    ports = ", ".join(f"{name} at {number}" for name, number in endpoint.ports)
    where = f", {endpoint.locality}" if str(endpoint.locality) else ""
    return f"served: {ports}, weight {endpoint.weight}, {endpoint.health}{where}"


def _has(ports: Ports, number: int) -> bool:
    return any(each == number for _, each in ports)


def _said(problems: Iterable[Problem]) -> str:
    return "; ".join(dict.fromkeys(f"{each.reason}; {each.remedy}" for each in problems))


def _placed(endpoints: Iterable[Endpoint]) -> dict[_Place, Endpoint]:
    return {(each.address, each.ports): each for each in endpoints}


def _by_protocol(ports: Ports) -> Ports:
    """Return the numbers by protocol alone: the service's own numbers depend on its others."""
    return tuple(sorted((name.rpartition("-")[0], number) for name, number in ports))
