"""What differs from run to run becomes the same in every run, in the same shape; pure.

Only what is named in RULES is replaced, and only lists that have no order are put in one.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

Json = Mapping[str, "Json"] | list["Json"] | str | int | float | bool | None
"""What JSON can say."""

START = r"(?:(?<![0-9A-Za-z])|(?<=%3D)|(?<=%22)|(?<=%3A))"
"""Where a number or an id begins in plain text, and in text whose signs are percent-encoded."""
END = r"(?![0-9A-Za-z])"
QUOTE = r"\\*\""
"""In JSON, and in JSON that is a text inside of JSON."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of thing that is replaced."""

    what: str
    pattern: re.Pattern[str]
    instead: str
    """As for re.sub; ``{n}`` becomes the number of the thing: the first different one is 1."""


RULES = (
    Rule(
        "moments in milliseconds since 1970: all become the first of 2026",
        re.compile(rf"{START}(?:1[7-9]|2[0-9])\d{{11}}{END}"),
        "1767225600000",
    ),
    Rule(
        "moments as ISO 8601 writes them: all become the first of 2026",
        re.compile(r"(?<!\d)20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?!\d)"),
        "2026-01-01T00:00:00.000",
    ),
    Rule(
        "process ids: all become 1",
        re.compile(rf"(?<![0-9A-Za-z])(pid(?:=|%3D|{QUOTE}:{QUOTE}))\d+(?!\d)"),
        r"\g<1>1",
    ),
    Rule(
        "UUIDs: numbered within a file",
        re.compile(rf"{START}[0-9a-f]{{8}}-(?:[0-9a-f]{{4}}-){{3}}[0-9a-f]{{12}}{END}"),
        "00000000-0000-4000-8000-{n:012}",
    ),
    Rule(
        "the folder of the application's classes, which Dubbo 3 tells: becomes /app/classes",
        re.compile(r"file:/[^\"\\]*/classes/"),
        "file:/app/classes/",
    ),
)


def scrub(text: str) -> str:
    """Return the text with everything replaced that the rules name."""
    for rule in RULES:
        text = rule.pattern.sub(_replacement(rule), text)
    return text


def ordered(document: Json) -> Json:
    """Return the document with each of its lists in an order that follows from the elements."""
    if isinstance(document, Mapping):
        return {name: ordered(value) for name, value in document.items()}
    if isinstance(document, list):
        return sorted(map(ordered, document), key=lambda each: json.dumps(each, sort_keys=True))
    return document


def pretty(document: Json) -> str:
    """Return the document as the files of the corpus have it."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def parsed(text: str) -> Json:
    """Return what a JSON text says. Raises ValueError."""
    return cast("Json", json.loads(text))


def _replacement(rule: Rule) -> Callable[[re.Match[str]], str]:
    if "{n" not in rule.instead:
        return lambda found: found.expand(rule.instead)
    seen: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        return rule.instead.format(n=seen.setdefault(found[0], len(seen) + 1))

    return number
