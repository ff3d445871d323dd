"""Becomes another program that ends when the test run ends, however the run ends.

``python leash.py PARENT COMMAND…`` asks Linux to kill this process when its parent dies and then
turns into the command, so that the process id stays the one the parent knows. Elsewhere than on
Linux the command is only started: a run that is killed there may leave it behind.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Tie this process to its parent and become the command."""
    if sys.platform == "linux":
        if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            sys.exit("leash: prctl refused the parent-death signal")
        if os.getppid() != parent:  # it died before the call above
            sys.exit("leash: the parent has gone")
    os.execvp(command[0], command)  # noqa: S606 - the test rig's own commands


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
