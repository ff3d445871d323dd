"""The options of ``meshbridge demo``; what it does is imported when it runs."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def demo(
    *,
    envoy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Envoy's program; by default MESHBRIDGE_ENVOY, the one on the PATH,"
            " or one that is installed once into the user's cache.",
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running at the end, to try things.")
    ] = False,
) -> None:
    """Show the bridge at work with a real Envoy, measured.

    Ends by itself in under 30 seconds; the exit code is 0 only if every step held.
    """
    # `meshbridge --help` must not wait for what only the demo needs.
    from meshbridge.cli.demo.command import play  # noqa: PLC0415

    sys.exit(play(envoy, keep=keep))
