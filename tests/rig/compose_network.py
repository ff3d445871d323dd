"""A network for services without containers: an address for each on this machine's ``lo``.

What a container sees of its network is made by three things: each process is bound to its own
address, wherever it says "any" (tests/peers/servers/loopback.c); it finds the others by their
names, in an ``/etc/hosts`` of its own; and the ports are those of the file, as no two share one.
"""

import os
import random
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rig.addresses import NET_ADMIN, SYS_ADMIN, NetworkFailed, ip, require_rights, sweep_addresses
from rig.compose_file import Service
from rig.making import need

TRIES = 50
WHAT = "addresses and names of their own"

_chance = random.SystemRandom()


@contextmanager
def subnet(numbers: Iterable[int]) -> Generator[str]:
    """Give this machine the addresses ``PREFIX.NUMBER``; yields the prefix, and takes them away.

    Raises Missing where the programs or the rights for it are not there.
    """
    need("ip", WHAT)
    need("unshare", WHAT)
    require_rights(WHAT, NET_ADMIN, SYS_ADMIN)
    sweep_addresses()
    wanted = list(numbers)
    with ExitStack() as stack:
        for _ in range(TRIES):
            prefix = f"10.99.{_chance.randint(1, 254)}"
            with ExitStack() as trial:
                try:
                    for number in wanted:
                        trial.enter_context(_address(f"{prefix}.{number}"))
                except NetworkFailed as failed:
                    if "exists" not in str(failed) and "assigned" not in str(failed):
                        raise
                else:
                    stack.enter_context(trial.pop_all())
                    break
        else:
            raise NetworkFailed(f"no free network in 10.99.0.0/16 found in {TRIES} tries")
        yield prefix


@contextmanager
def _address(address: str) -> Generator[None]:
    # The label is the one by which rig.addresses finds those of a process that was killed.
    ip("address", "add", f"{address}/32", "dev", "lo", "label", f"lo:mb{os.getpid()}")
    try:
        yield
    finally:
        ip("address", "delete", f"{address}/32", "dev", "lo")


def names(services: Mapping[str, Service]) -> str:
    """Return the ``/etc/hosts`` by which the services find each other."""
    lines = (f"{it.address} {' '.join((name, *it.aliases))}" for name, it in services.items())
    return "\n".join(["127.0.0.1 localhost", *lines, ""])


def inside(hosts: Path, command: Sequence[str | Path]) -> list[str | Path]:
    """Return a command that runs this one with the file ``hosts`` as its ``/etc/hosts``."""
    script = 'mount --bind "$0" /etc/hosts && exec "$@"'
    return ["unshare", "--mount", "--", "sh", "-c", script, hosts, *command]
