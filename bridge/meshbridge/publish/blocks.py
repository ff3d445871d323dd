"""What the blocks of ``publish:`` are made of: keys in kebab-case, none unknown, frozen values."""

from collections.abc import Mapping
from typing import Annotated, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict


def _kebab(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _pattern(text: str) -> str:
    if not text:
        message = "found an empty pattern; allowed: names with *, ? and [...]"
        raise ValueError(message)
    return text


def _pairs(value: object) -> object:
    """Turn a mapping of texts into sorted pairs, which can be hashed."""
    if isinstance(value, tuple):
        return cast("object", value)
    if not isinstance(value, Mapping):
        message = f"found {value!r}; allowed: a mapping such as {{key: value}}"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns only ValueError into a message
    mapping = cast("Mapping[object, object]", value)
    for key, text in mapping.items():
        if not isinstance(key, str) or not isinstance(text, str):
            message = f"found {key!r}: {text!r}; allowed: texts, so put them into quotation marks"
            raise ValueError(message)  # noqa: TRY004 - as above
    return tuple(sorted(mapping.items(), key=str))


Pattern = Annotated[str, AfterValidator(_pattern)]
Pairs = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_pairs)]


class Block(BaseModel):
    """A part of the configuration that is checked whole when it is read."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=_kebab,
        validate_by_name=True,
        validate_by_alias=True,
        arbitrary_types_allowed=True,
    )
