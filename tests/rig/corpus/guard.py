"""Finds what tells on whom a text was captured: paths, the user, the machine; pure."""

import re
from collections.abc import Iterable
from urllib.parse import unquote

PLACES = re.compile(
    r"(?<![\w./-])/(?:home|root|Users|tmp|var|private|opt|usr|work|mnt|builds?|runner)/[^\s\"',;<]*"
)
"""Folders of a machine; what a registry calls by a path of its own does not begin so."""


def traces(text: str, private: Iterable[str]) -> list[str]:
    """Return what of a machine stands in the text, percent-encoded or not; empty if nothing does.

    ``private`` are words that must not stand there as a whole, whatever they mean.
    """
    plain = "\n".join((text, unquote(text), unquote(unquote(text))))
    words = (
        word
        for word in private
        if re.search(rf"(?<![0-9A-Za-z]){re.escape(word)}(?![0-9A-Za-z])", plain)
    )
    return sorted({*words, *PLACES.findall(plain)})
