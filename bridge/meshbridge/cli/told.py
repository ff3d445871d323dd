"""Prints what running bridges answered: one below the other, or as JSON."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from meshbridge.admin.client import Answer
from meshbridge.cli.ending import printable, say

_T = TypeVar("_T")


def say_told(
    told: Sequence[Answer[_T]],
    form: str,
    text: Callable[[Answer[_T]], Iterable[str]],
    *,
    several: bool,
) -> None:
    """Print the answers; of ``several`` bridges each under the path of its socket.

    As ``json`` they are a list of ``{admin, answer}``, whatever their number.
    """
    if form == "json":
        answers = [{"admin": str(each.path), "answer": each.value} for each in told]
        say(msgspec.json.format(msgspec.json.encode(answers), indent=2).decode())
        return
    for each in told:
        if several:
            say(f"{printable(str(each.path))}:")
        for line in text(each):
            say(f"{'  ' if several else ''}{printable(line)}")
