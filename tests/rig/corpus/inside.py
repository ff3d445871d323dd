"""Captures one part, in namespaces of its own: ``python -m rig.corpus.inside NAME FOLDER``."""

import asyncio
import sys
import time
from pathlib import Path

from meshbridge.testing import ProcessFailed
from rig.bed import BuildFailed, Missing
from rig.corpus import apart
from rig.corpus.parts import PARTS
from rig.corpus.shelf import Shelf
from rig.making import say
from rig.reaper import Run


def main(name: str, folder: Path) -> int:
    """Capture it into the folder; return 1, having said why, if that failed."""
    part = PARTS[name]
    shelf = Shelf(name)
    begun = time.monotonic()
    apart.settle(folder)
    run = Run.begin()
    try:
        asyncio.run(part.capture(folder / "running", shelf))
    except (Missing, BuildFailed, ProcessFailed, AssertionError, OSError) as failed:
        say(f"{name}: FAILED: {type(failed).__name__}: {failed}")
        return 1
    finally:
        left = run.end()
    if left:
        say(f"{name}: FAILED: it left processes behind: {', '.join(left)}")
        return 1
    shelf.write(folder, part.versions())
    say(f"{name}: {len(shelf.texts)} files after {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
