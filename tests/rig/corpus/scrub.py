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
WORD = r"(?:(?<![0-9A-Za-z])|(?<=%26)|(?<=%3F)|(?<=%22))"
"""Where a name begins, likewise."""
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
        re.compile(rf"{WORD}(pid(?:=|%3D|{QUOTE}:{QUOTE}))\d+(?!\d)"),
        r"\g<1>1",
    ),
    Rule(
        "UUIDs: numbered within a file",
        re.compile(rf"{START}[0-9a-f]{{8}}-(?:[0-9a-f]{{4}}-){{3}}[0-9a-f]{{12}}{END}"),
        "00000000-0000-4000-8000-{n:012}",
    ),
    Rule(
        "ids that Nacos gives configurations: all become 1000000000000000000",
        re.compile(rf"{START}\d{{19}}{END}"),
        "1000000000000000000",
    ),
    Rule(
        "sums of a text in which the above stands: all become zeros",
        re.compile(rf"({QUOTE}md5{QUOTE}: *{QUOTE})[0-9a-f]{{32}}(?![0-9a-f])"),
        r"\g<1>00000000000000000000000000000000",
    ),
    Rule(
        "numbers of a server's requests: all become 1",
        re.compile(rf"({QUOTE}requestId{QUOTE}: *{QUOTE})\d+(?!\d)"),
        r"\g<1>1",
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
    """Return the document as the files of the corpus have it, one value a line."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def by_name(document: Json) -> Json:
    """Return the document with its fields in the order of their names.

    So are those of JSON in its texts, unless that changed anything else: spaces or escapes.
    """
    match document:
        case Mapping():
            return {name: by_name(value) for name, value in sorted(document.items())}
        case list():
            return [by_name(value) for value in document]
        case str() if document.startswith(("{", "[")):
            return _sorted_text(document)
        case _:
            return document


def _sorted_text(text: str) -> str:
    try:
        inner = parsed(text)
    except ValueError:
        return text
    return text if _compact(inner) != text else _compact(by_name(inner))


def _compact(document: Json) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


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
