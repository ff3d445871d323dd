"""Tells an update from nonsense: what an adapter hands over has the shapes that the SDK promises.

Two checks, because an adapter calls ``emit`` on the loop and a listing may hold 100,000 instances.
What an update says of itself is looked at when it is said; the services it carries when it is
worked off, in small steps, so that what was superseded meanwhile costs nothing. Absurd values of
the right type (a weight of NaN, port 0) are none of this: they are the registry's, and reported.
"""

from collections.abc import Callable, Generator
from itertools import chain
from operator import attrgetter
from types import NoneType
from typing import cast

from meshbridge.adapter import Changed, Gone, Listing, Removed, Stale, Update
from meshbridge.outage import AdapterFault
from meshbridge.registration import (
    Consumer,
    Health,
    Instance,
    InstancePort,
    Kind,
    Metadata,
    RegisteredService,
    ServiceId,
)

LONGEST = 1_000
"""Characters that a scope's name may have."""
STEP = 50
"""Instances that are looked at in one step."""
_PAIR = 2
_FORMS = 64


class _Shape:
    """What the fields of a value must be; its type hints say so, and nobody has to keep them."""

    def __init__(self, **fields: type | tuple[type, ...]) -> None:
        self._fields = tuple(fields.items())
        self._good: set[tuple[type, ...]] = set()
        # One name alone would give no tuple, and two of the same do no harm.
        get: object = attrgetter("__class__", *fields, "__class__")
        self._get = cast("Callable[[object], tuple[object, ...]]", get)

    def check(self, where: str, value: object, of: str = "") -> None:
        """Raise AdapterFault with the field of the value (``of`` what) that is something else."""
        # There are so many instances that nothing is looked at twice: a set of types has few forms.
        types = tuple(map(type, self._get(value)))
        if types not in self._good:
            self._name(where + of, value)
            if len(self._good) < _FORMS:
                self._good.add(types)

    def _name(self, where: str, value: object) -> None:
        for name, allowed in self._fields:
            found: object = getattr(value, name)
            if not isinstance(found, allowed):
                types = allowed if isinstance(allowed, tuple) else (allowed,)
                words = " or ".join(_WORDS.get(each, each.__name__) for each in types)
                raise AdapterFault(f"{where}: its {name} is {_kind(found)}, not {words}")


_WORDS: dict[type, str] = {str: "text", int: "int", float: "number", NoneType: "None"}
_NUMBER = (float, int)
_UPDATES: dict[type, _Shape] = {
    Listing: _Shape(services=tuple, unreadable=tuple, after_gap=bool),
    Changed: _Shape(service=RegisteredService, unreadable=tuple),
    Removed: _Shape(service_id=ServiceId),
    Gone: _Shape(),
    Stale: _Shape(reason=str),
}
_SCOPE = _Shape(scope=str)
_ID = _Shape(namespace=str, group=str, name=str, version=str)
_SERVICE = _Shape(id=ServiceId, instances=tuple, metadata=tuple, consumers=tuple, kind=Kind)
_INSTANCE = _Shape(
    id=str,
    address=str,
    ports=tuple,
    weight=_NUMBER,
    health=Health,
    metadata=tuple,
    zone=str,
    registered_at=(*_NUMBER, NoneType),
)
_PORT = _Shape(number=int, protocol=str, secure=bool)
_CONSUMER = _Shape(id=str, address=str, application=str, metadata=tuple)


def check_envelope(update: object) -> None:
    """Look at the update without its services; raises AdapterFault with what is wrong."""
    if not isinstance(update, (Listing, Changed, Removed, Gone, Stale)):
        raise AdapterFault(f"it emitted {_kind(update)}, which is no update")
    what = type(update).__name__
    _SCOPE.check(what, update)
    if len(update.scope) > LONGEST:
        raise AdapterFault(f"{what}: its scope is longer than {LONGEST:,} characters")
    what = f"{what} of {update.scope!r}"
    _UPDATES[type(update)].check(what, update)
    if isinstance(update, Changed):
        _check_type(what, "a service's id", update.service.id, ServiceId)
        _ID.check(f"{what}: the service's id", update.service.id)
    elif isinstance(update, Removed):
        _ID.check(f"{what}: the service's id", update.service_id)
    if isinstance(update, (Listing, Changed)):
        _check_unreadable(what, update.unreadable)


def check_contents(update: Update) -> Generator[None]:
    """Look at the services an update carries, a little in each step.

    Raises AdapterFault with what is wrong.
    """
    if isinstance(update, Changed):
        yield from _check_service(f"Changed of {update.scope!r}", update.service)
    elif isinstance(update, Listing):
        what = f"Listing of {update.scope!r}"
        listed: set[ServiceId] = set()
        for service in update.services:
            _check_type(what, "a service", service, RegisteredService)
            _check_type(what, "a service's id", service.id, ServiceId)
            _ID.check(f"{what}: a service's id", service.id)
            if service.id in listed:
                raise AdapterFault(f"{what}: it lists service {service.id} twice")
            listed.add(service.id)
            yield from _check_service(what, service)


def _check_service(where: str, service: RegisteredService) -> Generator[None]:
    what = f"{where}: service {service.id}"
    _SERVICE.check(what, service)
    known = service.metadata
    _check_metadata(what, known)
    for number, instance in enumerate(service.instances, start=1):
        _check_type(what, "an instance", instance, Instance)
        _INSTANCE.check(what, instance, ": an instance")
        for port in instance.ports:
            _check_type(what, "a port", port, InstancePort)
            _PORT.check(what, port, ": a port of an instance")
        if instance.metadata is not known:  # many say the same, and adapters keep that once
            known = instance.metadata
            _check_metadata(what, known)
        if not number % STEP:
            yield
    for number, consumer in enumerate(service.consumers, start=1):
        _check_type(what, "a consumer", consumer, Consumer)
        _CONSUMER.check(what, consumer)
        _check_metadata(what, consumer.metadata)
        if not number % STEP:
            yield
    yield


def _check_type(where: str, name: str, found: object, allowed: type) -> None:
    if not isinstance(found, allowed):
        raise AdapterFault(f"{where}: {name} is {_kind(found)}, not {allowed.__name__}")


def _check_metadata(where: str, pairs: Metadata) -> None:
    if (
        set(map(type, pairs)) <= _TUPLES
        and set(map(len, pairs)) <= _PAIRS
        and set(map(type, chain.from_iterable(pairs))) <= _TEXTS
    ):
        return
    for pair in cast("tuple[object, ...]", pairs):
        if isinstance(pair, tuple):
            parts = cast("tuple[object, ...]", pair)
            if len(parts) == _PAIR and isinstance(parts[0], str) and isinstance(parts[1], str):
                continue
        raise AdapterFault(f"{where}: metadata holds something else than (text, text) pairs")


_TUPLES: frozenset[type] = frozenset({tuple})
_TEXTS: frozenset[type] = frozenset({str})
_PAIRS = frozenset({_PAIR})


def _check_unreadable(where: str, unreadable: object) -> None:
    for subject in cast("tuple[object, ...]", unreadable):
        service = subject
        if isinstance(subject, tuple):
            parts = cast("tuple[object, ...]", subject)
            if len(parts) != _PAIR or not isinstance(parts[1], str):
                raise AdapterFault(f"{where}: unreadable names no (service's id, instance's id)")
            service = parts[0]
        _check_type(where, "a service's id in unreadable", service, ServiceId)
        _ID.check(f"{where}: a service's id in unreadable", service)


def _kind(value: object) -> str:
    """Name a value by its type: it may be huge, secret, or raise when it is shown."""
    return "None" if value is None else type(value).__qualname__
