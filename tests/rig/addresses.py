"""Addresses of this machine for one test each: Dubbo, for one, registers none of 127.*."""

import os
import random
import re
import subprocess
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psutil

from rig.making import Missing, need

NET_ADMIN, SYS_ADMIN = 12, 21
"""Numbers of the capabilities in linux/capability.h."""
NAMES = {NET_ADMIN: "CAP_NET_ADMIN", SYS_ADMIN: "CAP_SYS_ADMIN"}
TRIES = 50
LABELLED = re.compile(r" inet (?P<address>[\d.]+)[/ ].* lo:mb(?P<pid>\d+)\b")
"""How ``ip`` shows a second address; its label says which process it is for."""

_chance = random.SystemRandom()


class NetworkFailed(Exception):  # noqa: N818 - it says what happened
    """A program that changes the network refused to; the message carries its words."""


def require_rights(what: str, *capabilities: int) -> None:
    """See that this process may change the network. Raises Missing, naming ``what`` needs it."""
    status = Path("/proc/self/status")
    said = status.read_text() if status.exists() else "CapEff:\t0"
    held = int(dict(re.findall(r"^(\w+):\t(.*)$", said, re.MULTILINE))["CapEff"], 16)
    if lacking := [NAMES.get(each, str(each)) for each in capabilities if not held >> each & 1]:
        right = " and ".join(lacking)
        remedy = f"run as root on Linux, in a container with --cap-add for {right}"
        raise Missing(f"no {right} ({remedy}): tests that need {what} cannot run")


def ip(*words: str) -> str:
    """Run ``ip`` and return what it says; raises NetworkFailed."""
    return checked(["ip", *words])


def checked(command: Sequence[str], given: str = "") -> str:
    """Run a command with the input, return its output; raises NetworkFailed."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NetworkFailed(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout


def lives(pid: int) -> bool:
    """Whether the process that made something can still take it away."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def second_address() -> Generator[str]:
    """Give this machine another address on ``lo``, which no other test has, and take it away.

    Raises Missing without the right to.
    """
    number = _chance.randint(1, 254)
    with addresses([number]) as prefix:
        yield f"{prefix}.{number}"


@contextmanager
def addresses(numbers: Sequence[int]) -> Generator[str]:
    """Give this machine the addresses ``PREFIX.NUMBER`` on ``lo``, and take them away.

    Yields the prefix, which is one where all are free. Raises Missing without the right to.
    """
    need("ip", "an address of their own")
    require_rights("an address of their own", NET_ADMIN)
    for _ in range(TRIES):
        prefix = f"10.99.{_chance.randint(1, 254)}"
        with ExitStack() as added:
            try:
                for address in (f"{prefix}.{number}" for number in numbers):
                    label = f"lo:mb{os.getpid()}"
                    ip("address", "add", f"{address}/32", "dev", "lo", "label", label)
                    added.callback(_delete, address)
            except NetworkFailed as failed:  # the kernel takes none twice
                if "exists" not in str(failed) and "assigned" not in str(failed):
                    raise
                continue
            yield prefix
            return
    raise NetworkFailed(f"no free addresses in 10.99.0.0/16 found in {TRIES} tries")


def sweep_addresses() -> list[str]:
    """Delete the addresses of processes that are dead; return them."""
    swept: list[str] = []
    for line in ip("-oneline", "-4", "address", "show", "dev", "lo").splitlines():
        found = LABELLED.search(line)
        if found and not lives(int(found["pid"])):
            with gone_already(partial(_is_gone, found["address"])):
                _delete(found["address"])
            swept.append(found["address"])
    return swept


def _delete(address: str) -> None:
    ip("address", "delete", f"{address}/32", "dev", "lo")


def _is_gone(address: str) -> bool:
    return f" {address}/" not in ip("-oneline", "-4", "address", "show", "dev", "lo")


@contextmanager
def gone_already(look: Callable[[], bool]) -> Generator[None]:
    """Let a deletion fail if another run, which sweeps too, was faster."""
    try:
        yield
    except NetworkFailed:
        if not look():
            raise
