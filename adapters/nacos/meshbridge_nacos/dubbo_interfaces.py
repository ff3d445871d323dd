"""Keeps what a Nacos group tells of Dubbo's interfaces, and makes services of it; pure.

An interface's service is told by the Nacos services of its name, in either form, and by the
instances of applications that serve it. Services are known here without a namespace.
"""

from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from meshbridge import BadData, Consumer, Instance, Kind, RegisteredService, ServiceId
from meshbridge_dubbo import Provider, asks_for
from meshbridge_dubbo.uniting import join, once, unite
from meshbridge_nacos.dubbo_instance import Serves
from meshbridge_nacos.dubbo_names import CONSUMERS, DubboName
from meshbridge_nacos.dubbo_records import Caller, Fault, Path, caller, provider, provider_id
from meshbridge_nacos.parse import Reading

STEP: Final = 200
"""Instances that are read before others get a turn."""

Record = Provider | Caller
"""What an instance of a Nacos service of Dubbo's is."""
Records = dict[str, tuple[int, Record]]
"""By the ids of the instances; with the hash of what was read, which needs no second look."""


class Told(NamedTuple):
    """What is said of one service."""

    service: RegisteredService
    faults: tuple[Fault, ...] = ()


class News(NamedTuple):
    """What a Nacos service has told that matters to applications."""

    come: tuple[Provider, ...]
    gone: tuple[Provider, ...]


@dataclass(slots=True)
class _Held:
    """What a Nacos service of Dubbo's holds."""

    name: DubboName
    records: Records = field(default_factory=dict[str, tuple[int, Record]])
    faults: tuple[Fault, ...] = ()
    """What of it cannot be read."""
    services: frozenset[ServiceId] = frozenset()
    """Those that it tells of."""

    def providers(self, service: ServiceId) -> Iterator[Provider]:
        """Yield those of a service that it tells."""
        only = len(self.services) == 1
        for _, record in self.records.values():
            if isinstance(record, Provider) and (only or record.service == service):
                yield record

    def callers(self) -> list[Caller]:
        """Return the consumers that it tells."""
        return [each for _, each in self.records.values() if isinstance(each, Caller)]


@dataclass(slots=True)
class _Service:
    """Who tells of a service."""

    names: dict[str, _Held] = field(default_factory=dict[str, _Held])
    served: dict[Path, tuple[Provider, ...]] = field(
        default_factory=dict[Path, tuple[Provider, ...]]
    )


class Interfaces:
    """All interfaces of a group."""

    def __init__(self, changed: dict[ServiceId, None]) -> None:
        """Begin without any; ``changed`` is where services are put that may have changed."""
        self._changed = changed
        self._held: dict[str, _Held] = {}
        """By the whole name of the Nacos service."""
        self._interfaces: dict[str, dict[ServiceId, _Service]] = {}
        """The services of each interface."""
        self._consumers: dict[str, dict[str, _Held]] = {}
        """What stands below ``consumers:``, by the interface and the whole name."""

    def put(self, whole: str, name: DubboName, reading: Reading) -> Generator[None, None, News]:
        """Take what a Nacos service holds; pause after each step.

        Of a record that can no longer be read what it was holds.
        """
        held = self._held.setdefault(whole, _Held(name))
        before, now = held.records, Records()
        faults: list[Fault] = []
        for key, reason in reading.faults:
            faults.append(Fault(name.service, _keep(before, now, key) or key, reason))
        for position, instance in enumerate(reading.service.instances, 1):
            fault = _take(name, instance, before, now)
            if fault is not None:
                faults.append(fault)
            if not position % STEP:
                yield
        held.records, held.faults = now, tuple(faults)
        self._place(whole, held)
        return News(_lacking(now, before), _lacking(before, now))

    def held(self) -> Collection[str]:
        """Return the names of all that is held."""
        return self._held.keys()

    def refuse(self, whole: str, name: DubboName, reason: str) -> None:
        """Take it that a Nacos service cannot be read: what it held holds."""
        held = self._held.setdefault(whole, _Held(name))
        held.faults = (Fault(name.service, "", reason),)
        self._place(whole, held)

    def drop(self, whole: str) -> News:
        """Let a Nacos service go."""
        held = self._held.pop(whole, None)
        if held is None:
            return News((), ())
        self._unplace(whole, held)
        return News((), _lacking(held.records, Records()))

    def serve(self, serves: Serves) -> None:
        """Take what an instance of an application serves."""
        for service, providers in serves.services.items():
            known = self._service(service)
            if known.served.get(serves.path, ()) != providers:
                self._changed[service] = None
            if providers:
                known.served[serves.path] = providers
            else:
                known.served.pop(serves.path, None)
                self._dispose(service)

    def told(self, service: ServiceId) -> Told | None:
        """Return what is said of a service; ``None`` if there is none."""
        known = self._interfaces.get(service.name, {}).get(service)
        if known is None:
            return None
        providers: dict[str, Provider] = {}
        for whole in sorted(known.names):
            for each in known.names[whole].providers(service):
                unite(providers, each)
        for path in sorted(known.served):
            for each in known.served[path]:
                join(providers, each)
        registered = RegisteredService(
            service,
            tuple(sorted((each.instance for each in once(providers.values())), key=_id)),
            consumers=self._callers(service),
            kind=Kind.DUBBO_INTERFACE,
        )
        faults = {
            fault._replace(service=service)
            for held in (*known.names.values(), *self._consumers.get(service.name, {}).values())
            for fault in held.faults
        }
        return Told(registered, tuple(sorted(faults)))

    def names(self) -> frozenset[str]:
        """Return the names of all interfaces."""
        return frozenset(self._interfaces)

    def _service(self, service: ServiceId) -> _Service:
        return self._interfaces.setdefault(service.name, {}).setdefault(service, _Service())

    def _dispose(self, service: ServiceId) -> None:
        """Forget a service of which nobody tells."""
        known = self._service(service)
        if not (known.names or known.served):
            del self._interfaces[service.name][service]
            if not self._interfaces[service.name]:
                del self._interfaces[service.name]

    def _place(self, whole: str, held: _Held) -> None:
        """Note of which services a name tells now."""
        if held.name.category == CONSUMERS:
            interface = held.name.service.name
            self._consumers.setdefault(interface, {})[whole] = held
            self._changed.update(dict.fromkeys(self._interfaces.get(interface, ())))
            return
        # First by what is the same object, as it nearly always is: identities compare slowly.
        told = {
            id(each.service): each.service
            for _, each in held.records.values()
            if isinstance(each, Provider)
        }
        services = frozenset(told.values() or {held.name.service})
        for service in services:
            self._service(service).names[whole] = held
            self._changed[service] = None
        self._leave(whole, held.services - services)
        held.services = services

    def _unplace(self, whole: str, held: _Held) -> None:
        interface = held.name.service.name
        if held.name.category == CONSUMERS:
            del self._consumers[interface][whole]
            if not self._consumers[interface]:
                del self._consumers[interface]
            self._changed.update(dict.fromkeys(self._interfaces.get(interface, ())))
        self._leave(whole, held.services)

    def _leave(self, whole: str, services: frozenset[ServiceId]) -> None:
        for service in services:
            del self._service(service).names[whole]
            self._changed[service] = None
            self._dispose(service)

    def _callers(self, service: ServiceId) -> tuple[Consumer, ...]:
        asking = [
            each.consumer
            for held in self._consumers.get(service.name, {}).values()
            for each in held.callers()
            if asks_for(each.asked, service)
        ]
        return tuple({each.id: each for each in sorted(asking, key=repr)}.values())


def _take(name: DubboName, instance: Instance, before: Records, now: Records) -> Fault | None:
    """Take a record; return why it cannot be read."""
    key = hash(instance)
    known = before.get(instance.id)
    if known is not None and known[0] == key:
        now[instance.id] = known
        return None
    try:
        record = caller(instance) if name.category == CONSUMERS else provider(name, instance)
    except BadData as bad:
        was = _keep(before, now, instance.id) or provider_id(instance)
        return Fault(name.service, was, str(bad))
    now[instance.id] = key, record
    return None


def _keep(before: Records, now: Records, key: str) -> str:
    """Let a record be what it was; return the id by which that is told, empty if it was not."""
    known = before.get(key)
    if known is None:
        return ""
    now[key] = known
    record = known[1]
    return record.instance.id if isinstance(record, Provider) else record.consumer.id


def _lacking(some: Records, others: Records) -> tuple[Provider, ...]:
    """Return the providers among some that are not among the others, as they are."""
    return tuple(
        record
        for key, (number, record) in some.items()
        if isinstance(record, Provider) and (key not in others or others[key][0] != number)
    )


def _id(instance: Instance) -> str:
    return instance.id
