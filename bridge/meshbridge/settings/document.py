"""Reads YAML into plain values: bounded, without surprises, every value's line remembered.

Numbers, true, false and null are read as YAML 1.2 does, so that ``on``, ``12:30`` and dates stay
text. A key that stands twice, a tag, a merge key, and what is too deep or too much are refused.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from meshbridge.errors import ConfigurationError

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
"""What a document is made of."""
Place = tuple[str | int, ...]
"""Keys and list positions from the top of a document to one value."""

_MOST_BYTES = 1024 * 1024
_MOST_VALUES = 100_000
_DEEPEST = 40
_PREFIX = "tag:yaml.org,2002:"
_QUOTED = re.compile(r"'([^']*)'")
"""What the parser quotes, from one quote to its partner."""
_OWN = re.compile(r".?|[<\\].*", re.DOTALL)
"""Of that, single characters, escapes and names of its own; all else are the document's words."""
_TAGGED = "has a tag; remove it, or put quotes around a text that begins with !"


def show_place(place: Place) -> str:
    """Return a place as users read it: ``registries[0].publish.host``."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML file holds, and where."""

    name: str
    """The file as the user named it."""
    root: Plain
    lines: dict[Place, int] = field(default_factory=dict[Place, int])
    """The line of each key or list item, counted from 1."""

    def line(self, place: Place) -> int:
        """Return the line of a place, or of the section it is missing from; 0 for the whole."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 0)

    def fault(self, place: Place, text: str) -> str:
        """Return the line that names the place and says what is wrong there."""
        line = self.line(place)
        where = f"{show_place(place)}: " if place else ""
        return f"{self.name}{f':{line}' if line else ''}: {where}{text}"

    def at(self, place: Place) -> Plain:
        """Return the value there; raises LookupError where there is none."""
        value = self.root
        for step in place:
            match value, step:
                case dict(), str():
                    value = value[step]
                case list(), int():
                    value = value[step]
                case _:
                    raise LookupError(show_place(place))
        return value


def read_document(path: Path) -> Document:
    """Return what the YAML file at ``path`` holds.

    Raises ConfigurationError, with one line, for a file that cannot be read or is refused.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror or error}"
        raise ConfigurationError(message) from None
    if len(raw) > _MOST_BYTES:
        message = f"{path}: is larger than {_MOST_BYTES // 1024 // 1024} MiB"
        raise ConfigurationError(message)
    return parse_document(raw, str(path))


def parse_document(raw: bytes, name: str) -> Document:
    """Return what the YAML text holds; ``name`` is what faults call it.

    Raises ConfigurationError, with one line, when it is not YAML or refused.
    """
    try:
        loader = _Loader(raw)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        message = f"{name}{line}: is not YAML: {_one_line(error.problem or error.context or '')}"
        raise ConfigurationError(message) from None
    except yaml.YAMLError as error:
        message = f"{name}: is not YAML: {_one_line(str(error))}"
        raise ConfigurationError(message) from None
    reader = _Reader(name)
    root = reader.read(node, ()) if node is not None else None
    return Document(name, root, reader.lines)


def _one_line(text: str) -> str:
    """Return what the parser says, without words of the document: they may be a password's."""
    shown = _QUOTED.sub(lambda found: found[0] if _OWN.fullmatch(found[1]) else "'***'", text)
    return " ".join(shown.split())


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Return the patterns of YAML 1.2's core schema by the first letter they may have."""
    rules = (
        ("null", r"~|null|Null|NULL|", "~nN"),
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("int", r"[-+]?[0-9]{1,30}|0x[0-9a-fA-F]{1,16}|0o[0-7]{1,21}", "-+0123456789"),
        (
            "float",
            (
                r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?"
                r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
            ),
            "-+.0123456789",
        ),
    )
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {"": []}
    for tag, pattern, letters in rules:
        rule = (_PREFIX + tag, re.compile(rf"(?:{pattern})\Z"))
        for letter in letters:
            found.setdefault(letter, []).append(rule)
    found[""].append((_PREFIX + "null", re.compile(r"\Z")))
    return found


class _Loader(yaml.SafeLoader):
    """Composes nodes and never constructs objects."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        # Looked up on the instance: the base class has those of YAML 1.1 (on, 12:30, dates).
        self.yaml_implicit_resolvers = _resolvers()
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node, unless it lies too deep."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise yaml.MarkedYAMLError(
                problem=f"it is nested deeper than {_DEEPEST}", problem_mark=self.get_mark()
            )
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Reader:
    """Turns nodes into plain values; counts, because aliases can make much of little."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._values = 0
        self.lines: dict[Place, int] = {}

    def read(self, node: yaml.Node, place: Place) -> Plain:
        """Return the value of the node. Raises ConfigurationError."""
        self._values += 1
        if len(place) > _DEEPEST or self._values > _MOST_VALUES:
            raise self._refusal(node, place, "is too deep or too large once its aliases are read")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, place)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_PREFIX}seq":
            return [self._read_at(each, (*place, i)) for i, each in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_PREFIX}map":
            return self._mapping(node, place)
        raise self._refusal(node, place, _TAGGED)

    def _read_at(self, node: yaml.Node, place: Place, line: int | None = None) -> Plain:
        self.lines[place] = line or node.start_mark.line + 1
        return self.read(node, place)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Plain]:
        read: dict[str, Plain] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._refusal(key_node, place, "has a key that is not text")
            key: str = key_node.value
            line: int = key_node.start_mark.line + 1
            if key in read:
                text = f"stands twice, also in line {self.lines[(*place, key)]}; keep one"
                raise self._refusal(key_node, (*place, key), text)
            if key == "<<" and key_node.style is None:
                text = "merge keys (<<) are not read; write the keys, or an alias of a whole value"
                raise self._refusal(key_node, place, text)
            read[key] = self._read_at(value_node, (*place, key), line)
        return read

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Plain:
        text: str = node.value
        match node.tag.removeprefix(_PREFIX):
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text, {"0x": 16, "0o": 8}.get(text[:2], 10))
            case "float":
                return float(re.sub(r"\.(?=[iInN])", "", text))
            case _:
                raise self._refusal(node, place, _TAGGED)

    def _refusal(self, node: yaml.Node, place: Place, text: str) -> ConfigurationError:
        lines = {place: node.start_mark.line + 1}
        return ConfigurationError(Document(self._name, None, lines).fault(place, text))
