"""A name of Dubbo's in Nacos tells interface, version and group, in each form there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbridge import BadData, ServiceId
from meshbridge_nacos.dubbo_names import DubboName, is_dubbos_name, is_read, read_name


@pytest.mark.parametrize(
    ("name", "service", "either"),
    [
        ("providers:a.B:1.0:blue", ServiceId("", "blue", "a.B", "1.0"), ""),
        ("providers:a.B::blue", ServiceId("", "blue", "a.B"), ""),
        ("providers:a.B:1.0:", ServiceId("", "", "a.B", "1.0"), ""),
        ("providers:a.B::", ServiceId("", "", "a.B"), ""),
        ("providers:a.B:0.0.0:", ServiceId("", "", "a.B"), ""),
        ("providers:a.B", ServiceId("", "", "a.B"), ""),
        ("providers:a.B:1.0", ServiceId("", "", "a.B", "1.0"), "1.0"),
    ],
)
def test_both_forms_are_read(name: str, service: ServiceId, either: str) -> None:
    assert is_dubbos_name(name)
    assert read_name(name) == DubboName("providers", service, either)


def test_what_a_legacy_name_leaves_open_a_record_may_tell() -> None:
    name = read_name("providers:a.B:x")
    assert name.means(ServiceId("", "", "a.B", "x"))
    assert name.means(ServiceId("", "x", "a.B"))
    assert not name.means(ServiceId("", "", "a.B"))
    assert not name.means(ServiceId("", "", "a.C", "x"))
    assert not read_name("providers:a.B:x:").means(ServiceId("", "x", "a.B"))


@pytest.mark.parametrize(
    "name",
    ["providers:", "providers:::", "providers:a.B:1:g:more", f"providers:{'a' * 600}::"],
)
def test_a_name_that_tells_no_interface_is_refused(name: str) -> None:
    assert is_dubbos_name(name)
    with pytest.raises(BadData):
        read_name(name)


@pytest.mark.parametrize("name", ["orders", "providers", "a:b", "Providers:a.B::", ":a.B::", ""])
def test_other_names_are_not_dubbos(name: str) -> None:
    assert not is_dubbos_name(name)
    assert is_read(name)


def test_nothing_is_made_of_rules_in_naming_so_nobody_need_ask_for_them() -> None:
    assert not is_read("configurators:a.B::")
    assert not is_read("routers:a.B::")
    assert is_read("consumers:a.B::")
    assert is_read("providers:a.B::")


@given(st.text(alphabet="abcdeprovirs:.*@@/#% \n\0é", max_size=40))
def test_any_name_is_read_or_refused(tail: str) -> None:
    try:
        read = read_name(f"providers:{tail}")
    except BadData:
        return
    assert read.service.name
    assert read.means(read.service)
