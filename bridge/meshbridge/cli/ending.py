"""How a command ends: its exit code, its lines on stderr, and an output that cannot be written."""

import enum
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TextIO

from meshbridge.errors import ConfigurationError


class Exit(enum.IntEnum):
    """What the exit code of a command says."""

    FINE = 0
    NO = 1
    """The answer is no."""
    WRONG = 2
    """Wrong use or wrong configuration."""


def open_missing_streams() -> None:
    """Send to nowhere what would go to a standard stream that is closed (``meshbridge run >&-``).

    Otherwise the next socket would get its number, and ``print`` would write into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            mode = "r" if number == 0 else "w"
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))


def say(text: str) -> None:
    """Print text to stdout.

    Ends the process with 1 when nobody reads it any longer (``meshbridge dump | head``), or when
    it cannot be written, and then says so: half an answer must not look like a whole one.
    """
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        _to_nowhere(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            complain(f"stdout cannot be written: {error.strerror or error}")
        sys.exit(Exit.NO)


def drop_unread_lines() -> None:
    """Let go of what stderr holds and nobody takes any more, at the very end.

    The bridge outlives whoever read its log; the interpreter would make that an exit code of 120.
    """
    try:
        sys.stderr.flush()
    except OSError:
        _to_nowhere(sys.stderr)


def _to_nowhere(stream: TextIO) -> None:
    """Send there what is left: the interpreter would try to write it again, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def complain(line: str, *, kind: str = "error") -> None:
    """Print one line to stderr, whatever stands in it."""
    sys.stderr.write(f"{kind}: {printable(line)}\n")


def printable(text: str) -> str:
    """Return text without line ends and control characters.

    Names come from registries: they must neither forge a line nor steer somebody's terminal.
    """
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


@contextmanager
def faults_in_lines() -> Generator[None]:
    """End the process with 2 and one line for each fault when the configuration is wrong."""
    faults: list[str] = []
    try:
        yield
    except* ConfigurationError as group:
        faults = list(_faults(group))
    if faults:
        for fault in faults:
            complain(fault)
        sys.exit(Exit.WRONG)


def _faults(group: BaseExceptionGroup[ConfigurationError]) -> Iterator[str]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _faults(error)
        else:
            yield from error.faults
