r"""Says what RE2 refuses of a regular expression; istiod and Envoy speak it, and not Python's.

Read along the syntax of RE2 (https://github.com/google/re2/wiki/Syntax) as Go's regexp knows it,
which is how istiod reads (validateStringRegexp). Python's own parser would let pass what RE2 lacks
(looking around, references back) and refuse what it has (``\z``, ``\pL``, flags in the middle).
"""

import re
from dataclasses import dataclass

LONGEST = 1024
"""Bytes that istiod takes; it stands for the size of the program that Envoy makes of it."""
_MOST_REPEATS = 1000
_HIGHEST = 0x10FFFF

_GROUP = re.compile(r"\((?:\?(?:P?<[A-Za-z0-9_]+>|[imsU]*(?:-[imsU]+)?:))?(?!\?)")
_NOTHING = re.compile(r"\(\?[imsU]*(?:-[imsU]+)?\)|\\Q(?:\\E|\Z)")
"""Flags, and a quotation of nothing: what repeats reaches over them."""
_REPEAT = re.compile(r"(?:[*+?]|\{(0|[1-9][0-9]*)(?:(,)(0|[1-9][0-9]*)?)?\})\??")
_WHOLE = re.compile(r"\\[AbBz]|\\Q.*?(?:\\E|\Z)", re.DOTALL)
"""A place between two characters, and a quotation."""
_PERL_CLASS = re.compile(r"\\[dswDSW]")
_UNICODE_CLASS = re.compile(r"\\[pP](?:([A-Z])|\{\^?([A-Za-z_]+)\})")
_POSIX_CLASS = re.compile(r"\[:\^?(.*?):\]", re.DOTALL)
_ESCAPE = re.compile(
    r"\\(?:(?P<letter>[afnrtv])|x(?P<two>[0-9A-Fa-f]{2})|x\{(?P<hex>[0-9A-Fa-f]+)\}"
    r"|(?P<octal>0[0-7]{0,2}|[1-7][0-7]{1,2})|(?P<itself>[^0-9A-Za-z\x80-\U0010ffff]))"
)
_LETTERS = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}

_POSIX = frozenset(
    (
        *("alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph"),
        *("lower", "print", "punct", "space", "upper", "word", "xdigit"),
    )
)
_UNICODE = frozenset(
    (
        *("Any", "C", "Cc", "Cf", "Co", "Cs", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me"),
        *("Mn", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc"),
        *("Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs", "Arabic", "Armenian", "Bengali", "Bopomofo"),
        *("Common", "Cyrillic", "Devanagari", "Georgian", "Greek", "Han", "Hangul", "Hebrew"),
        *("Hiragana", "Katakana", "Khmer", "Latin", "Mongolian", "Tamil", "Thai", "Tibetan", "Yi"),
    )
)
"""What Go and Envoy both know, of scripts only the usual ones."""


class _RefusedError(Exception):
    """Says why a pattern is refused; never leaves this module."""


@dataclass(slots=True)
class _Group:
    """What was read of a group, or of the whole."""

    last: int = -1
    """How often what comes last in it may be repeated in all; below zero if nothing comes last."""
    most: int = 1

    def add(self, repeats: int) -> None:
        self.last, self.most = repeats, max(self.most, repeats)


def fault(pattern: str) -> str:
    """Return why RE2 refuses a pattern, and nothing if it takes it."""
    if not pattern:
        return "a regular expression is not empty"
    if len(pattern.encode()) > LONGEST:
        return f"a regular expression has at most {LONGEST} bytes"
    try:
        _read(pattern)
    except _RefusedError as refused:
        why = "".join(each if each.isprintable() else repr(each)[1:-1] for each in str(refused))
        return f"RE2 refuses the regular expression: {why}"
    return ""


def _read(pattern: str) -> None:
    groups, place, repeated = [_Group()], 0, False
    while place < len(pattern):
        was_repeated, repeated = repeated, False
        if found := _NOTHING.match(pattern, place):
            place = found.end()
        elif pattern[place] in "(|)":
            place = _structure(pattern, place, groups)
        elif found := _REPEAT.match(pattern, place):
            if was_repeated or groups[-1].last < 0:
                raise _RefusedError(f"there is nothing that `{found[0]}` repeats")
            groups[-1].add(_times(groups[-1].last, found))
            place, repeated = found.end(), True
        else:
            place = _single(pattern, place)
            groups[-1].add(1)
    if len(groups) > 1:
        raise _RefusedError("it has a `(` without its `)`")


def _structure(pattern: str, place: int, groups: list[_Group]) -> int:
    """Return the end of what opens a group, closes it or divides it."""
    if pattern[place] == "|":
        groups[-1].last = -1
    elif pattern[place] == ")":
        if len(groups) == 1:
            raise _RefusedError("it has a `)` without its `(`")
        closed = groups.pop()
        groups[-1].add(closed.most)
    else:
        groups.append(_Group())
        if (found := _GROUP.match(pattern, place)) is None:
            raise _RefusedError(f"it does not know `{pattern[place : place + 4]}`")
        return found.end()
    return place + 1


def _times(inner: int, found: re.Match[str]) -> int:
    """Return how often what is repeated, itself a repetition, may occur in all."""
    if found[1] is None:
        return inner
    low = int(found[1])
    high = int(found[3]) if found[3] else low
    times = inner * (max(low, 1) if found[2] and not found[3] else high)
    if not low <= high <= _MOST_REPEATS or times > _MOST_REPEATS:
        raise _RefusedError(f"`{found[0]}` repeats more than {_MOST_REPEATS} times, or backwards")
    return times


def _single(pattern: str, place: int) -> int:
    """Return the end of what repeats as one."""
    if pattern[place] == "[":
        return _class(pattern, place)
    if found := _WHOLE.match(pattern, place):
        return found.end()
    return _several(pattern, place) or _character(pattern, place)[1]


def _class(pattern: str, start: int) -> int:
    """Return the end of ``[...]``; a `]` that is first in it is one of its characters."""
    first = place = start + (2 if pattern.startswith("[^", start) else 1)
    while place == first or not pattern.startswith("]", place):
        if found := _POSIX_CLASS.match(pattern, place):
            if found[1] not in _POSIX:
                raise _RefusedError(f"it does not know `{found[0]}`")
            place = found.end()
        elif end := _several(pattern, place):
            place = end
        else:
            low, place = _character(pattern, place)
            if pattern.startswith("-", place) and pattern[place + 1 : place + 2] not in {"]", ""}:
                high, place = _character(pattern, place + 1)
                if high < low:
                    raise _RefusedError("a range in `[...]` is backwards")
    return place + 1


def _several(pattern: str, place: int) -> int:
    """Return the end of an escape that stands for several characters, 0 if it is none."""
    if found := _PERL_CLASS.match(pattern, place):
        return found.end()
    if found := _UNICODE_CLASS.match(pattern, place):
        if (found[1] or found[2]) not in _UNICODE:
            raise _RefusedError(f"it does not know `{found[0]}`")
        return found.end()
    return 0


def _character(pattern: str, place: int) -> tuple[int, int]:
    """Return the number of a character, and the end of how it is written."""
    if place >= len(pattern):
        raise _RefusedError("it has a `[` without its `]`")
    if pattern[place] != "\\":
        return ord(pattern[place]), place + 1
    found = _ESCAPE.match(pattern, place)
    if found is None:
        raise _RefusedError(f"it does not know `{pattern[place : place + 2]}`")
    return _number(found), found.end()


def _number(found: re.Match[str]) -> int:
    if letter := found["letter"]:
        return _LETTERS[letter]
    if octal := found["octal"]:
        return int(octal, 8)
    if digits := found["two"] or found["hex"]:
        number = int(digits, 16)
        if number > _HIGHEST:
            raise _RefusedError(f"`{found[0]}` is no character")
        return number
    return ord(found["itself"])
