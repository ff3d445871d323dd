"""A value that never prints: only :meth:`Secret.reveal` gives it away."""

import hmac
from typing import Never, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

_MASK = "***"


class Secret:
    """A password or token: masked in repr, str, format, JSON and every model that holds it."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        """Keep the text."""
        self.__value = value

    def reveal(self) -> str:
        """Return the text; call it only where it is handed to the registry's client."""
        return self.__value

    def __repr__(self) -> str:
        """Return a mask of one length."""
        return f"Secret('{_MASK}')"

    def __str__(self) -> str:
        """Return a mask of one length."""
        return _MASK

    def __format__(self, spec: str) -> str:
        """Return the mask, so that an f-string cannot leak it either."""
        return format(_MASK, spec)

    def __bool__(self) -> bool:
        """Say whether there is any text."""
        return bool(self.__value)

    def __eq__(self, other: object) -> bool:
        """Compare without telling by the time taken where they differ."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.__value.encode())

    def __hash__(self) -> int:
        """Return a hash that goes with equality."""
        return hash((Secret, self.__value))

    def __copy__(self) -> Self:
        """Return itself: it is immutable."""
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Return itself, so that ``dataclasses.asdict`` and model copies work."""
        return self

    def __reduce__(self) -> Never:
        """Refuse: a pickle would hold the text, and a masked one a wrong password.

        Raises TypeError.
        """
        message = "a secret cannot be pickled"
        raise TypeError(message)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Accept text, and show the mask in every dump."""
        return core_schema.no_info_plain_validator_function(
            _validate, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe it for ``meshbridge adapters``."""
        return {"type": "string", "format": "secret"}


def _validate(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        kind, message = "secret_type", "must be text; put quotes around a number"
        raise PydanticCustomError(kind, message)
    return Secret(value)
