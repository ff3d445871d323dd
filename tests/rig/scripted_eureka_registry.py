"""What a Eureka holds and how it tells of it, without a server.

As the real one does (seen on 2.0.4): what changed is told for three minutes, each instance once,
with the newest that was done to it, and with the hash of everything that is held now.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

RETENTION: Final = 180.0
"""Seconds for which a change is told (``retentionTimeInMSInDeltaQueue``)."""

Record = dict[str, object]


class EurekaRegistry:
    """Instances by application and id, and what was done to them."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, window: float = RETENTION
    ) -> None:
        """Hold nothing; a change is told for ``window`` seconds of ``clock``."""
        self._clock = clock
        self._window = window
        self._leases: dict[tuple[str, str], Record] = {}
        self._recent: list[tuple[float, Record]] = []
        self.changes = 0
        """How often anything was done."""

    def register(
        self, app: str, address: str, port: object, *, status: str = "UP", **fields: object
    ) -> None:
        """Hold an instance, or hold it anew; ``fields`` of the record replace the usual ones."""
        now = int(time.time() * 1000)
        record: Record = {
            "instanceId": _id(app, address, port),
            "app": app.upper(),
            "hostName": address,
            "ipAddr": address,
            "status": status,
            "overriddenStatus": "UNKNOWN",
            "port": {"$": port, "@enabled": "true"},
            "securePort": {"$": 443, "@enabled": "false"},
            "countryId": 1,
            "dataCenterInfo": {
                "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo",
                "name": "MyOwn",
            },
            "leaseInfo": {
                "renewalIntervalInSecs": 30,
                "durationInSecs": 90,
                "registrationTimestamp": now,
                "lastRenewalTimestamp": now,
                "evictionTimestamp": 0,
                "serviceUpTimestamp": now,
            },
            "metadata": {"@class": "java.util.Collections$EmptyMap"},
            "vipAddress": app.lower(),
            "secureVipAddress": app.lower(),
            "isCoordinatingDiscoveryServer": "false",
            "lastUpdatedTimestamp": str(now),
            "lastDirtyTimestamp": str(now),
        }
        self._leases[_key(app, address, port)] = record
        self._done(record, "ADDED", fields)

    def change(self, app: str, address: str, port: object, **fields: object) -> None:
        """Change fields of an instance's record."""
        self._done(self._leases[_key(app, address, port)], "MODIFIED", fields)

    def override(self, app: str, address: str, port: object, status: str) -> None:
        """Override the status of an instance, as an operator does."""
        self.change(app, address, port, status=status, overriddenStatus=status)

    def cancel(self, app: str, address: str, port: object) -> None:
        """Hold an instance no more; what is told of it still says its last status."""
        self._done(self._leases.pop(_key(app, address, port)), "DELETED", {})

    def forget_changes(self) -> None:
        """Tell of no change that was, as to who asks too late."""
        self._recent.clear()

    def restart(self) -> None:
        """Hold nothing and tell of nothing, as a server that was started again."""
        self._leases.clear()
        self.forget_changes()
        self.changes += 1

    @property
    def held(self) -> list[Record]:
        """The records that are held."""
        return list(self._leases.values())

    @property
    def recent(self) -> list[Record]:
        """The records that are told as changed, oldest change first."""
        oldest = self._clock() - self._window
        self._recent = [(when, record) for when, record in self._recent if when > oldest]
        newest: dict[tuple[str, str], Record] = {}
        for _, record in self._recent:
            key = str(record["app"]), str(record["instanceId"])
            newest.pop(key, None)
            newest[key] = record
        return list(newest.values())

    def _done(self, record: Record, action: str, fields: Record) -> None:
        # The record that is told of earlier changes is the same: a Eureka keeps leases, not copies.
        record.update(fields, actionType=action)
        self._recent.append((self._clock(), record))
        self.changes += 1


def everything(registries: Iterable[EurekaRegistry]) -> Record:
    """Return what ``/apps`` answers of them together."""
    held = [record for registry in registries for record in registry.held]
    return _told(held, held, version=1)


def delta(registries: Iterable[EurekaRegistry]) -> Record:
    """Return what ``/apps/delta`` answers of them together."""
    found = list(registries)
    held = [record for registry in found for record in registry.held]
    recent = [record for registry in found for record in registry.recent]
    return _told(recent, held, version=sum(registry.changes for registry in found))


def hash_code(records: Iterable[Record]) -> str:
    """Return Eureka's hash of instances, which counts them by status and knows nothing else."""
    counts = Counter(str(record["status"]) for record in records)
    return "".join(f"{status}_{count}_" for status, count in sorted(counts.items()))


def _told(records: Iterable[Record], held: Iterable[Record], version: int) -> Record:
    by_application: dict[str, list[Record]] = {}
    for record in records:
        by_application.setdefault(str(record["app"]), []).append(record)
    return {
        "applications": {
            "versions__delta": str(version),
            "apps__hashcode": hash_code(held),
            "application": [
                {"name": name, "instance": instances} for name, instances in by_application.items()
            ],
        }
    }


def _id(app: str, address: str, port: object) -> str:
    return f"{address}:{app.lower()}:{port}"


def _key(app: str, address: str, port: object) -> tuple[str, str]:
    return app.upper(), _id(app, address, port)
