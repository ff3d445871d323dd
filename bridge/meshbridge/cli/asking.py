"""What every command that asks running bridges has in common: its errors and its code."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from meshbridge.admin.client import WITHIN, Answer, ask
from meshbridge.cli.ending import Exit, complain

_T = TypeVar("_T")


def ask_bridges(
    paths: Sequence[Path],
    operation: str,
    question: msgspec.Struct,
    answer: type[_T],
    *,
    within: float = WITHIN,
) -> tuple[list[Answer[_T]], int]:
    """Ask each bridge; return what those said that answered, and the exit code.

    Complains of each that refused or was not there, in one line. The code is 0 if all answered,
    else the highest that one of them gave.
    """
    told: list[Answer[_T]] = []
    code: int = Exit.FINE
    for each in asyncio.run(
        ask(list(dict.fromkeys(paths)), operation, question, answer, within=within)
    ):
        if each.refusal is None:
            told.append(each)
            continue
        reason = each.refusal.reason
        several = len(paths) > 1 and str(each.path) not in reason
        complain(f"{each.path}: {reason}" if several else reason)
        code = max(code, each.refusal.code)
    return told, code
