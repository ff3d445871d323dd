"""``make corpus``: captures what the real servers and applications write, into tests/corpus."""

import argparse
import getpass
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import psutil

from rig.bed import BuildFailed, Missing, build
from rig.corpus.apart import HOST, apart
from rig.corpus.guard import traces
from rig.corpus.parts import PARTS
from rig.corpus.report import index_text, readme
from rig.corpus.shelf import Index, Section
from rig.making import cache, say

ROOT = Path(__file__).resolve().parents[3]
CORPUS = ROOT / "tests" / "corpus"
WITHIN = 300.0
"""Seconds for one part."""
COMMON = {"localhost", "peer", "root", ""}
"""Names that tell nothing: many machines and users are called so."""


def main(words: list[str]) -> int:
    """Capture the named parts, or all; return 1 if one failed, 2 if a program is missing."""
    parser = argparse.ArgumentParser(prog="make corpus", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PARTS)}")
    chosen: list[str] = parser.parse_args(words).names or list(PARTS)
    if unknown := sorted(set(chosen) - set(PARTS)):
        parser.error(f"there is no {', '.join(unknown)}; choose of {', '.join(PARTS)}")
    begun = time.monotonic()
    try:
        # Here, where there is a network to fetch what is missing.
        for program in sorted({each for name in chosen for each in PARTS[name].programs}):
            build(program)
        for name in chosen:
            if not capture(name):
                return 1
    except (Missing, BuildFailed) as missing:
        say(f"corpus: {missing}")
        return 2
    say(f"corpus: {len(chosen)} parts after {time.monotonic() - begun:.0f} s, {CORPUS}")
    return 0


def capture(name: str) -> bool:
    """Capture one part and put it in the place of what was captured before; say if it failed."""
    with tempfile.TemporaryDirectory(prefix="corpus.") as temporary:
        folder = Path(temporary)
        command = apart([sys.executable, "-m", "rig.corpus.inside", name, str(folder)])
        try:
            if subprocess.run(command, check=False, timeout=WITHIN).returncode != 0:
                return False
        except subprocess.TimeoutExpired:
            say(f"{name}: FAILED: not within {WITHIN:g} s")
            return False
        told = {*_private(), str(folder)}
        new = sorted((folder / name).rglob("*.*"))
        found = {file: traces(file.read_text(encoding="utf-8"), told) for file in new}
        for file, words in found.items():
            if words:
                say(f"{file.relative_to(folder)}: not kept, it tells {', '.join(words)}")
        if any(found.values()):
            return False
        _replace(name, folder)
        return True


def _replace(name: str, folder: Path) -> None:
    section = cast("Section", json.loads((folder / "section.json").read_text(encoding="utf-8")))
    CORPUS.mkdir(exist_ok=True)
    shutil.rmtree(CORPUS / name, ignore_errors=True)
    shutil.copytree(folder / name, CORPUS / name)
    file = CORPUS / "index.json"
    index = cast("Index", json.loads(file.read_text(encoding="utf-8")) if file.exists() else {})
    index = {each: held for each, held in {**index, name: section}.items() if each in PARTS}
    file.write_text(index_text(index), encoding="utf-8")
    (CORPUS / "README.md").write_text(readme(index), encoding="utf-8")


def _private() -> Iterator[str]:
    """Return what must not be told: this machine's names and addresses, and this user's."""
    yield from (str(Path.home()), str(cache()), str(ROOT), tempfile.gettempdir())
    yield from {socket.gethostname(), socket.getfqdn(), getpass.getuser()} - COMMON
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            loopback = each.address.startswith("127.") or each.address == HOST
            if each.family == socket.AF_INET and not loopback:
                yield each.address


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
