"""What a subscriber refused, so that it is never sent the same (name, version) twice.

A NACK says in prose which resources are bad. Those that it names are blamed; where it names none,
every resource that was news in the refused response is.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from meshbridge_xds.resources import Resource

T = TypeVar("T")
_MOST_NAMES = 10_000
_VERSIONS_PER_NAME = 8
_WORD = re.compile(r"[^\s\"'`,;()\[\]{}<>]+")
_LONGEST = 500


def printable(text: str, longest: int = _LONGEST) -> str:
    """Return foreign text fit for a log line: one line, nothing unprintable, bounded."""
    cut = text[: longest + 1]
    clean = "".join(sign if sign.isprintable() else " " for sign in cut)
    return clean if len(text) <= longest else f"{clean[: longest - 1]}…"


def blamed(
    words: str, fresh: Iterable[Resource], sent: Mapping[str, Resource]
) -> tuple[Resource, ...]:
    """Return the resources that a NACK is about: named news, else named at all, else all news."""
    # Whole words only: ``orders`` is not to blame where ``orders.test`` is named.
    found = set(_WORD.findall(words))
    found |= {word.strip(".:") for word in found}
    news = tuple(fresh)
    return (
        tuple(each for each in news if each.name in found)
        or tuple(sent[name] for name in sorted(found & sent.keys()))
        or news
    )


class Refusals:
    """The (name, version) pairs that one subscriber refused, for as long as its stream lasts.

    They outlive the resource: one that goes and comes back as it was would be refused again.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._words: dict[str, dict[str, str]] = {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._words)

    def add(self, resource: Resource, words: str) -> None:
        """Remember that this version was refused, and the subscriber's words."""
        versions = self._words.setdefault(resource.name, {})
        versions[resource.version] = printable(words)
        _drop_oldest(versions, _VERSIONS_PER_NAME)
        _drop_oldest(self._words, _MOST_NAMES)

    def has(self, resource: Resource) -> bool:
        """Whether this version of it was refused."""
        return bool(self._words) and resource.version in self._words.get(resource.name, ())

    def words(self, resource: Resource | None) -> str:
        """Return what the subscriber said of this version, or nothing."""
        if resource is None:
            return ""
        return self._words.get(resource.name, {}).get(resource.version, "")

    def names(self) -> tuple[str, ...]:
        """Return the names of which some version was refused, sorted."""
        return tuple(sorted(self._words))


def _drop_oldest(held: dict[str, T], most: int) -> None:
    while len(held) > most:
        del held[next(iter(held))]
