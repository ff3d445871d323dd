"""Options that several commands have, light to import: `meshbridge --help` needs them all."""

from pathlib import Path
from typing import Annotated

import typer

USUAL_ADMIN = [Path("state/admin.sock")]
"""Where the documented configuration puts it, from the folder of the configuration."""


def unusual(admin: Path) -> str:
    """Return where an admin socket is; nothing if commands find it there by themselves."""
    usual = [each.absolute() for each in USUAL_ADMIN]
    return "" if admin.absolute() in usual else str(admin)


Admin = Annotated[
    list[Path],
    typer.Option(
        "--admin",
        metavar="PATH",
        help="The admin socket of a running bridge; may be given several times.",
        show_default="state/admin.sock",
    ),
]
"""The option; its default is USUAL_ADMIN."""
