"""An application's instances serve the interfaces that the surest of what there is tells."""

from unit.nacos.dubbo_group import AT, GREETER, REVISION, SERVICES, Group, host, node, remote, url

from meshbridge import Health, InstancePort, ServiceId
from meshbridge_dubbo import Variant


def test_what_is_not_dubbos_passes_through() -> None:
    group = Group()
    said = group.put("orders", host(8080, metadata={"version": "v1"}), host("x"))
    assert said["orders"].service is not None
    (instance,) = said["orders"].service.instances
    assert (instance.id, instance.metadata) == ("10.0.0.1:8080", (("version", "v1"),))
    assert said["orders"].unreadable == ((ServiceId("", "", "orders"), "hosts[1]"),)
    assert group.applications.doubtful() == frozenset()
    group.drop("orders")
    assert group.held == {}
    assert group.drop("orders") == {}


def test_an_application_has_the_ports_that_it_tells() -> None:
    group = Group()
    said = group.put("shop", node(("dubbo", 20880), ("tri", 50051), timestamp="1000", x="y"))
    assert said["shop"].service is not None
    (instance,) = said["shop"].service.instances
    assert instance.id == "10.0.0.1:20880"
    assert instance.ports == (InstancePort(20880, "dubbo"), InstancePort(50051, "tri"))
    assert (instance.registered_at, instance.metadata) == (1.0, (("x", "y"),))


def test_spring_and_dubbo_of_one_process_are_instances_of_one_service() -> None:
    group = Group()
    group.put("shop", host(8080), node())
    assert group.ids("shop") == ["10.0.0.1:8080", "10.0.0.1:20880"]


def test_an_application_that_registers_both_ways_is_told_once() -> None:
    group = Group()
    group.put("shop", node(revision=REVISION))
    group.put(f"providers:{GREETER}:1.0:", url(version="1.0", weight="50", region="hz"))
    (service,) = [group.held[name] for name in group.held if name != "shop"]
    assert [each.id for each in service.instances] == [AT]
    (instance,) = group.held["shop"].instances
    assert (instance.weight, instance.metadata) == (0.5, (("region", "hz"),))
    assert group.applications.doubtful() == frozenset()
    group.map("shop", a_Greeter={Variant("", "")})
    assert group.held.keys() == {f"{GREETER}#1.0", "shop"}


def test_what_interfaces_have_told_of_is_never_guessed_about() -> None:
    group = Group()
    group.put("shop", node(revision=REVISION))
    group.put(f"providers:{GREETER}::", url())
    group.map("shop", a_Greeter=set())
    group.put(f"providers:{GREETER}::")
    group.ripen()
    assert group.held[GREETER].instances == ()
    group.put("shop", node(revision="another"))
    group.ripen()
    assert group.held[GREETER].instances == ()


def test_an_instance_that_is_out_takes_its_interfaces_out() -> None:
    group = Group()
    group.put(f"providers:{GREETER}::", url())
    group.put("shop", node(disabled="true"))
    (instance,) = group.held[GREETER].instances
    assert (instance.id, instance.health) == (AT, Health.DISABLED)
    group.put("shop", node())
    (instance,) = group.held[GREETER].instances
    assert instance.health is Health.HEALTHY


def test_a_record_of_dubbos_that_cannot_be_read_spoils_itself_only() -> None:
    group = Group()
    bad = host(20881, metadata={"dubbo.endpoints": "[{"})
    said = group.put("shop", bad, node())
    assert group.ids("shop") == ["10.0.0.1:20880"]
    assert said["shop"].unreadable == ((ServiceId("", "", "shop"), "10.0.0.1:20881"),)


def test_an_application_that_cannot_be_read_holds_what_it_held() -> None:
    group = Group()
    group.put("shop", remote())
    group.learn("shop", services=SERVICES)
    said = group.refuse("shop", "no right")
    assert said["shop"].unreadable == (ServiceId("", "", "shop"),)
    assert group.ids(GREETER) == [AT]
    group.refuse("new", "no right")
    assert group.held["new"].instances == ()
    group.drop("shop")
    group.drop("new")
    assert group.held == {}


def test_interfaces_go_on_telling_while_one_form_of_their_name_does() -> None:
    group = Group()
    provider = url(version="1.0", weight="50")
    group.put("shop", node())
    group.put(f"providers:{GREETER}:1.0:", provider)
    group.put(f"providers:{GREETER}:1.0", provider)
    group.drop(f"providers:{GREETER}:1.0:")
    (instance,) = group.held["shop"].instances
    assert instance.weight == 0.5
    group.drop(f"providers:{GREETER}:1.0")
    (instance,) = group.held["shop"].instances
    assert instance.weight == 1.0


def test_one_endpoint_may_be_two_instances() -> None:
    group = Group()
    first, second = node(), node(nacos={"clusterName": "hz"})
    group.put("shop", first, second)
    group.put("shop", second)
    group.put(f"providers:{GREETER}::", url(weight="50"))
    (instance,) = group.held["shop"].instances
    assert (instance.id, instance.weight, instance.zone) == ("10.0.0.1:20880@hz", 0.5, "hz")
