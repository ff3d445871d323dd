"""Which of the records known before a spoilt one may be: nobody is taken away for a misspelling."""

from meshbridge import RegisteredService, ServiceId
from meshbridge.adapter import Unreadable
from meshbridge_file.records import Content, Fault

Known = dict[ServiceId, frozenset[str]]
"""The services of a file with the ids of their instances."""


def spoilt(found: Content, before: Known) -> tuple[tuple[Fault, Unreadable], ...]:
    """Return with each fault what it may have spoilt of what was known ``before``.

    A record whose identity cannot be read (no name, no port) is one of those that are missing
    now, or a new one: all that are missing in its place are named, so that none is taken away.
    """
    listed = {service.id: _ids(service) for service in found.services}
    named: list[tuple[Fault, Unreadable]] = []
    for fault in found.faults:
        also: list[ServiceId | tuple[ServiceId, str]] = []
        if not fault.known and isinstance(fault.subject, ServiceId):
            also.extend(each for each in before if each not in listed)
        elif not fault.known and isinstance(fault.subject, tuple):
            service_id, _ = fault.subject
            gone = before.get(service_id, frozenset()) - listed.get(service_id, frozenset())
            also.extend((service_id, each) for each in sorted(gone))
        named.append((fault, (fault.subject, *also)))
    return tuple(named)


def known(found: Content, before: Known, unreadable: Unreadable) -> Known:
    """Return the identities that are known now: those listed, and those kept as unreadable."""
    result = {service.id: _ids(service) for service in found.services}
    for subject in unreadable:
        if isinstance(subject, ServiceId):
            if subject in before:
                result[subject] = before[subject]
        elif subject[1] in before.get(subject[0], frozenset()):
            result[subject[0]] = result.get(subject[0], frozenset()) | {subject[1]}
    return result


def _ids(service: RegisteredService) -> frozenset[str]:
    return frozenset(instance.id for instance in service.instances)
