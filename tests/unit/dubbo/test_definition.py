"""A service definition says which group and version of an interface it is of; guesses use it."""

import pytest

from meshbridge import BadData, Instance, ServiceId
from meshbridge_dubbo import Variant, dubbo_instance, guessed_providers, read_definition

METADATA = {"dubbo.endpoints": '[{"port":20880,"protocol":"dubbo"}]'}
INSTANCE = dubbo_instance("shop", Instance("10.0.0.1:20880", "10.0.0.1", ()), 20880, METADATA)


def test_group_and_version_are_parameters_of_a_definition() -> None:
    text = (
        b'{"canonicalName": "a.B", "parameters": {"group": "blue", "version": "1.0", "pid": "1"}}'
    )
    assert read_definition(text) == Variant("blue", "1.0")
    assert read_definition(b"{}") == Variant("", "")


@pytest.mark.parametrize(
    "text", [b"", b"[]", b'{"parameters": []}', b'{"parameters": {"group": 1}}']
)
def test_what_is_no_definition_is_refused(text: bytes) -> None:
    with pytest.raises(BadData):
        read_definition(text)


def test_an_instance_is_guessed_to_serve_each_known_variant() -> None:
    known = {"a.B": {Variant("blue", "1.0"), Variant("", "2.0")}}
    served = guessed_providers(INSTANCE, ["a.B", "a.C"], known)
    assert [each.service for each in served.providers] == [
        ServiceId("", "", "a.B", "2.0"),
        ServiceId("", "blue", "a.B", "1.0"),
        ServiceId("", "", "a.C"),
    ]
