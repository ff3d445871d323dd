"""Finds ports on loopback that nothing uses, for processes that cannot be given port 0.

A port is handed out long before something listens there, so that it looks free to others
meanwhile. So each process has ports of its own: those whose last three digits lie in its column,
which it holds by a UDP socket as long as it lives. (By thousands, because Nacos' other ports lie a
thousand away.)
"""

import atexit
import itertools
import random
import socket

LOWEST, HIGHEST = 20_000, 31_000
"""Below 32768, where Linux' own choices for clients begin: no connection takes one meanwhile."""
THOUSAND, COLUMN = 1000, 25
"""How wide a column is, and after how many ports it comes again."""

_chance = random.SystemRandom()


def in_order(first: int, step: int) -> None:
    """Try these ports from now on, not any: for a network namespace that is this process' own.

    Everything that runs there then has the same ports each time.
    """
    _own[:] = range(first, HIGHEST, step)


def free_port(*offsets: int) -> int:
    """Return a port that is free, as are those at each offset from it.

    Whoever asked for one has those at its offsets too. None of them is handed out again, in
    either way, before all others of this process' own were. Raises OSError when none is free.
    """
    together = (0, *offsets)

    def last_handed_out(port: int) -> int:
        return max(_handed_out.get(port + offset, 0) for offset in together)

    for port in sorted(_own, key=last_handed_out):
        if all(_is_free(port + offset) for offset in together):
            turn = next(_turns)
            _handed_out.update((port + offset, turn) for offset in together)
            return port
    message = f"no free port between {LOWEST} and {HIGHEST} with offsets {offsets}"
    raise OSError(message)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _claimed() -> tuple[socket.socket, list[int]]:
    """Claim a column: return the socket that holds it, and its ports in any order."""
    columns = list(range(0, THOUSAND, COLUMN))
    _chance.shuffle(columns)
    for column in columns:
        claim = socket.socket(type=socket.SOCK_DGRAM)
        try:
            claim.bind(("127.0.0.1", LOWEST + column))
        except OSError:
            claim.close()
            continue
        # Without the last of each thousand: the port after it belongs to the next column.
        ports = [
            thousand + column + place
            for thousand in range(LOWEST, HIGHEST, THOUSAND)
            for place in range(COLUMN - 1)
        ]
        _chance.shuffle(ports)
        return claim, ports
    message = f"{len(columns)} test runs at once: no ports are left for another one"
    raise OSError(message)


_claim, _own = _claimed()
atexit.register(_claim.close)
_turns = itertools.count(1)
_handed_out: dict[int, int] = {}
"""In which turn a port was, last."""
