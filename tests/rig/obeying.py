"""How a program of the rig takes the orders that :class:`rig.obedient.Obedient` gives."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable

Order = dict[str, object]
"""What ``do`` says, with what goes with it."""


async def obey(do: Callable[[Order], Awaitable[None]], refusal: type[Exception]) -> None:
    """Say ``ready`` and do what each line of standard input orders, until that ends.

    Each is answered with ``done``, or with ``failed: …`` where doing it raised ``refusal``.
    """
    _say("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            await do(json.loads(line))
        except refusal as refused:
            _say(f"failed: {refused}")
        else:
            _say("done")


def _say(word: str) -> None:
    print(word, flush=True)  # noqa: T201 - this is how it answers
