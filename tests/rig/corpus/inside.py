"""Captures one part, in namespaces of its own: ``python -m rig.corpus.inside NAME FOLDER``."""

import asyncio
import sys
import time
from pathlib import Path

import aiohttp
import grpc

from meshbridge.errors import leaves
from meshbridge.testing import ProcessFailed
from rig.bed import BuildFailed, Missing
from rig.corpus import apart
from rig.corpus.parts import PARTS
from rig.corpus.shelf import Shelf
from rig.making import say
from rig.reaper import Run

TROUBLES = (
    Missing,
    BuildFailed,
    ProcessFailed,
    AssertionError,
    OSError,
    EOFError,
    aiohttp.ClientError,
    grpc.RpcError,
)
"""What is told without a traceback: it says enough."""


def main(name: str, folder: Path) -> int:
    """Capture it into the folder; return 1, having said why, if that failed."""
    part = PARTS[name]
    shelf = Shelf(name)
    begun = time.monotonic()
    apart.settle(folder)
    run = Run.begin()
    troubles: list[str] = []
    try:
        asyncio.run(part.capture(folder / "running", shelf))
    except* TROUBLES as failed:
        troubles = [f"{type(each).__name__}: {each}" for each in leaves(failed)]
    finally:
        left = run.end()
    if left:
        troubles.append(f"it left processes behind: {', '.join(left)}")
    for trouble in troubles:
        say(f"{name}: FAILED: {trouble}")
    if troubles:
        return 1
    shelf.write(folder, part.versions())
    say(f"{name}: {len(shelf.texts)} files after {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
