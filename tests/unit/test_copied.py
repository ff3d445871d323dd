"""A copy of a mapping is a dictionary of its own, whatever it was made of."""

from collections import UserDict
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from meshbridge.copied import copied


@pytest.mark.parametrize(
    "mapping",
    [{"a": 1}, MappingProxyType({"a": 1}), UserDict({"a": 1})],
    ids=["dict", "proxy", "other"],
)
def test_a_copy_is_a_dictionary_of_its_own(mapping: Mapping[str, int]) -> None:
    copy = copied(mapping)
    copy["b"] = 2
    assert copy == {"a": 1, "b": 2}
    assert mapping == {"a": 1}
