"""``meshbridge reload``: running bridges read their configuration again, and say what changed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from meshbridge.admin.reloading import RELOAD, Reload, Reloaded
from meshbridge.cli.asking import ask_bridges
from meshbridge.cli.ending import Exit, complain, printable, say
from meshbridge.cli.options import unusual
from meshbridge.commands import admin_words
from meshbridge.configuration import Result

_WITHIN: Final = 120.0
"""Seconds: an outlet that is replaced lets its subscribers go first."""


def reload_bridges(paths: Sequence[Path], *, accept_loss: bool) -> int:
    """Let each bridge reload; return the exit code: 1 refused for its loss, 2 a wrong file."""
    told, code = ask_bridges(paths, RELOAD, Reload(accept_loss), Reloaded, within=_WITHIN)
    for answer in told:
        if answer.value is not None:
            code = max(code, _show(answer.value, answer.path, several=len(paths) > 1))
    return code


def _show(reloaded: Reloaded, path: Path, *, several: bool) -> int:
    before = f"{path}: " if several else ""
    match reloaded.result:
        case Result.APPLIED:
            for line in reloaded.lines:
                say(printable(before + line))
            return Exit.FINE
        case Result.UNCHANGED:
            say(f"{before}nothing changed")
            for line in reloaded.lines:
                say(printable(before + line))
            return Exit.FINE
        case Result.INVALID:
            for line in reloaded.lines:
                complain(before + line)
            return Exit.WRONG
        case Result.REFUSED:
            command = " ".join(("meshbridge reload --accept-loss", *admin_words(unusual(path))))
            complain(
                f"{before}the configuration is refused: {reloaded.lines[0]}; if it is meant: "
                f"{command}"
            )
            for line in reloaded.lines[1:]:
                complain(before + line, kind="lost")
            return Exit.NO
