"""The library that keeps ports on loopback: a bind to every address goes there, or fails."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from peers.conftest import unavailable

from rig.bed import Missing, build

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux preloads it")

BIND = """
import socket, sys
family, host = sys.argv[1:]
with socket.socket(socket.AddressFamily[family]) as one:
    one.bind((host, 0))
    print(one.getsockname()[0])
"""


@pytest.fixture(scope="module")
def library() -> Path:
    """Return the library, which comes with each of the Java programs."""
    try:
        built = build("zookeeper")
    except Missing as missing:
        unavailable(missing)
    assert built.preload
    return built.preload


def bind(
    library: Path, family: str, host: str, address: str | None
) -> subprocess.CompletedProcess[str]:
    """Let a program bind to ``host`` under the library, which is told that address."""
    told = {} if address is None else {"LOOPBACK_ADDRESS": address}
    return subprocess.run(
        [sys.executable, "-c", BIND, family, host],
        env={**os.environ, "LD_PRELOAD": str(library), **told},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("family", "host", "address", "bound"),
    [
        ("AF_INET", "0.0.0.0", None, "127.0.0.1"),  # noqa: S104 - what the library turns away
        ("AF_INET", "0.0.0.0", "127.0.0.9", "127.0.0.9"),  # noqa: S104 - likewise
        ("AF_INET", "127.0.0.7", "127.0.0.9", "127.0.0.7"),
        ("AF_INET6", "::", "127.0.0.9", "::ffff:127.0.0.9"),
        ("AF_INET", "127.0.0.7", "nonsense", "127.0.0.7"),
    ],
)
def test_only_a_bind_to_every_address_goes_elsewhere(
    library: Path, family: str, host: str, address: str | None, bound: str
) -> None:
    done = bind(library, family, host, address)

    assert (done.stdout.strip(), done.stderr) == (bound, "")


@pytest.mark.parametrize("address", ["", "nonsense", "10.0.0", "::1", "127.0.0.1 "])
@pytest.mark.parametrize(
    ("family", "host"),
    [("AF_INET", "0.0.0.0"), ("AF_INET6", "::")],  # noqa: S104 - what the library turns away
)
def test_a_bind_fails_when_the_address_to_go_to_is_none(
    library: Path, family: str, host: str, address: str
) -> None:
    done = bind(library, family, host, address)

    assert done.returncode != 0
    assert f"LOOPBACK_ADDRESS is no IPv4 address: '{address}'" in done.stderr
    assert f"OSError: [Errno {errno.EINVAL}]" in done.stderr
