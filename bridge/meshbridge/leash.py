"""Turns into another program that ends when its parent ends, even by ``kill -9``.

Run by its path: ``python -I -S leash.py PARENT-PID PROGRAM ARGUMENT…``. The signal on the parent's
death (``prctl(2)``, PR_SET_PDEATHSIG) survives ``exec``, so the program keeps the process id that
its parent was given. Only Linux has it; elsewhere the program is just started.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def _tie_to(parent: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it died before prctl could notice
        sys.exit("the parent has gone")


if __name__ == "__main__":
    if sys.platform == "linux":
        _tie_to(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the caller's own command
