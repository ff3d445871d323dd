"""Decides which addresses of endpoints lead to which host: none that two hosts claim.

Two things are contested: an address with a port, and the address alone, which stands for every
port where a proxy looks at no port (istiod's routes). Who meets another one in either has neither
the right to it nor takes it from the other: no order of arrival could be fair, and a call that
reaches the wrong service is worse than one that passes by unrouted.
"""

from meshbridge.catalog.contest import Contest, Verdict
from meshbridge.service import Direct

_EQUAL = ""
"""The rank of every claim, so that any two are a tie."""

At = tuple[tuple[str, int], ...]
"""(address, port), sorted."""


class Directory:
    """The addresses at which hosts are called."""

    def __init__(self) -> None:
        """Start without claims."""
        self._at: dict[str, At] = {}
        self._places: Contest[str] = Contest()
        self._addresses: Contest[str] = Contest()

    def put(self, host: str, at: At) -> None:
        """Let the host claim exactly these addresses and ports."""
        if at == self._at.get(host, ()):
            return
        self._at.pop(host, None)
        if at:
            self._at[host] = at
        self._places.put(host, {place(*each): _EQUAL for each in at})
        self._addresses.put(host, {address: _EQUAL for address, _ in at})

    def name_again(self, host: str) -> None:
        """Decide about all that the host claims anew, because it is called otherwise."""
        self._places.name_again(host)

    def settle(self) -> tuple[set[str], dict[str, Verdict]]:
        """Return the hosts that won or lost something, and the verdicts on the places touched."""
        concerned, verdicts = self._places.settle(lambda _: False)
        alone, _ = self._addresses.settle(lambda _: False)
        return concerned | alone, verdicts

    def won(self, host: str) -> tuple[Direct, ...]:
        """Return what the host has of its claims, sorted."""
        at = self._at.get(host)
        if at is None:
            return ()
        places, addresses = set(self._places.won(host)), set(self._addresses.won(host))
        ports: dict[str, list[int]] = {}
        for address, port in at:
            if place(address, port) in places:
                ports.setdefault(address, []).append(port)
        return tuple(
            Direct(address, tuple(ports[address]), address in addresses) for address in ports
        )


def place(address: str, port: int) -> str:
    """Return the two as callers write them."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
