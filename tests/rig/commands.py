"""Runs a command to its end and returns what it said."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from meshbridge.testing import ProcessFailed


async def output(command: Sequence[str | Path], *, within: float = 30.0) -> str:
    """Return what it wrote to stdout and stderr.

    Raises ProcessFailed with that when it ends with anything but 0, TimeoutError when it does not
    end ``within`` seconds.
    """
    child = await asyncio.create_subprocess_exec(
        *(str(part) for part in command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(child.communicate(), within)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    text = said.decode(errors="replace")
    if child.returncode != 0:
        message = f"`{command[0]}` ended with {child.returncode}:\n{text}"
        raise ProcessFailed(message)
    return text
