"""The captured things of one part of the corpus, and how they lie in its folder."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from rig.corpus.http import Answer
from rig.corpus.scrub import Json, by_name, ordered, parsed, pretty, scrub


class Entry(TypedDict):
    """What the index says of a file."""

    what: str
    asked: str
    """How it was had: a request, a subscription, a walk."""


class Section(TypedDict):
    """What the index says of a part."""

    versions: dict[str, str]
    """As tests/peers/versions.toml has them, of all programs that took part."""
    files: dict[str, Entry]
    """By their paths below tests/corpus."""


Index = dict[str, Section]
"""By the name of the part, which is that of its folder, too."""


@dataclass(slots=True)
class Shelf:
    """Takes what is captured, scrubs it and keeps it."""

    part: str
    texts: dict[str, str] = field(default_factory=dict[str, str])
    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])

    def put(self, name: str, text: str, *, what: str, asked: str) -> None:
        """Keep a text as it is; raises ValueError for a name that is taken."""
        path = f"{self.part}/{name}"
        if path in self.texts:
            raise ValueError(f"{path} was captured twice")
        self.texts[path] = scrub(text if text.endswith("\n") else f"{text}\n")
        self.entries[path] = Entry(what=what, asked=scrub(asked))

    def put_json(
        self, name: str, said: str | Json, *, what: str, asked: str, unordered: bool = False
    ) -> None:
        """Keep a JSON text, one value a line; ``unordered`` puts its lists in an order."""
        document = by_name(parsed(scrub(said if isinstance(said, str) else json.dumps(said))))
        text = pretty(ordered(document) if unordered else document)
        self.put(f"{name}.json", text, what=what, asked=asked)

    def put_answer(self, name: str, answer: Answer, *, what: str, unordered: bool = False) -> None:
        """Keep an answer as its kind is kept."""
        if answer.kind == "json":
            self.put_json(name, answer.text, what=what, asked=answer.asked, unordered=unordered)
        else:
            self.put(f"{name}.{answer.kind}", answer.text, what=what, asked=answer.asked)

    def write(self, folder: Path, versions: dict[str, str]) -> None:
        """Write the files below ``folder``, and what the index is to say of them beside them."""
        for path, text in self.texts.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        section = Section(versions=versions, files=dict(sorted(self.entries.items())))
        (folder / "section.json").write_text(json.dumps(section), encoding="utf-8")
