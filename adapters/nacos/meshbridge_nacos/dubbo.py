"""Makes registrations of what a Nacos group holds, its Dubbo interfaces and applications; pure.

Nacos knows one kind of service. Dubbo registers interfaces (``providers:interface:version:group``),
applications whose instances serve interfaces, and consumers; so one service of Nacos' may tell of
several services, and several of one. A scope hands in whatever it reads of the group's services,
Dubbo's or not, and is told which services that makes::

    registrations = Registrations(namespace, group)
    registrations.put(name, reading)                    # what subscribe or a push has told
    registrations.refuse(name, reason)                  # it cannot be read: what it held holds
    registrations.drop(name)                            # it is no longer listed
    for news in registrations.take(): ...               # None: a moment to let others go on
    services, unreadable = registrations.listing()      # for a Listing, after take() has ended
    services, unreadable = await in_turns(registrations.listed())       # in steps
    registrations.retain(names)                         # at the beginning of another session
    await in_turns(registrations.retained(names))                       # in steps

``take`` may be left before its end when the session ends. They may live longer than a session: what
was read of configurations is then known after a gap, even if it cannot be read again at once.

Names for which :func:`meshbridge_nacos.dubbo_names.is_read` does not hold need no subscription.

What an application has left in Nacos' configuration is read by
:class:`meshbridge_nacos.dubbo_configs.Configs`, over the session of the scope. Before the first
Listing of a session it is waited for, then it runs beside all else::

    configs = Configs(registrations, questions, context, on_news)
    await configs.complete()
    tasks.create_task(configs.run())       # calls on_news() when take() has something to say

A Dubbo interface is known by its own group and version, as in every registry, so that the same
provider has the same host whichever one it uses. In which namespace and group of Nacos it stands
is its :attr:`ServiceId.namespace`: empty for ``public`` and ``DEFAULT_GROUP``.
"""

from collections import deque
from collections.abc import Collection, Generator, Iterator
from dataclasses import replace
from heapq import merge
from operator import attrgetter
from typing import Final, NamedTuple

from meshbridge import BadData, RegisteredService, ServiceId
from meshbridge.adapter import Unreadable
from meshbridge.steps import Steps, at_once, parts
from meshbridge_nacos.dubbo_applications import Applications
from meshbridge_nacos.dubbo_interfaces import Interfaces, Told
from meshbridge_nacos.dubbo_names import DubboName, is_dubbos_name, read_name
from meshbridge_nacos.dubbo_records import Fault
from meshbridge_nacos.options import DEFAULT_GROUP, PUBLIC
from meshbridge_nacos.parse import Reading, service_id

_NAMESAKE: Final = "an interface has the same name as this application, and is told in its place"
_RENAME: Final = "give one of them another name"
STEP: Final = 500
"""Services that are put in order before others get a turn."""
_ORDER: Final = attrgetter("namespace", "group", "name", "version")
"""That of the identities themselves, which compare slowly."""


class News(NamedTuple):
    """What there is to say of one service."""

    id: ServiceId
    service: RegisteredService | None
    """``None``: there is no such service any more."""
    unreadable: Unreadable = ()
    reports: tuple[Fault, ...] = ()
    """What is to be reported first; what was reported before is not among it."""


class Registrations:
    """What one group of one namespace holds."""

    def __init__(self, namespace: str, group: str) -> None:
        """Begin with nothing."""
        self._namespace, self.group = namespace, group
        self._place = _place(namespace, group)
        self._changed: dict[ServiceId, None] = {}
        """Interfaces' services that may have changed, known without the namespace."""
        self._changed_names: dict[str, None] = {}
        """Other services that may have changed."""
        self.interfaces = Interfaces(self._changed)
        self.applications = Applications(self._changed_names)
        self._waiting: dict[str, Reading | str | None] = {}
        """What was handed in and not worked off; a reason for what cannot be read."""
        self._order: deque[str] = deque()
        """Their names: a dictionary looks at all that it held to find what it held first."""
        self._said: dict[ServiceId, Told] = {}

    @property
    def scope(self) -> str:
        """The name of the scope that they are."""
        return f"{self._namespace}/{self.group}"

    def put(self, name: str, reading: Reading) -> None:
        """Take what a service of the group holds now."""
        self._wait(name, reading)

    def refuse(self, name: str, reason: str) -> None:
        """Take it that a service cannot be read now: what it held holds."""
        self._wait(name, reason)

    def drop(self, name: str) -> None:
        """Let a service go that is no longer listed."""
        self._wait(name, None)

    def retain(self, names: Collection[str]) -> None:
        """Let all services go that are not among these: after a gap, before all are put again.

        What was left half done in :meth:`take` when the last session ended is begun anew.
        """
        at_once(self.retained(names))

    def retained(self, names: Collection[str]) -> Steps[None]:
        """Do as :meth:`retain`, and pause after each step."""
        for held in (self.interfaces.held(), self.applications.held(), self._waiting):
            for part in parts(held):
                for name in part:
                    if name not in names:
                        self._wait(name, None)
                yield
        self.applications.stir_all()

    @property
    def idle(self) -> bool:
        """Whether there is nothing to say."""
        applications = self.applications
        stirs = applications.listening or applications.stirred
        return not (self._waiting or self._changed or self._changed_names or stirs)

    def take(self) -> Generator[News | None, None, None]:
        """Yield what has changed, and ``None`` after each step towards it, until all is said."""
        while not self.idle:
            if self.applications.listening:
                self.applications.listen()
                yield None
            elif self._waiting:
                name = self._order.popleft()
                yield from self._work_off(name, self._waiting.pop(name))
            elif self.applications.stirred:
                for serves in self.applications.serving():
                    if serves is not None:
                        self.interfaces.serve(serves)
                    yield None
            elif self._changed:
                yield self._news(self._interface_id(self._changed.popitem()[0]))
            else:
                yield self._news(self._service_id(self._changed_names.popitem()[0]))

    def listing(self) -> tuple[tuple[RegisteredService, ...], Unreadable]:
        """Return all that was said, in the order of the services' identities."""
        return at_once(self.listed())

    def listed(self) -> Steps[tuple[tuple[RegisteredService, ...], Unreadable]]:
        """Do as :meth:`listing`, and pause after each step; nothing is to be taken meanwhile."""
        runs: list[list[ServiceId]] = []
        for part in parts(self._said):
            runs.append(sorted(part, key=_ORDER))
            yield
        services: list[RegisteredService] = []
        subjects: list[ServiceId | tuple[ServiceId, str]] = []
        for number, each in enumerate(merge(*runs, key=_ORDER), 1):
            told = self._said[each]
            services.append(told.service)
            subjects += _unreadable(told)
            if not number % STEP:
                yield
        return tuple(services), tuple(subjects)

    def _wait(self, name: str, told: Reading | str | None) -> None:
        if name not in self._waiting:
            self._order.append(name)
        self._waiting[name] = told

    def _work_off(self, name: str, told: Reading | str | None) -> Iterator[None]:
        """Take one service, in steps."""
        dubbos = _dubbos(name)
        if isinstance(dubbos, str):  # Dubbo would not find it either, under such a name
            yield from self._put_other(name, None if told is None else dubbos)
        elif dubbos is None:
            yield from self._put_other(name, told)
        elif isinstance(told, Reading):
            self.applications.hear(*(yield from self.interfaces.put(name, dubbos, told)))
        elif told is None:
            self.applications.hear(*self.interfaces.drop(name))
        else:
            self.interfaces.refuse(name, dubbos, told)
        yield None

    def _put_other(self, name: str, told: Reading | str | None) -> Iterator[None]:
        if isinstance(told, str):
            self.applications.refuse(name, self._service_id(name), told)
            return
        if told is None:
            gone = self.applications.drop(name)
        else:
            gone = yield from self.applications.put(name, told)
        for serves in gone:
            self.interfaces.serve(serves)

    def _service_id(self, name: str) -> ServiceId:
        return service_id(self._namespace, self.group, name)

    def _interface_id(self, service: ServiceId) -> ServiceId:
        """Return the service of an interface as others know it."""
        return replace(service, namespace=self._place) if self._place else service

    def _news(self, service: ServiceId) -> News | None:
        """Return what there is to say of a service that may have changed."""
        told = self._told(service)
        last = self._said.pop(service, None)
        if told is not None:
            self._said[service] = told
        if told == last:
            return None
        if told is None:
            return News(service, None)
        known = last.faults if last else ()
        fresh = tuple(each for each in told.faults if each not in known)
        return News(service, told.service, _unreadable(told), fresh)

    def _told(self, service: ServiceId) -> Told | None:
        """Return what is said of a service: an interface goes before what has its identity."""
        interface = application = None
        if service.namespace == self._place:
            interface = self.interfaces.told(replace(service, namespace=""))
        if service == self._service_id(service.name):
            application = self.applications.told(service.name)
        if interface is None:
            return application
        faults = [each._replace(service=service) for each in interface.faults]
        if application is not None:
            faults.append(Fault(service, "application", _NAMESAKE, _RENAME))
        return Told(replace(interface.service, id=service), tuple(faults))


def _place(namespace: str, group: str) -> str:
    """Return where an interface stands, empty for Nacos' defaults: ``prod``, ``prod:blue``."""
    if group == DEFAULT_GROUP:
        return "" if namespace == PUBLIC else namespace
    return f"{namespace}:{group}"


def _dubbos(name: str) -> DubboName | str | None:
    """Return what a name of Dubbo's says, or why it cannot be read; ``None``: it is none."""
    if not is_dubbos_name(name):
        return None
    try:
        return read_name(name)
    except BadData as bad:
        return str(bad)


def _unreadable(told: Told) -> Unreadable:
    return tuple(dict.fromkeys(each.subject for each in told.faults))
