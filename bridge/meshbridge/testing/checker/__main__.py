"""Prints the verdict on a history in a file, and a picture of it; exit 0 only if it held."""

import argparse
import sys
from pathlib import Path

from meshbridge.testing.checker.check import check
from meshbridge.testing.checker.picture import picture
from meshbridge.testing.history_lines import from_lines


def main(arguments: list[str]) -> int:
    """Return 0 if the history held, 1 if not or if it is void, 2 if it cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m meshbridge.testing.checker",
        description=__doc__,
        epilog="Exit codes: 0 it held, 1 it is broken or void, 2 it cannot be read.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="what to_lines made of a history")
    file: Path = parser.parse_args(arguments).file
    try:
        history = from_lines(file.read_text(encoding="utf-8").splitlines())
        verdict, drawn = check(history), picture(history)
    except OSError as error:
        sys.stderr.write(f"{file}: {error.strerror}\n")
        return 2
    except ValueError as error:
        sys.stderr.write(f"{file}: {error} (a history is what to_lines makes of one)\n")
        return 2
    sys.stdout.write(f"{verdict}\n\n{drawn}\n")
    return int(verdict.outcome != "held")


sys.exit(main(sys.argv[1:]))
