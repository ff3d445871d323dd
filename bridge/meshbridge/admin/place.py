"""Where an admin socket may stand: pure."""

import os
import sys
from pathlib import Path

LONGEST = 107 if sys.platform == "linux" else 103
"""Bytes of a socket's path (``sun_path`` less its final NUL)."""


def fault_of(path: Path) -> str | None:
    """Return what is wrong with a path for a socket; ``None`` when nothing is."""
    size = len(os.fsencode(path))
    if size <= LONGEST:
        return None
    return (
        f"{path} has {size} bytes, and the path of a socket may have {LONGEST}; "
        "name a shorter one, like /run/meshbridge/admin.sock"
    )
