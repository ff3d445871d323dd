"""The command that starts a Java program of the test bed, small and on loopback only."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rig.bed import Built

LOOPBACK = "127.0.0.1"


def java(
    built: Built,
    main: str,
    arguments: Sequence[str],
    *,
    home: Path,
    heap: str = "192m",
    options: Sequence[str] = (),
) -> list[str]:
    """Return the command; ``home`` is all that the program sees as the user's and temp folder."""
    return [
        "java",
        f"-Xmx{heap}",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",  # it would leave a file in the shared temp folder
        "-Djava.net.preferIPv4Stack=true",
        f"-Duser.home={home}",
        f"-Djava.io.tmpdir={home}",
        *options,
        "-cp",
        built.classpath,
        main,
        *arguments,
    ]


def on_loopback(built: Built, address: str = LOOPBACK) -> Mapping[str, str]:
    """Return the environment that turns a bind to every address into one to ``address``."""
    if built.preload is None:
        return {}
    return {"LD_PRELOAD": str(built.preload), "LOOPBACK_ADDRESS": address}
