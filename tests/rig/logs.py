"""Shows with a failed test what its servers wrote while it ran."""

from collections.abc import Mapping
from pathlib import Path

from meshbridge.testing import Process

SHOWN = 60
"""Lines of each log."""


def sizes() -> dict[Path, int]:
    """Return how long the log of each process is now, in bytes."""
    return {log: log.stat().st_size for log in _logs()}


def written_since(before: Mapping[Path, int]) -> list[tuple[str, str]]:
    """Return (name, last lines) of each log that has grown since."""
    found: list[tuple[str, str]] = []
    for log in _logs():
        text = log.read_bytes()[before.get(log, 0) :].decode(errors="replace")
        if text.strip():
            found.append((str(log), "\n".join(text.splitlines()[-SHOWN:])))
    return found


def _logs() -> list[Path]:
    return sorted({each.log_file for each in Process.known if each.log_file.exists()})
