"""A network, a host name and a table of hosts of one's own, the same on every machine.

Linux only. Without being root it works where the system lets users have namespaces.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rig import ports
from rig.making import Missing

HOST = "10.99.0.1"
"""Of the machine that there seems to be; Dubbo registers no 127.*."""
NAME = "peer"
HOSTS = f"127.0.0.1 localhost\n{HOST} {NAME}\n"
FIRST_PORT, STEP = 20_000, 10
PROGRAMS = {"unshare": "util-linux", "mount": "mount", "ip": "iproute2"}
"""What it takes, and Debian's packages of it."""


def apart(command: Sequence[str]) -> list[str]:
    """Return the command that runs this one in namespaces of its own. Raises Missing."""
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            remedy = f"apt-get install {package}"
            raise Missing(f"no `{program}` on the PATH ({remedy}): nothing can be captured")
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *user, "--net", "--uts", "--mount", "--", *command]


def settle(folder: Path) -> None:
    """Make the namespaces of this process what every capture finds; keeps a file in ``folder``.

    Raises subprocess.CalledProcessError.
    """
    socket.sethostname(NAME)
    hosts = folder / "hosts"
    hosts.write_text(HOSTS)
    for command in (
        ["ip", "link", "set", "lo", "up"],
        ["ip", "address", "add", f"{HOST}/32", "dev", "lo"],
        ["mount", "--bind", str(hosts), "/etc/hosts"],
    ):
        subprocess.run(command, check=True)
    ports.in_order(FIRST_PORT, STEP)
