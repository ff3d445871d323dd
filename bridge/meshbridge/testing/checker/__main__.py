"""Prints the verdict on a history in a file, and a picture of it; exit 0 only if it held."""

import sys
from pathlib import Path

from meshbridge.testing.checker.check import check
from meshbridge.testing.checker.picture import picture
from meshbridge.testing.history_lines import from_lines


def main(arguments: list[str]) -> int:
    """Return 0 if the history held, 1 if not or if it is void, 2 if it cannot be read."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m meshbridge.testing.checker FILE\n")
        return 2
    file = Path(arguments[0])
    try:
        history = from_lines(file.read_text(encoding="utf-8").splitlines())
        verdict, drawn = check(history), picture(history)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{file}: {error}\n")
        return 2
    sys.stdout.write(f"{verdict}\n\n{drawn}\n")
    return int(verdict.outcome != "held")


sys.exit(main(sys.argv[1:]))
