"""What tests/corpus says of itself: the index for programs, the README for people; pure."""

import json

from rig.corpus.apart import HOST, NAME
from rig.corpus.scrub import RULES
from rig.corpus.shelf import Index

HEAD = f"""# What real servers and applications write

Captured by `make corpus` from the servers and applications of the test bed, in the versions that
`tests/peers/versions.toml` pins. Nothing here is written by hand, this file included. Captured
again it is the same, unless a version, a scenario in `tests/rig/corpus` or a server's behaviour has
changed. `index.json` says to programs what the tables below say to people.

The applications ran on a machine called `{NAME}` with the address {HOST}: a network namespace of
its own, so that ports are the same each time.

## What was changed in it

"""

TAIL = """\
* JSON was written anew, one value a line, with its fields by name, as was JSON inside of a text:
  Java's maps give them in another order each time. XML is as it came.
* Where a server lists what has no order (services, instances, configurations, children of a node)
  the list was sorted.

All else is what the server said.
"""


def index_text(index: Index) -> str:
    """Return the text of index.json."""
    return json.dumps(dict(sorted(index.items())), indent=1, ensure_ascii=False) + "\n"


def readme(index: Index) -> str:
    """Return the text of README.md."""
    lines = [f"* {rule.what}.\n" for rule in RULES]
    tables = [_table(name, index) for name in sorted(index)]
    return "".join((HEAD, *lines, TAIL, *tables))


def _table(name: str, index: Index) -> str:
    section = index[name]
    made_of = ", ".join(
        f"{each} {version}" for each, version in sorted(section["versions"].items())
    )
    rows = [
        f"| `{path.removeprefix(f'{name}/')}` | {entry['what']} | {_cell(entry['asked'])} |"
        for path, entry in section["files"].items()
    ]
    head = [
        f"\n## `{name}/`\n",
        f"Versions: {made_of}.\n",
        "| file | what | how |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *rows, ""])


def _cell(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"
