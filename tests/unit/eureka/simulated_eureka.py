"""A Eureka server in simulated time, as far as what it answers depends on what has happened.

After Netflix' AbstractInstanceRegistry, Lease and ResponseCacheImpl: changes are told for three
minutes, each as its instance is by then; answers come from a cache that is looked at every 30 s;
leases that are over are evicted once a minute, unless the server preserves itself.
"""

import json
from collections import Counter
from dataclasses import dataclass, field

from unit.eureka.answers import NOW, Record, record

from meshbridge_eureka.agenda import Ask

DURATION = 90
RENEWAL = 30
RETENTION = 180
RETENTION_EVERY = 30
CACHE_EVERY = 30
EVICTION_EVERY = 60


@dataclass
class Lease:
    """An instance with its lease."""

    application: str
    identity: str
    own: str
    """The status that the instance gave itself."""
    port: int
    vip: str
    registered: int
    alive: bool = True
    renewed: int = 0
    updated: int = 0
    action: str = "ADDED"
    overridden: str = "UNKNOWN"
    status: str = field(init=False)

    def __post_init__(self) -> None:
        """Begin as registered."""
        self.renewed = self.updated = self.registered
        self.rule()

    def rule(self) -> None:
        """Apply the override: not where the instance itself says that it is not up."""
        believed = self.own not in {"UP", "OUT_OF_SERVICE"} or self.overridden == "UNKNOWN"
        self.status = self.own if believed else self.overridden

    def told(self) -> Record:
        """Return it as the server writes it."""
        number = int(self.identity.removeprefix("i"))
        return record(
            self.identity,
            app=self.application,
            ipAddr=f"10.0.0.{number}",
            status=self.status,
            overriddenStatus=self.overridden,
            port={"$": self.port, "@enabled": "true"},
            vipAddress=self.vip,
            leaseInfo={
                "renewalIntervalInSecs": RENEWAL,
                "durationInSecs": DURATION,
                "registrationTimestamp": self.registered,
                "lastRenewalTimestamp": self.renewed,
            },
            lastUpdatedTimestamp=str(self.updated),
            lastDirtyTimestamp=str(self.registered),
            actionType=self.action,
        )


class SimulatedEureka:
    """One server."""

    def __init__(self, *, cached: bool, apart: int = 0) -> None:
        """Begin empty; ``cached``: with the cache that clients read by default.

        ``apart`` is by how many seconds the two answers are of other ages, as those of several
        servers behind one address are.
        """
        self.leases: dict[tuple[str, str], Lease] = {}
        self.seconds = 0
        self.preserving = False
        self._overrides: dict[str, str] = {}
        self._recent: list[tuple[int, Lease]] = []
        self._cached = cached
        self._ages = {Ask.FULL: 0, Ask.DELTA: apart}
        self._answers: dict[Ask, bytes] = {}
        self._version = 0

    @property
    def now(self) -> int:
        """Milliseconds since 1970, by the server's clock."""
        return NOW + 1_000 * self.seconds

    def register(self, application: str, identity: str, status: str, port: int, vip: str) -> None:
        """Take an instance, in place of the one that was there."""
        lease = Lease(application, identity, status, port, vip, self.now)
        lease.overridden = self._overrides.get(identity, "UNKNOWN")
        lease.rule()
        self.leases[application, identity] = lease
        self._changed(lease, "ADDED")

    def cancel(self, lease: Lease) -> None:
        """Let an instance go."""
        del self.leases[lease.application, lease.identity]
        self._overrides.pop(lease.identity, None)
        self._changed(lease, "DELETED")

    def override(self, lease: Lease, status: str) -> None:
        """Set the status that an operator wants, or UNKNOWN for none."""
        self._overrides[lease.identity] = lease.overridden = status
        lease.rule()
        self._changed(lease, "MODIFIED")

    def advance(self, seconds: int) -> None:
        """Let time pass, with all that the server and living instances do in it."""
        for _ in range(seconds):
            self.seconds += 1
            if not self.seconds % RENEWAL:
                self._renew()
            if not self.seconds % RETENTION_EVERY:
                oldest = self.seconds - RETENTION
                self._recent = [each for each in self._recent if each[0] >= oldest]
            if not self.seconds % EVICTION_EVERY and not self.preserving:
                self._evict()
            for ask, age in self._ages.items():
                if ask in self._answers and self.seconds % CACHE_EVERY == age:
                    self._answers[ask] = self._made(ask)

    def answer(self, ask: Ask) -> bytes:
        """Return what a client gets."""
        if not self._cached:
            return self._made(ask)
        return self._answers.setdefault(ask, self._made(ask))

    def _renew(self) -> None:
        for lease in self.leases.values():
            if lease.alive:
                lease.renewed = self.now + 1_000 * DURATION

    def _evict(self) -> None:
        for lease in list(self.leases.values()):
            if lease.renewed + 1_000 * DURATION < self.now:
                self.cancel(lease)

    def _changed(self, lease: Lease, action: str) -> None:
        lease.action, lease.updated = action, self.now
        self._recent.append((self.seconds, lease))

    def _made(self, ask: Ask) -> bytes:
        self._version += 1
        if ask is Ask.FULL:
            listed = list(self.leases.values())
        else:  # of each instance as it is now, in the place of its last change
            last: dict[tuple[str, str], Lease] = {}
            for _, lease in self._recent:
                key = (lease.application, lease.identity)
                last.pop(key, None)
                last[key] = lease
            listed = list(last.values())
        applications: dict[str, list[Record]] = {}
        for lease in listed:
            applications.setdefault(lease.application, []).append(lease.told())
        counts = Counter(lease.status for lease in self.leases.values())
        told = {
            "versions__delta": str(self._version),
            "apps__hashcode": "".join(f"{each}_{counts[each]}_" for each in sorted(counts)),
            "application": [
                {"name": name, "instance": held} for name, held in applications.items()
            ],
        }
        return json.dumps({"applications": told}).encode()
