"""Network namespaces: where packets vanish and connections land elsewhere, without a proxy.

For what a proxy cannot do: its connections are always accepted and acknowledged.
"""

import itertools
import json
import os
import random
import re
import shutil
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from rig.addresses import (
    NET_ADMIN,
    SYS_ADMIN,
    TRIES,
    NetworkFailed,
    checked,
    gone_already,
    ip,
    lives,
    require_rights,
    sweep_addresses,
)
from rig.making import Missing, need

IPV6 = 6
NAMESPACES = Path("/run/netns")
INTERFACES = Path("/sys/class/net")
PROXY = 1337
"""The group of a sidecar's process, by which its own connections are known; it is Istio's."""
NAME = re.compile(r"mb-(\d+)-\d+")
"""A namespace of ours; the number is the process that made it."""
LINK = re.compile(r"mb(\d+)-\d+")
"""The outer end of its veth pair. Names of interfaces have at most 15 characters."""

RULES = """
table inet meshbridge {
    counter lost {
    }
    chain input {
        type filter hook input priority filter
    }
    chain output {
        # Before redirection, so that both hooks see the address that the client meant.
        type filter hook output priority mangle
    }
    chain redirected {
        type nat hook output priority -100
    }
}
"""

_chance = random.SystemRandom()


class NoNamespaces(Missing):
    """Namespaces cannot be made here; the message says what is missing, and what is skipped."""


class Namespace:
    """A network of its own: it has loopback, and a cable to the machine's network.

    Whatever is neither at the cable's other end nor redirected gets no answer. TCP only.
    """

    _numbers: ClassVar[Iterator[int]] = itertools.count(1)

    def __init__(self) -> None:
        """Choose its name; raises NoNamespaces."""
        what = "network namespaces"
        try:
            for program in ("ip", "nft"):
                need(program, what)
            require_rights(what, NET_ADMIN, SYS_ADMIN)
        except Missing as missing:
            raise NoNamespaces(str(missing)) from None
        number = next(self._numbers)
        self.name = f"mb-{os.getpid()}-{number}"
        self._link = f"mb{os.getpid()}-{number}"
        self.outside = ""
        """The address of this machine on the cable, at which what is inside reaches it."""
        self.inside = ""
        """The namespace's address on the cable, at which this machine reaches it."""

    async def __aenter__(self) -> Self:
        """Make it."""
        try:
            self._make()
        except BaseException:
            _remove(self.name, self._link)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take it away; what still runs inside keeps only its loopback."""
        _remove(self.name, self._link)

    def command(self, *words: str | Path) -> list[str | Path]:
        """Return a command that runs inside, for a Process; its process id stays the same."""
        return ["ip", "netns", "exec", self.name, *words]

    def proxy(self, *words: str | Path) -> list[str | Path]:
        """Return a command that runs inside as a sidecar: what it opens is not captured.

        Raises Missing.
        """
        need("setpriv", "a sidecar in a network of its own")
        # Whoever changes its group loses the signal that ends it with the test run.
        alone = ("setpriv", f"--regid={PROXY}", "--clear-groups", "--pdeathsig=KILL")
        return self.command(*alone, *words)

    def reach(self, address: str) -> None:
        """Let that address of this machine be reached from inside, by the cable."""
        ip("-netns", self.name, "route", "add", f"{address}/32", "dev", "eth0")

    def blackhole(self, address: str, port: int) -> None:
        """Let all packets to and from that address and port vanish from now on.

        Connections there are neither refused nor reset, and those that exist fall silent, whether
        the port is inside or outside. Behind a redirection it is the port that the client meant.
        Raises ValueError for what is no address.
        """
        family = "ip6" if ip_address(address).version == IPV6 else "ip"
        self._nft(
            *(
                f"add rule inet meshbridge {chain} {family} {side}addr {address}"
                f" tcp {side}port {port} counter name lost drop"
                for chain in ("input", "output")
                for side in ("s", "d")
            )
        )

    def lost(self) -> int:
        """Return how many packets have vanished."""
        text = checked(["ip", "netns", "exec", self.name, "nft", "-j", "list", "counters"])
        found: dict[str, list[dict[str, dict[str, int]]]] = json.loads(text)
        return sum(each["counter"]["packets"] for each in found["nftables"] if "counter" in each)

    def mend(self) -> None:
        """Let all packets through again; redirections stay."""
        self._nft(*(f"flush chain inet meshbridge {chain}" for chain in ("input", "output")))

    def redirect(self, port: int, to: int) -> None:
        """Let new connections to that port of any address end at port ``to`` of 127.0.0.1.

        Who takes them can ask its socket for SO_ORIGINAL_DST. That concerns all that is inside but
        what a :meth:`proxy` opens.
        """
        self._nft(
            f"add rule inet meshbridge redirected tcp dport {port} meta skgid != {PROXY}"
            f" redirect to :{to}"
        )

    def capture(self, to: int) -> None:
        """Let new connections that go out end at port ``to`` of 127.0.0.1, as Istio does in a pod.

        It spares those that a :meth:`proxy` opens.
        """
        self._nft(
            f"add rule inet meshbridge redirected meta l4proto tcp meta skgid != {PROXY}"
            f" fib daddr type != local redirect to :{to}"
        )

    def _nft(self, *lines: str) -> None:
        checked(["ip", "netns", "exec", self.name, "nft", "-f", "-"], "\n".join(lines) + "\n")

    def _make(self) -> None:
        try:
            ip("netns", "add", self.name)
        except NetworkFailed as failed:  # a container's root may be no real one
            raise NoNamespaces(f"{failed}: tests that need network namespaces cannot run") from None
        ip("link", "add", self._link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("link", "set", self._link, "up")
        self.outside, self.inside = self._cabled()
        inner = (
            "link set lo up",
            "link set eth0 up",
            f"address add {self.inside}/32 dev eth0",
            f"route add {self.outside}/32 dev eth0",
            # Any address can be called, and nothing leaves: what is not redirected ends here.
            f"route add default dev lo src {self.inside}",
        )
        checked(["ip", "-netns", self.name, "-batch", "-"], "\n".join(inner) + "\n")
        self._nft(RULES)

    def _cabled(self) -> tuple[str, str]:
        """Give the cable two addresses: the kernel takes no route twice, so nobody has them."""
        for _ in range(TRIES):
            block = f"10.98.{_chance.randint(0, 255)}"
            even = 2 * _chance.randint(0, 127)
            outside, inside = f"{block}.{even}", f"{block}.{even + 1}"
            try:
                ip("route", "add", f"{inside}/32", "dev", self._link)
            except NetworkFailed as failed:
                if "exists" not in str(failed):
                    raise
            else:
                ip("address", "add", f"{outside}/32", "dev", self._link)
                return outside, inside
        raise NetworkFailed(f"no free addresses in 10.98.0.0/16 found in {TRIES} tries")


def sweep() -> list[str]:
    """Delete the namespaces, cables and second addresses of processes that are dead.

    Returns what was deleted. What lives is left alone, whoever it belongs to.
    """
    if shutil.which("ip") is None:
        return []
    links, names = _ours(INTERFACES, LINK), _ours(NAMESPACES, NAME)
    for link in links:
        _delete(INTERFACES / link, "link")
    for name in names:
        _delete(NAMESPACES / name, "netns")
    return [*links, *names, *sweep_addresses()]


def _ours(folder: Path, pattern: re.Pattern[str]) -> list[str]:
    """Return the names there of which the process is dead."""
    if not folder.is_dir():
        return []
    found = (pattern.fullmatch(entry.name) for entry in folder.iterdir())
    return sorted(each[0] for each in found if each and not lives(int(each[1])))


def _remove(name: str, link: str) -> None:
    """Delete what there is of it. Without its cable first, that would go some time later."""
    for path, kind in ((INTERFACES / link, "link"), (NAMESPACES / name, "netns")):
        if path.exists():
            _delete(path, kind)


def _delete(path: Path, kind: str) -> None:
    with gone_already(lambda: not path.exists()):
        ip(kind, "delete", path.name)
