"""Scopes that are found while watching: a name that ends with ``*`` stands for their list. Pure."""

from collections.abc import Callable, Iterable
from typing import Final

LIST: Final = "*"
"""What ends the name of a scope that stands for the list of all that begin like it."""


def read_by(named: Iterable[str]) -> Callable[[str], bool]:
    """Return what says whether who names these scopes reads one, if it is there."""
    exactly = frozenset(named)
    lists = tuple(each.removesuffix(LIST) for each in exactly if each.endswith(LIST))
    return lambda scope: scope in exactly or scope.startswith(lists)


def not_found(listed: str, found: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return which of the known scopes a list stands for and does not lead to.

    What a longer list stands for that was found itself is for that one to say.
    """
    there = frozenset(found)
    longer = (each for each in there if each.endswith(LIST) and len(each) > len(listed))
    is_meant, is_anothers = read_by([listed]), read_by(longer)
    return [
        each for each in known if each not in there and is_meant(each) and not is_anothers(each)
    ]
