"""The command: reads both sides, compares what both can say, prints it, and gives the code."""

import sys
from datetime import timedelta

from meshbridge.cli.diff.reading import Side, read_side
from meshbridge.cli.diff.showing import as_json, as_text
from meshbridge.cli.diff.sources import NotComparable
from meshbridge.cli.ending import Exit, complain, say
from meshbridge.cli.selecting import called_like
from meshbridge.difference import Difference, Facet, compare, without
from meshbridge.errors import ConfigurationError
from meshbridge.service import Service

_FORMATS = ("text", "json")
_WORDS = {"aliases": "aliases", "addresses": "virtual addresses"}

Services = dict[str, Service]


def diff_sources(a: str, b: str, *, form: str, pattern: str, limit: int, wait: timedelta) -> Exit:
    """Print what differs; ``NO`` if anything does, ``WRONG`` if that cannot be said.

    Raises ConfigurationError.
    """
    if form not in _FORMATS:
        raise ConfigurationError(f'--format: found "{form}"; allowed: {", ".join(_FORMATS)}')
    if a == b == "-":
        raise ConfigurationError("-: stdin can be one side only; name a file for the other")
    try:
        sides = read_side(a, wait), read_side(b, wait)
        ours, theirs = _chosen(*_comparable(*sides), pattern)
    except NotComparable as error:
        for line in error.args:
            complain(str(line))
        return Exit.WRONG
    notes = _notes(*sides)
    difference = compare(ours, theirs)
    names = (sides[0].name, sides[1].name)
    if form == "json":
        text = as_json(difference, names, (len(ours), len(theirs)), notes)
    else:
        for note in notes:
            complain(f"not compared: {note}", kind="note")
        text = as_text(difference, names, limit)
    return _say(text, difference)


def _say(text: str, difference: Difference) -> Exit:
    """Print the answer; what could not be told must look neither like a yes nor like a no."""
    try:
        say(text)
    except SystemExit:
        sys.exit(Exit.NO if difference else Exit.WRONG)
    return Exit.NO if difference else Exit.FINE


def _comparable(a: Side, b: Side) -> tuple[Services, Services]:
    """Return of both what either could say."""
    unsaid = a.unsaid | b.unsaid
    return _reduced(a, b, unsaid), _reduced(b, a, unsaid)


def _reduced(side: Side, other: Side, unsaid: frozenset[Facet]) -> Services:
    services = side.services
    if other.mirror is not None and side.mirror is None:
        told = {host: other.mirror.told(service) for host, service in services.items()}
        services = {host: service for host, service in told.items() if service is not None}
    if unsaid:
        services = {host: without(service, unsaid) for host, service in services.items()}
    return services


def _notes(a: Side, b: Side) -> list[str]:
    """Return what was left out of the comparison, in a line each."""
    notes: list[str] = []
    for side, other in ((a, b), (b, a)):
        if side.mirror is not None and other.mirror is None:
            notes.append(f"{side.mirror.untold} ({side.name} is never told)")
        if side.unsaid:
            words = " and ".join(_WORDS[facet] for facet in sorted(side.unsaid))
            notes.append(f"{words} ({side.name} does not say them)")
        if side.foreign:
            notes.append(f"{side.foreign} ServiceEntries in {side.name} that no bridge sent")
    return notes


def _chosen(a: Services, b: Services, pattern: str) -> tuple[Services, Services]:
    """Return the hosts that match on either side, by any name, on both.

    Raises NotComparable when none does: nothing was compared then.
    """
    if pattern == "*":
        return a, b
    matches = called_like(pattern)
    hosts = {host for side in (a, b) for host, service in side.items() if matches(service)}
    if not hosts:
        raise NotComparable(f'--service: no service is called like "{pattern}" on either side')
    return (
        {host: service for host, service in a.items() if host in hosts},
        {host: service for host, service in b.items() if host in hosts},
    )
