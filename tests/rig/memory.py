"""How much memory this process has had at most."""

import resource
import sys
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")
_MAC: Final = "darwin"


def peak() -> int:
    """Return the most bytes of memory that this process had.

    On Linux ``getrusage`` would tell those of its parent if they were more: at exec Linux remembers
    what the process had, which was the parent's (fs/exec.c, exec_mmap).
    """
    if _STATUS.exists():
        return int(_STATUS.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == _MAC else most * 1024
