"""Lets the Spring caller call, and prints each second how many calls Envoy gave to each instance.

``python watch.py ENVOY-ADMIN CALLER NAME...``, addresses as ``host:port``. The names are resolved:
Envoy counts by address. What it counts are requests that an instance has answered well. Of failed
ones each is counted once, where it is known best: calls of the Spring caller by the status that
this program got, all others by Envoy, also those for which it knew no instance.
"""

import http.client
import itertools
import json
import re
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

PAUSE = 0.02
"""Seconds between two calls."""
PATIENCE = 10.0
"""Seconds for an answer."""
OK = 200
CALLED = "orders"
"""The service that the Spring caller is told to call."""
UNHEARD = r"^cluster\.outbound\|.*\.upstream_cx_none_healthy$|^http\..*:50051\.no_(route|cluster)$"
"""Envoy's counters of calls for which it knew no instance, and of those of Dubbo's port for which
it knew no service: no host has those."""

_OF_CALLER = re.compile(rf"\|\|{CALLED}\.")
"""What is in the name of a cluster of that service: ``outbound|PORT||HOST``."""


class Caller(threading.Thread):
    """Asks the Spring caller to call that service, again and again."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.failed = 0
        self._address = address

    def run(self) -> None:
        """Call until the program ends, on one connection as long as that lasts."""
        connection = http.client.HTTPConnection(self._address, timeout=PATIENCE)
        while True:
            time.sleep(PAUSE)
            try:
                connection.request("GET", f"/call/{CALLED}")
                answer = connection.getresponse()
                answer.read()
                self.failed += answer.status != OK
            except (OSError, http.client.HTTPException):
                self.failed += 1
                connection.close()


@dataclass(frozen=True, slots=True)
class Counts:
    """How far counters have got, each by whose it is: they do not all begin at the same time."""

    good: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """Calls that were answered well, by cluster and address."""
    failed: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """Calls that were not, by cluster and address, or by who else counts them."""

    def since(self, before: "Counts") -> tuple[Counter[str], int]:
        """Return the calls that each address has answered well since then, and those that failed.

        An instance that left and came back starts at nothing, as a restarted Envoy does: then all
        that it has is new.
        """
        answered: Counter[str] = Counter()
        for (_, address), calls in _grown(self.good, before.good).items():
            answered[address] += calls
        return answered, _grown(self.failed, before.failed).total()


def _grown(
    now: Counter[tuple[str, str]], before: Counter[tuple[str, str]]
) -> Counter[tuple[str, str]]:
    return Counter({key: now[key] - before[key] * (now[key] >= before[key]) for key in now})


def tally(clusters: Mapping[str, Any], stats: Mapping[str, Any], failed: int) -> Counts:
    """Return what Envoy's ``/clusters`` and ``/stats`` tell, and how many calls of ours failed."""
    found = Counts()
    for cluster in clusters.get("cluster_statuses", []):
        if not cluster.get("added_via_api"):
            continue  # the way to the bridge
        name = cluster["name"]
        for host in cluster.get("host_statuses", []):
            told = {each["name"]: int(each.get("value", 0)) for each in host["stats"]}
            whose = name, host["address"]["socket_address"]["address"]
            found.good[whose] += told.get("rq_success", 0)
            if not _OF_CALLER.search(name):
                found.failed[whose] += told.get("rq_error", 0)
    for each in stats.get("stats", []):
        name = each.get("name", "")  # histograms have none
        if re.search(UNHEARD, name) and not _OF_CALLER.search(name):
            found.failed[name, ""] += each["value"]
    found.failed["the caller", ""] = failed
    return found


def counted(admin: str, failed: int) -> Counts:
    """Return what Envoy has counted, and how many calls of ours failed.

    Raises OSError, HTTPException or ValueError where Envoy does not tell.
    """
    connection = http.client.HTTPConnection(admin, timeout=PATIENCE)
    try:
        told: list[Mapping[str, Any]] = []
        for path in ("/clusters?", f"/stats?filter={quote(UNHEARD)}&"):
            connection.request("GET", f"{path}format=json")
            told.append(json.loads(connection.getresponse().read()))
    finally:
        connection.close()
    clusters, stats = told
    return tally(clusters, stats, failed)


def main(admin: str, caller: str, *names: str) -> None:
    """Print a line each second, until a signal comes."""
    addresses = {name: socket.gethostbyname(name) for name in names}
    asking = Caller(caller)
    asking.start()
    before = counted(admin, asking.failed)
    begun = time.monotonic()
    for number in itertools.count(1):
        time.sleep(max(0.0, begun + number - time.monotonic()))
        try:
            now = counted(admin, asking.failed)
        except (OSError, http.client.HTTPException, ValueError) as error:
            say(f"Envoy's {admin} does not tell: {error}")
            continue
        answered, failed = now.since(before)
        counts = [f"{name} {answered[address]:>3}" for name, address in addresses.items()]
        say("   ".join([time.strftime("%H:%M:%S"), *counts, f"failed {failed}"]))
        before = now


def say(line: str) -> None:
    """Print a line at once: who reads a container's log waits for it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
