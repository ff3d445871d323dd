"""What a subscriber refused, so that it is never sent the same (name, version) twice.

A NACK says in prose which resources are bad. Those that it names are blamed; where it names none,
every resource that was news in the refused response is.
"""

from collections.abc import Iterable, Mapping

from meshbridge_xds.resources import Resource

_VERSIONS_PER_NAME = 8
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
    news = tuple(fresh)
    return (
        tuple(each for each in news if each.name in words)
        or tuple(each for name, each in sorted(sent.items()) if name in words)
        or news
    )


class Refusals:
    """The (name, version) pairs that one subscriber refused."""

    def __init__(self) -> None:
        """Start with none."""
        self._words: dict[str, dict[str, str]] = {}

    def add(self, resource: Resource, words: str) -> None:
        """Remember that this version was refused, and the subscriber's words."""
        versions = self._words.setdefault(resource.name, {})
        versions[resource.version] = printable(words)
        while len(versions) > _VERSIONS_PER_NAME:
            del versions[next(iter(versions))]

    def has(self, resource: Resource) -> bool:
        """Whether this version of it was refused."""
        return bool(self._words) and resource.version in self._words.get(resource.name, ())

    def words(self, resource: Resource) -> str:
        """Return what the subscriber said of this version, or nothing."""
        return self._words.get(resource.name, {}).get(resource.version, "")

    def forget(self, name: str) -> None:
        """Forget a name that is not offered or not asked for any more."""
        self._words.pop(name, None)

    def names(self) -> tuple[str, ...]:
        """Return the names of which some version was refused, sorted."""
        return tuple(sorted(self._words))
