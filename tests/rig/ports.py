"""Finds ports on loopback that nothing uses, for processes that cannot be given port 0."""

import random
import socket

LOWEST, HIGHEST = 20_000, 31_000
"""Below 32768, where Linux' own choices for clients begin: no connection takes one meanwhile."""

_chance = random.SystemRandom()


def free_port(*offsets: int) -> int:
    """Return a port that is free, as are those at each offset from it.

    Raises OSError when fifty tries found none.
    """
    for _ in range(50):
        port = _chance.randrange(LOWEST, HIGHEST)
        if all(_is_free(port + offset) for offset in (0, *offsets)):
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
