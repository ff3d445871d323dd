"""Keeps what was said last of each service, and finds what is new in what is to be said; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from meshbridge import RegisteredService, ServiceId
from meshbridge.adapter import Unreadable
from meshbridge_zookeeper_dubbo.interface import Told
from meshbridge_zookeeper_dubbo.records import Fault

_NAMESAKE: Final = "an interface has the same name as this application, and is told in its place"
_RENAME: Final = "give one of them another name, or take its root out of the configuration"


@dataclass(frozen=True, slots=True)
class News:
    """What there is to say of one service."""

    id: ServiceId
    service: RegisteredService | None
    """``None``: there is no such service."""
    unreadable: Unreadable = ()
    reports: tuple[Fault, ...] = ()
    """What was not reported before of what is named in ``unreadable``."""


class Said:
    """What was said of the services, by the name of their interface or application."""

    def __init__(self, before: "Said | None" = None) -> None:
        """Nothing was said; what ``before`` has reported holds and is not reported again."""
        self.said: dict[str, tuple[Told, ...]] = {}
        """By the name of the interface or application."""
        self._reported: frozenset[Fault] = before.faults() if before else frozenset()

    def forget(self) -> None:
        """Let go of what was known before."""
        self._reported = frozenset()

    def news(self, name: str, interface: Sequence[Told], application: Told | None) -> list[News]:
        """Take what is to be said under a name, and return what of it is new."""
        told = tuple(_united(interface, application))
        before = {each.service.id: each for each in self.said.pop(name, ())}
        if told:
            self.said[name] = told
        news: list[News] = []
        for each in told:
            last = before.pop(each.service.id, None)
            if each != last:
                known = self._reported.union(last.faults if last else ())
                fresh = tuple(fault for fault in each.faults if fault not in known)
                news.append(News(each.service.id, each.service, _unreadable(each), fresh))
        news.extend(News(gone, None) for gone in before)
        return news

    def listing(self) -> tuple[tuple[RegisteredService, ...], Unreadable]:
        """Return all that was said."""
        told = [each for said in self.said.values() for each in said]
        unreadable = tuple(subject for each in told if each.faults for subject in _unreadable(each))
        return tuple(each.service for each in told), unreadable

    def faults(self) -> frozenset[Fault]:
        """Return all that is wrong and was reported."""
        return frozenset(
            fault for said in self.said.values() for each in said for fault in each.faults
        )


def _united(interface: Sequence[Told], application: Told | None) -> Iterable[Told]:
    """Yield both, or the interface alone where one identity would be that of two services."""
    for each in interface:
        if application is not None and each.service.id == application.service.id:
            fault = Fault(each.service.id, "application", _NAMESAKE, _RENAME)
            yield Told(each.service, (*each.faults, fault))
            application = None
        else:
            yield each
    if application is not None:
        yield application


def _unreadable(told: Told) -> Unreadable:
    return tuple(dict.fromkeys(each.subject for each in told.faults))
