"""Turns what pydantic refused into lines that a person can act on, without showing a secret."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from meshbridge.settings.document import Document, Place, Plain
from meshbridge.settings.section import kebab

_LONGEST = 60
_SECRETIVE = re.compile(r"passw|secret|token|credential|key$", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*(?=@)")
_TYPED = ("_type", "_error")
_WORDS = re.compile(r"(?P<hint>did you mean .*?; )?allowed: (?P<words>.*)")
SECTION = "keys with values"
"""What a section is called where something else stands."""
_WANTED = {
    "bool_type": "true or false is allowed",
    "bool_parsing": "true or false is allowed",
    "int_type": "a whole number is allowed",
    "int_parsing": "a whole number is allowed",
    "int_from_float": "a whole number is allowed",
    "float_type": "a number is allowed",
    "float_parsing": "a number is allowed",
    "finite_number": "a finite number is allowed",
    "string_type": "text is allowed; put quotes around it",
    "list_type": "a list is allowed",
    "tuple_type": "a list is allowed",
    "set_type": "a list is allowed",
    "frozen_set_type": "a list is allowed",
    "dict_type": f"{SECTION} are allowed",
    "model_type": f"{SECTION} are allowed",
    "model_attributes_type": f"{SECTION} are allowed",
    "dataclass_type": f"{SECTION} are allowed",
}


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean "…"?; `` for a misspelt name, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?; ' if near else ""


def unknown_key(name: str, known: Iterable[str]) -> str:
    """Return what is said about a key that is not known where it stands."""
    names = sorted(known)
    return f"unknown key; {nearest(name, names)}known here: {', '.join(names) or 'none'}"


def show_value(value: Plain, place: Place) -> str:
    """Return a value for a message: short, on one line, masked where it may be a secret."""
    if any(isinstance(step, str) and _SECRETIVE.search(step) for step in place):
        return "a value that is not shown"
    match value:
        case None:
            return "nothing"
        case dict():
            return SECTION
        case list():
            return "a list"
        case str():
            text = json.dumps(_CREDENTIALS.sub("***", value), ensure_ascii=False)
            return text if len(text) <= _LONGEST else f'{text[:_LONGEST]}…"'
        case _:
            return json.dumps(value)


@dataclass(slots=True)
class _Fault:
    """What is wrong at one place; several branches of a choice may each say their part."""

    unknown: bool = False
    says: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """What was found and what is wanted, of each branch."""


def explain(
    error: ValidationError, document: Document, base: Place, model: type[BaseModel]
) -> dict[Place, str]:
    """Return what to say of each place that the model refused.

    ``base`` is where the model's values stand in the document; values are shown as they stand
    there, so that one that came from outside is shown as its reference.
    """
    found: dict[Place, _Fault] = {}
    for each in error.errors(include_url=False, include_input=False):
        place = base + place_of(each, document, base)
        fault = found.setdefault(place, _Fault())
        fault.unknown |= each["type"] == "extra_forbidden"
        said = _say(each, document, place)
        if said not in fault.says:
            fault.says.append(said)
    explained: dict[Place, str] = {}
    for place, fault in found.items():
        if any(len(other) > len(place) and other[: len(place)] == place for other in found):
            continue  # another branch of a choice that went deeper knows better
        explained[place] = _in_one(fault.says, _names_at(model, place[len(base) :]))
        if fault.unknown:
            known = _names_at(model, place[len(base) : -1])
            explained[place] = unknown_key(str(place[-1]), known)
    return explained


def place_of(error: ErrorDetails, document: Document, base: Place) -> Place:
    """Return the error's place within ``base``, as the document spells it.

    Pydantic puts the names of a choice's branches in between, and an adapter's author may name a
    field otherwise than its key.
    """
    steps: list[str | int] = []
    for step in error["loc"]:
        for spelt in (step, kebab(str(step))):
            try:
                document.at((*base, *steps, spelt))
            except LookupError:
                continue
            steps.append(spelt)
            break
    if error["type"] == "missing":
        steps.append(kebab(str(error["loc"][-1])))
    return tuple(steps)


def section_or(known: Iterable[str], *others: str) -> str:
    """Return what is said to be allowed where a section with these keys may stand, or a word."""
    keys = ", ".join(sorted(known))
    return f"allowed: {', or '.join((f'{SECTION} ({keys})', *others))}"


def _in_one(says: list[tuple[str, str]], known: set[str]) -> str:
    """Return what the branches of a choice say, as one sentence if one section is among them.

    ``known`` are the keys of that section.
    """
    found = says[0][0]
    words = [match for each in says if each[0] == found and (match := _WORDS.fullmatch(each[1]))]
    if (found, _WANTED["model_type"]) not in says or len(words) != len(says) - 1 or not words:
        return ", or ".join(each + wanted for each, wanted in says)
    hints = "".join(match["hint"] or "" for match in words)
    return f"{found}{hints}{section_or(known, *(match['words'] for match in words))}"


def _say(error: ErrorDetails, document: Document, place: Place) -> tuple[str, str]:
    """Return what was found, which may be nothing to say, and what is wanted."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "", "missing; it must be given"
    if kind == "value_error":
        said = str(context.get("error", error["msg"]))
        return "" if said.startswith("found ") else _found(document, place), said
    wanted = _WANTED.get(kind)
    if kind in {"literal_error", "enum"}:
        expected = str(context.get("expected", ""))
        known = re.findall(r"'([^']*)'", expected)
        value = document.at(place)
        near = nearest(value, known) if isinstance(value, str) else ""
        wanted = f"{near}allowed: {expected.replace(chr(39), chr(34))}"
    if kind == "too_short":
        wanted = f"at least {context.get('min_length', 1)} must stand in it"
    if kind == "string_pattern_mismatch":
        wanted = f"must have the form {context.get('pattern', '')}"
    if wanted is None:
        wanted = error["msg"].replace("Input should be", "must be").replace("Input", "it")
    return _found(document, place, refuses_type=kind.endswith(_TYPED)), wanted


def _found(document: Document, place: Place, *, refuses_type: bool = False) -> str:
    try:
        value = document.at(place)
    except LookupError:
        return ""
    if isinstance(value, dict) and not refuses_type:
        return ""  # what is wrong is how its keys go together
    return f"found {show_value(value, place)}; "


def keys_of(model: type[BaseModel]) -> dict[str, str]:
    """Return the keys that users write for a model's fields, with what pydantic takes them by.

    A field without an alias is written in kebab-case, whatever its author thought of.
    """
    keys: dict[str, str] = {}
    for name, info in model.model_fields.items():
        alias = info.validation_alias if isinstance(info.validation_alias, str) else info.alias
        keys[alias or kebab(name)] = alias or name
    return keys


def _names_at(model: type[BaseModel], place: Place) -> set[str]:
    """Return the keys known at a place inside the model's values."""
    kinds: list[object] = [model]
    for step in place:
        kinds = [inner for kind in kinds for inner in _inside(kind, step)]
    return {key for kind in kinds for each in _models(kind) for key in keys_of(each)}


def _models(kind: object) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    elif get_origin(kind) is Annotated:
        yield from _models(get_args(kind)[0])
    elif get_origin(kind) in {Union, UnionType}:
        for branch in get_args(kind):
            yield from _models(branch)


def _inside(kind: object, step: str | int) -> Iterator[object]:
    """Yield the types that a value may have at a step into a value of this type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, info in kind.model_fields.items():
            if step in (name, kebab(name), info.alias, info.validation_alias):
                yield info.annotation
    elif origin is Annotated:
        yield from _inside(arguments[0], step)
    elif origin in {Union, UnionType}:
        for branch in arguments:
            yield from _inside(branch, step)
    elif isinstance(origin, type) and issubclass(origin, Mapping) and len(arguments) > 1:
        yield arguments[1]
    elif isinstance(step, int) and arguments:
        yield arguments[0]
