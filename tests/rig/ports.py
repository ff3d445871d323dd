"""Finds ports on loopback that nothing uses, for processes that cannot be given port 0."""

import itertools
import random
import socket
from collections.abc import Callable

LOWEST, HIGHEST = 20_000, 31_000
"""Below 32768, where Linux' own choices for clients begin: no connection takes one meanwhile."""

_chance = random.SystemRandom()
_choices: list[Callable[[], int]] = [lambda: _chance.randrange(LOWEST, HIGHEST)]
"""Its one member says which port to try next."""


def in_order(first: int, step: int) -> None:
    """Try these ports from now on, not any: for a network namespace that is this process' own.

    Everything that runs there then has the same ports each time.
    """
    _choices[0] = itertools.count(first, step).__next__


def free_port(*offsets: int) -> int:
    """Return a port that is free, as are those at each offset from it.

    Raises OSError when fifty tries found none.
    """
    for _ in range(50):
        port = _choices[0]()
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
