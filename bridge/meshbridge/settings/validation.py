"""Validates parts of a document against models, and gathers every fault before it gives up."""

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from meshbridge.errors import ConfigurationError
from meshbridge.settings.document import Document, Place, Plain, parse_document
from meshbridge.settings.faults import (
    SECTION,
    explain,
    keys_of,
    place_of,
    show_value,
    unknown_key,
)
from meshbridge.settings.interpolation import Interpolated
from meshbridge.settings.values import Surroundings

_Model = TypeVar("_Model", bound=BaseModel)
_NUMBERS = {"int_type", "float_type", "bool_type"}


class Validation:
    """One pass over one document."""

    def __init__(
        self, document: Document, interpolated: Interpolated, surroundings: Surroundings
    ) -> None:
        self._document = document
        self._interpolated = interpolated
        self._surroundings = surroundings
        self._faults: dict[Place, str] = dict(interpolated.faults)

    def fault(self, place: Place, text: str) -> None:
        """Note what is wrong at a place, unless that is known already."""
        self._faults.setdefault(place, self._interpolated.hide(text, place))

    def finish(self) -> None:
        """Raise ConfigurationError with one line for each fault, in the file's order."""
        places = sorted(self._faults, key=lambda place: (self._document.line(place), str(place)))
        if places:
            raise ConfigurationError(
                *(self._document.fault(place, self._faults[place]) for place in places)
            )

    def keys(
        self, value: Plain, place: Place, allowed: str = f"{SECTION} are allowed"
    ) -> dict[str, Plain]:
        """Return the keys of a section; one that is left empty has none."""
        if isinstance(value, dict):
            return value
        if value is not None:
            found = show_value(self._document.at(place), place)
            self.fault(place, f"found {found}; {allowed}")
        return {}

    def refuse_unknown(
        self, section: dict[str, Plain], place: Place, known: set[str], later: dict[str, str]
    ) -> None:
        """Note the keys that are not known, and those that only a later version will know."""
        for key in section:
            if key in later:
                self.fault((*place, key), f"this version has no {later[key]} yet; remove the key")
            elif key not in known:
                self.fault((*place, key), unknown_key(key, known))

    def options(
        self,
        model: type[BaseModel],
        section: dict[str, Plain],
        place: Place,
        others: set[str],
        later: dict[str, str],
    ) -> BaseModel | None:
        """Return a plug-in's options: the section's keys that are not ``others``.

        An unknown key is refused even when the plug-in's author forgot to.
        """
        mine = {key: each for key, each in section.items() if key not in others | set(later)}
        if model.model_config.get("extra") != "allow":
            known = set(keys_of(model))
            self.refuse_unknown(section, place, known | others, later)
            mine = {key: each for key, each in mine.items() if key in known}
        return self.model(model, mine, place)

    def model(self, model: type[_Model], section: dict[str, Plain], place: Place) -> _Model | None:
        """Return the section as the model, or ``None`` when it has faults, which are noted."""
        keys = keys_of(model)
        values: dict[str, Plain] = {keys.get(key, key): each for key, each in section.items()}
        try:
            return self._parse(model, values)
        except ValidationError as error:
            refused = error
        try:
            if self._retype(refused, values, place):
                return self._parse(model, values)
        except ValidationError as error:
            refused = error
        for where, text in explain(refused, self._document, place, model).items():
            self.fault(where, text)
        return None

    def _parse(self, model: type[_Model], values: dict[str, Plain]) -> _Model:
        # By way of JSON: a strict model takes a list for a tuple and text for an enum only there.
        return model.model_validate_json(
            json.dumps(values), by_alias=True, by_name=False, context=self._surroundings
        )

    def _retype(self, error: ValidationError, values: dict[str, Plain], place: Place) -> bool:
        """Read text from outside as a number where that is wanted; say whether any was."""
        changed = False
        for each in error.errors(include_url=False, include_input=False):
            where = place_of(each, self._document, place)
            if each["type"] not in _NUMBERS or place + where not in self._interpolated.places:
                continue
            changed |= _replace(values, each["loc"])
        return changed


def _replace(value: Plain, steps: tuple[str | int, ...]) -> bool:
    """Replace the text at the steps by what YAML would read it as; say whether that differs.

    Steps that are not there are pydantic's names for the branches of a choice.
    """
    for index, step in enumerate(steps):
        if isinstance(value, dict) and isinstance(step, str) and step in value:
            inner, value[step] = value[step], _read(value[step])
            return value[step] is not inner or _replace(inner, steps[index + 1 :])
        if isinstance(value, list) and isinstance(step, int) and step < len(value):
            inner, value[step] = value[step], _read(value[step])
            return value[step] is not inner or _replace(inner, steps[index + 1 :])
    return False


def _read(value: Plain) -> Plain:
    return parse_scalar(value) if isinstance(value, str) else value


def parse_scalar(text: str) -> Plain:
    """Return what YAML would read the text as; text that is no number stays text."""
    try:
        read = parse_document(text.encode(), "").root
    except ConfigurationError:
        return text
    return read if isinstance(read, bool | int | float) else text
