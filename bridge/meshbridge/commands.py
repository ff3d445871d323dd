"""The commands that a text tells people to give, with what they need first: pure."""

import shlex
from typing import Final

from meshbridge.configuration import Configuration

NEEDS_ADMIN: Final = "(needs `admin` in the configuration, from the next start on)"
"""What stands behind a command that would find no bridge."""


def release_command(configuration: Configuration, *which: str, quote: str = "") -> str:
    """Return the command that releases this, in such quotation marks, so that it can be given."""
    words = ("meshbridge release", *map(shlex.quote, which), *admin_words(configuration.socket))
    command = f"{quote}{' '.join(words)}{quote}"
    return command if configuration.admin else f"{command} {NEEDS_ADMIN}"


def accept_loss_command(configuration: Configuration) -> str:
    """Return how to accept what a refused configuration takes away."""
    run = "start with `meshbridge run --accept-loss`"
    words = ("meshbridge reload --accept-loss", *admin_words(configuration.socket))
    return f"`{' '.join(words)}`, or {run}" if configuration.admin else run


def admin_words(socket: str) -> tuple[str, ...]:
    """Return what a command needs to find this admin socket; it finds the usual one, an empty."""
    return ("--admin", shlex.quote(socket)) if socket else ()
