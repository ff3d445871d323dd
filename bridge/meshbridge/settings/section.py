"""The base of every section of the configuration: strict, frozen, kebab-case, nothing unknown."""

from pydantic import BaseModel, ConfigDict


def kebab(name: str) -> str:
    """Return a field's name as it stands in YAML."""
    return name.replace("_", "-")


class Section(BaseModel):
    """One section; an adapter's or outlet's ``Options`` best inherits it.

    Field ``hold_service`` is the key ``hold-service``. Text is not taken for a number nor a number
    for text. ``meshbridge adapters`` shows each field's type, default and ``description``.
    """

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=kebab,
        populate_by_name=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )
