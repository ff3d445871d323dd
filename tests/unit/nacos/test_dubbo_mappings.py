"""Configurations' names and texts tell in reverse which interfaces an application serves."""

import pytest

from meshbridge import BadData
from meshbridge_dubbo import Variant
from meshbridge_nacos.dubbo_mappings import Name, mapped, names_on, to_read
from meshbridge_nacos.parse import Record

NAMES = [
    Name("mapping", "a.B"),
    Name("mapping-a.C", "old"),
    Name("mappings", "a.D"),
    Name("DEFAULT_GROUP", "shop"),
]


def test_a_page_is_that_of_either_release() -> None:
    assert names_on({"pageItems": [{"group": "g", "dataId": "d"}]}) == [Name("g", "d")]
    page: Record = {"data": {"pageItems": [{"groupName": "g", "dataId": "d"}, None, {}]}}
    assert names_on(page) == [Name("g", "d")]


@pytest.mark.parametrize("page", [{}, {"data": None}, {"data": {}}, {"pageItems": "x"}])
def test_what_lists_nothing_is_refused(page: Record) -> None:
    with pytest.raises(BadData):
        names_on(page)


def test_only_texts_of_dubbo_3_need_to_be_read() -> None:
    assert to_read(NAMES) == {"a.B"}


def test_both_releases_and_definitions_are_taken_together() -> None:
    definitions = [
        "a.B:1.0:blue:provider:shop",
        "a.B:::provider:shop",
        "a.B:2.0::provider:stranger",
        "a.C:2.0:",
        "a.C:2.0::consumer:old",
        "org.apache.dubbo.metadata.MetadataService:1.0.0:shop:provider:shop",
    ]
    assert mapped(NAMES, {"a.B": ["shop", "old"]}, definitions) == {
        "shop": {"a.B": {Variant("blue", "1.0"), Variant("", "")}},
        "old": {"a.B": set(), "a.C": set()},
    }
