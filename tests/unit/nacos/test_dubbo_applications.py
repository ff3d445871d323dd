"""An application's instances serve the interfaces that the surest of what there is tells."""

from collections.abc import Mapping

from unit.nacos.dubbo_group import GREETER, REVISION, Group, host, node, url

from meshbridge import Health, InstancePort, ServiceId
from meshbridge_dubbo import Variant, read_metadata

AT, TRI = "dubbo://10.0.0.1:20880", "tri://10.0.0.1:50051"
SERVICES = (
    '{"a.Greeter:dubbo":{"name":"a.Greeter","protocol":"dubbo","path":"a.Greeter","port":20880,'
    '"params":{"weight":"50","dubbo.tag":"gray"}}}'
)

METADATA = f'{{"services":{SERVICES}}}'.encode()


def remote(
    revision: str = REVISION,
    ip: str = "10.0.0.1",
    nacos: Mapping[str, object] | None = None,
    **more: str,
) -> dict[str, object]:
    return node(ip=ip, revision=revision, storage="remote", nacos=nacos, **more)


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


def test_metadata_tell_what_instances_of_their_revision_serve() -> None:
    group = Group()
    group.put("shop", remote(), remote(ip="10.0.0.2", nacos={"weight": 3}))
    assert group.held.keys() == {"shop"}
    assert list(group.applications.revisions.wanted) == [("shop", REVISION)]
    group.learn("shop", services=SERVICES)
    first, second = group.held[GREETER].instances
    assert (first.id, first.weight) == (AT, 0.5)
    assert (second.id, second.weight) == ("dubbo://10.0.0.2:20880", 1.5)
    assert dict(first.metadata)["dubbo.tag"] == "gray"
    assert [each.weight for each in group.held["shop"].instances] == [0.5, 1.5]
    assert not group.applications.revisions.wanted
    assert group.put("shop", remote(), remote(ip="10.0.0.2", nacos={"weight": 3})) == {}


def test_an_instance_that_goes_takes_what_it_serves_along() -> None:
    group = Group()
    group.put("shop", remote(), remote(ip="10.0.0.2"))
    group.learn("shop", services=SERVICES)
    group.put("shop", remote(ip="10.0.0.2"))
    assert group.ids(GREETER) == ["dubbo://10.0.0.2:20880"]
    said = group.drop("shop")
    assert said[GREETER].service is None
    assert not group.applications.revisions.known


def test_a_new_revision_serves_what_the_last_did_until_it_is_known() -> None:
    group = Group()
    group.put("shop", remote())
    group.learn("shop", services=SERVICES)
    group.put("shop", remote("new"))
    assert group.ids(GREETER) == [AT]
    group.applications.fail(("shop", "new"), "no right")
    said = group.take()
    assert group.ids(GREETER) == [AT]
    assert said["shop"].unreadable == ((ServiceId("", "", "shop"), "interfaces of revision new"),)
    assert group.reports[-1][1] == "they cannot be read: no right"
    group.applications.fail(("shop", "new"), "no right")
    assert group.take() == {}
    group.learn("shop", revision="new", services="{}")
    assert GREETER not in group.held
    assert group.held.keys() == {"shop"}


def test_a_process_on_other_ports_serves_nothing_of_the_last_one() -> None:
    group = Group()
    group.put("shop", remote())
    group.learn("shop", services=SERVICES)
    group.put("shop", node(("dubbo", 20880), ("tri", 50051), revision="new", storage="remote"))
    assert GREETER not in group.held


def test_interfaces_tell_of_a_new_revision_before_its_metadata_do() -> None:
    group = Group()
    group.put(f"providers:{GREETER}::", url())
    group.put("shop", remote())
    assert group.ids(GREETER) == [AT]
    group.put("shop", remote(disabled="true"))
    (instance,) = group.held[GREETER].instances
    assert instance.health is Health.DISABLED


def test_metadata_that_cannot_be_read_are_said_and_then_a_mapping_tells() -> None:
    group = Group()
    group.put("shop", remote())
    group.applications.fail(("shop", REVISION), "no right")
    assert group.take() == {}
    group.ripen()
    assert group.reports == [
        (
            (ServiceId("", "", "shop"), f"interfaces of revision {REVISION}"),
            "they cannot be read: no right",
        )
    ]
    said = group.map("shop", a_Greeter={Variant("red", "1.0"), Variant("", "")})
    assert group.ids(GREETER) == group.ids(f"red@@{GREETER}#1.0") == [AT]
    assert said["shop"].unreadable == ()
    group.put("shop", remote("new"))
    assert group.ids(GREETER) == [AT]
    group.learn("shop", revision="new", services=SERVICES)
    assert group.held.keys() == {GREETER, "shop"}


def test_a_mapping_is_not_gone_by_before_interfaces_had_time_to_tell() -> None:
    group = Group()
    group.map("shop", a_Greeter=set(), a_Stock=set())
    group.put("shop", node(("dubbo", 20880), ("tri", 50051), revision=REVISION))
    assert group.held.keys() == {"shop"}
    assert len(group.applications.doubtful()) == 1
    group.ripen()
    assert group.ids(GREETER) == group.ids("a.Stock") == [AT, TRI]
    assert group.ripen() == {}
    group.map("shop", a_Greeter=set())
    assert group.held.keys() == {"shop", GREETER}
    group.map("other", a_Greeter=set())
    assert group.held.keys() == {"shop"}
    assert group.reports[-1][1] == (
        "the application keeps them to itself, and no mapping names any"
    )


def test_an_instance_without_a_revision_may_serve_what_mappings_name() -> None:
    """Dubbo 2.7 with registry-type=service tells none, whatever it exports."""
    group = Group()
    group.put("shop", node())
    group.ripen()
    ((subject, reason),) = group.reports
    assert subject == (ServiceId("", "", "shop"), "interfaces")
    assert reason.startswith("the application tells no revision")
    group.map("shop", a_Greeter=set())
    assert group.ids(GREETER) == [AT]


def test_an_instance_that_exports_nothing_serves_nothing() -> None:
    group = Group()
    group.put("shop", node(revision="0"))
    assert group.applications.doubtful() == frozenset()
    assert group.held.keys() == {"shop"}
    assert group.reports == []


def test_a_record_of_dubbos_that_cannot_be_read_spoils_itself_only() -> None:
    group = Group()
    bad = host(20881, metadata={"dubbo.endpoints": "[{"})
    said = group.put("shop", bad, node())
    assert group.ids("shop") == ["10.0.0.1:20880"]
    assert said["shop"].unreadable == ((ServiceId("", "", "shop"), "10.0.0.1:20881"),)


def test_an_interface_of_the_metadata_that_cannot_be_read_is_said() -> None:
    group = Group()
    group.put("shop", remote())
    services = (
        f'{{"bad":{{"name":1}},"worse":{{"name":"a.B","protocol":"","port":1}},{SERVICES[1:]}'
    )
    said = group.learn("shop", services=services)
    assert group.ids(GREETER) == [AT]
    shop = ServiceId("", "", "shop")
    assert said["shop"].unreadable == ((shop, "bad"), (shop, "worse"))


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


def test_what_is_retained_after_a_gap_needs_no_metadata_again() -> None:
    group = Group()
    group.put("shop", remote())
    group.put("gone", host(8080))
    group.put("providers:a.Gone::", url(interface="a.Gone"))
    group.learn("shop", services=SERVICES)
    group.registrations.refuse("never", "no right")
    group.registrations.retain({"shop"})
    group.put("shop", remote())
    assert group.held.keys() == {"shop", GREETER}
    assert not group.applications.revisions.wanted


def test_what_a_session_left_half_done_is_done_by_the_next() -> None:
    group = Group()
    group.put("shop", remote())
    group.applications.learn(("shop", REVISION), read_metadata(METADATA))
    begun = group.registrations.take()
    assert next(begun) is None
    begun.close()
    group.registrations.retain({"shop"})
    group.take()
    assert group.ids(GREETER) == [AT]


def test_many_interfaces_are_worked_out_in_steps() -> None:
    group = Group()
    exported = ",".join(
        f'"a.I{n}:dubbo":{{"name":"a.I{n}","protocol":"dubbo","port":20880}}' for n in range(250)
    )
    group.put("shop", remote())
    group.learn("shop", services=f"{{{exported}}}")
    assert len(group.held) == 251


def test_what_is_learnt_of_an_instance_that_has_gone_is_forgotten() -> None:
    group = Group()
    group.put("shop", remote())
    group.drop("shop")
    assert group.learn("shop", services=SERVICES) == {}
    assert not group.applications.revisions.known


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
