"""Lets the Spring caller call, and prints each second how many calls Envoy gave to each instance.

``python watch.py ENVOY-ADMIN CALLER NAME...``, addresses as ``host:port``. The names are resolved:
Envoy counts by address. What it counts are requests that an instance has answered well; failed ones
are its errors, and what the caller's own callers got instead of an answer.
"""

import http.client
import itertools
import json
import socket
import sys
import threading
import time
from collections import Counter

PAUSE = 0.02
"""Seconds between two calls."""
PATIENCE = 10.0
"""Seconds for an answer."""
OK = 200


class Caller(threading.Thread):
    """Asks the Spring caller to call the service ``orders``, again and again."""

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
                connection.request("GET", "/call/orders")
                answer = connection.getresponse()
                answer.read()
                self.failed += answer.status != OK
            except (OSError, http.client.HTTPException):
                self.failed += 1
                connection.close()


def counted(admin: str) -> Counter[str]:
    """Return how many calls each address has answered well since Envoy started, and ``failed``.

    Raises OSError, HTTPException or ValueError where Envoy does not tell.
    """
    connection = http.client.HTTPConnection(admin, timeout=PATIENCE)
    try:
        connection.request("GET", "/clusters?format=json")
        told = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    found: Counter[str] = Counter()
    for cluster in told.get("cluster_statuses", []):
        if not cluster.get("added_via_api"):
            continue  # the way to the bridge
        for host in cluster.get("host_statuses", []):
            stats = {each["name"]: int(each.get("value", 0)) for each in host["stats"]}
            found[host["address"]["socket_address"]["address"]] += stats.get("rq_success", 0)
            found["failed"] += stats.get("rq_error", 0)
    return found


def main(admin: str, caller: str, *names: str) -> None:
    """Print a line each second, until a signal comes."""
    addresses = {name: socket.gethostbyname(name) for name in names}
    asking = Caller(caller)
    asking.start()
    before = counted(admin)
    begun = time.monotonic()
    for number in itertools.count(1):
        time.sleep(max(0.0, begun + number - time.monotonic()))
        try:
            now = counted(admin)
        except (OSError, http.client.HTTPException, ValueError) as error:
            say(f"Envoy's {admin} does not tell: {error}")
            continue
        now["failed"] += asking.failed
        # An instance that left and came back starts at nothing: then it has what it has now.
        grown = {each: now[each] - before[each] * (now[each] >= before[each]) for each in now}
        counts = [f"{name} {grown.get(address, 0):>3}" for name, address in addresses.items()]
        say("   ".join([time.strftime("%H:%M:%S"), *counts, f"failed {grown['failed']}"]))
        before = now


def say(line: str) -> None:
    """Print a line at once: who reads a container's log waits for it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
