"""An interface is known by its own group and version, and by where in Nacos it stands."""

import pytest
from unit.nacos.dubbo_group import GREETER, Group, host, url

from meshbridge import ServiceId


@pytest.mark.parametrize(
    ("place", "interface", "application"),
    [
        (("public", "DEFAULT_GROUP"), ("", GREETER), ("", "", "shop")),
        (("prod", "DEFAULT_GROUP"), ("prod", GREETER), ("prod", "", "shop")),
        (("public", "blue"), ("public:blue", GREETER), ("", "blue", "shop")),
        (("prod", "blue"), ("prod:blue", GREETER), ("prod", "blue", "shop")),
    ],
)
def test_where_an_interface_stands_is_its_namespace(
    place: tuple[str, str], interface: tuple[str, str], application: tuple[str, str, str]
) -> None:
    group = Group(*place)
    group.put(f"providers:{GREETER}:1.0:red", url(group="red", version="1.0"), None)
    group.put("shop", host(8080))
    told, plain = sorted(group.held.values(), key=lambda each: each.id.name)
    namespace, name = interface
    assert told.id == ServiceId(namespace, "red", name, "1.0")
    assert plain.id == ServiceId(*application)
    ((subject, _),) = group.reports
    assert subject == (told.id, "hosts[1]")


def test_an_interface_goes_before_an_application_of_its_name() -> None:
    group = Group()
    group.put(GREETER, host(8080))
    said = group.put(f"providers:{GREETER}::", url())
    assert said[GREETER].unreadable == ((ServiceId("", "", GREETER), "application"),)
    assert group.ids(GREETER) == ["dubbo://10.0.0.1:20880"]
    assert group.put(GREETER, host(8081)) == {}
    group.drop(f"providers:{GREETER}::")
    assert group.ids(GREETER) == ["10.0.0.1:8081"]
    elsewhere = Group("public", "blue")
    elsewhere.put(GREETER, host(8080))
    elsewhere.put(f"providers:{GREETER}::", url())
    assert len(elsewhere.held) == 2
