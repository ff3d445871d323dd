"""What is to be stored and is not yet: the newest of each key, and all of it if a file was lost."""

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from meshbridge.registration import RegisteredService, ServiceId
from meshbridge.store.record import Announcement

Key = tuple[str, ServiceId]
"""Scope and identity, within one registry."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is written in one transaction: all of it or nothing."""

    forgotten: frozenset[str]
    """Registries of which every row goes first."""
    replaced: Mapping[str, frozenset[str]]
    """Registry -> scopes of which every row goes first, because the rest says all they hold."""
    services: Mapping[str, Mapping[Key, RegisteredService | None]]
    announced: Mapping[str, tuple[Announcement, ...]]
    all_served: bool
    """Whether every served host goes first."""
    served: Mapping[str, int | None]

    def __len__(self) -> int:
        """Return how many rows it touches one by one."""
        changed = sum(len(services) for services in self.services.values())
        return changed + len(self.announced) + len(self.served)

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(len(self) or self.forgotten or self.replaced or self.all_served)


class Pending:
    """Remembers what is newest, and what of that a disk does not have; for any thread.

    All that is newest is remembered too, by reference to values that live anyway: a file that
    broke or was deleted while the bridge ran is written anew and whole.
    """

    def __init__(
        self,
        registrations: Mapping[str, Mapping[Key, RegisteredService]],
        announced: Mapping[str, tuple[Announcement, ...]],
        served: Mapping[str, int],
    ) -> None:
        """Begin with what is on the disk."""
        self._lock = threading.Lock()
        self._all = {registry: dict(found) for registry, found in registrations.items()}
        self._scopes = {
            registry: {scope for scope, _ in found} for registry, found in registrations.items()
        }
        self._all_announced = dict(announced)
        self._all_served = dict(served)
        self._gathering: dict[str, dict[Key, RegisteredService | None]] = {}
        """Registries of which something is incomplete, with what was newest before it."""
        self._forgotten: set[str] = set()
        self._replaced: dict[str, set[str]] = {}
        self._services: dict[str, dict[Key, RegisteredService | None]] = {}
        self._announced: dict[str, tuple[Announcement, ...]] = {}
        self._served_anew = False
        self._served: dict[str, int | None] = {}

    def put(self, registry: str, key: Key, service: RegisteredService | None) -> None:
        """Let ``service`` be the newest of its key, ``None``: it is no more."""
        with self._lock:
            if (before := self._gathering.get(registry)) is not None:
                before.setdefault(key, self._all.get(registry, {}).get(key))
            self._put(registry, key, service)

    def _put(self, registry: str, key: Key, service: RegisteredService | None) -> None:
        newest = self._all.setdefault(registry, {})
        if service is None:
            newest.pop(key, None)
        else:
            newest[key] = service
        self._scopes.setdefault(registry, set()).add(key[0])
        self._services.setdefault(registry, {})[key] = service

    def announce(self, registry: str, announcements: tuple[Announcement, ...]) -> None:
        """Let these be all announcements of a registry."""
        with self._lock:
            self._all_announced[registry] = announcements
            self._announced[registry] = announcements

    def serve(self, hosts: Mapping[str, int | None]) -> None:
        """Let these hosts have so many endpoints, ``None``: they are served no more."""
        with self._lock:
            self._served.update(hosts)
            for host, endpoints in hosts.items():
                if endpoints is None:
                    self._all_served.pop(host, None)
                else:
                    self._all_served[host] = endpoints

    def forget(self, registry: str) -> None:
        """Let nothing be known of a registry."""
        with self._lock:
            for known in (
                self._all,
                self._scopes,
                self._all_announced,
                self._services,
                self._replaced,
                self._announced,
            ):
                known.pop(registry, None)
            self._forgotten.add(registry)

    @contextmanager
    def whole(self, registry: str) -> Generator[None]:
        """Let nothing of a registry be taken before all that is said in this context is there.

        If it is broken off, by a cancellation for one, nothing of it was ever said. One at a time.
        """
        before: dict[Key, RegisteredService | None] = {}
        with self._lock:
            if registry in self._gathering:
                raise AssertionError(f"two at once say something of {registry}")
            self._gathering[registry] = before
        try:
            yield
        except BaseException:
            with self._lock:
                for key, service in before.items():
                    self._put(registry, key, service)
            raise
        finally:
            with self._lock:
                del self._gathering[registry]

    def renew(self) -> None:
        """Let everything be written: nobody knows what the disk has of it.

        What it has of scopes that nothing was said about stays.
        """
        with self._lock:
            for registry, newest in self._all.items():
                self._services[registry] = dict(newest)
                self._replaced[registry] = set(self._scopes[registry])
            self._announced = dict(self._all_announced)
            if self._all_served or self._served:
                self._served_anew = True
                self._served = dict(self._all_served)

    def take(self) -> Batch:
        """Return what is to be written, and regard it as written."""
        with self._lock:
            ready = [each for each in self._services if each not in self._gathering]
            services = {registry: self._services.pop(registry) for registry in ready}
            replaced = {
                registry: frozenset(self._replaced.pop(registry))
                for registry in ready
                if registry in self._replaced
            }
            batch = Batch(
                forgotten=frozenset(self._forgotten),
                replaced=replaced,
                services=services,
                announced=self._announced,
                all_served=self._served_anew,
                served=self._served,
            )
            self._forgotten = set()
            self._announced, self._served, self._served_anew = {}, {}, False
            return batch

    def give_back(self, batch: Batch) -> None:
        """Take back what could not be written; what came since is newer."""
        with self._lock:
            gone = frozenset(self._forgotten)
            self._forgotten |= batch.forgotten
            for registry, services in batch.services.items():
                if registry not in gone:
                    newer = self._services.get(registry, {})
                    self._services[registry] = {**services, **newer}
            for registry, scopes in batch.replaced.items():
                if registry not in gone:
                    self._replaced.setdefault(registry, set()).update(scopes)
            kept = {each: said for each, said in batch.announced.items() if each not in gone}
            self._announced = {**kept, **self._announced}
            self._served_anew |= batch.all_served
            self._served = {**batch.served, **self._served}

    def __len__(self) -> int:
        """Return how many rows wait."""
        changed = sum(len(services) for services in self._services.values())
        return changed + len(self._announced) + len(self._served) + len(self._forgotten)
