"""Dubbo's consumers in Nacos are no services, and are known to the services that they call."""

from unit.nacos.dubbo_group import GREETER, Group, host, url

from meshbridge import Consumer, ServiceId

CALLER = {
    "interface": GREETER,
    "path": GREETER,
    "protocol": "consumer",
    "category": "consumers",
    "application": "web",
    "pid": "1",
}


def test_consumers_are_told_with_the_services_that_they_call() -> None:
    group = Group()
    group.put(f"consumers:{GREETER}::*", host(0, "10.1.0.1", metadata=CALLER | {"group": "*"}))
    assert group.held == {}
    group.put(f"providers:{GREETER}::blue", url(group="blue"))
    group.put(f"providers:{GREETER}:1.0:", url(version="1.0"))
    told = Consumer("10.1.0.1#web#1", "10.1.0.1", "web", (("application", "web"), ("group", "*")))
    assert group.held[f"blue@@{GREETER}"].consumers == (told,)
    assert group.held[f"{GREETER}#1.0"].consumers == ()
    group.put(
        f"consumers:{GREETER}:1.0:", host(0, "10.1.0.1", metadata=CALLER | {"version": "1.0"})
    )
    assert len(group.held[f"{GREETER}#1.0"].consumers) == 1
    said = group.drop(f"consumers:{GREETER}::*")
    assert f"blue@@{GREETER}" in said
    assert group.held[f"blue@@{GREETER}"].consumers == ()
    group.drop(f"consumers:{GREETER}:1.0:")
    assert group.held[f"{GREETER}#1.0"].consumers == ()


def test_a_consumer_that_cannot_be_read_is_named_with_what_it_calls() -> None:
    group = Group()
    group.put(f"providers:{GREETER}::", url())
    said = group.put(f"consumers:{GREETER}::", host(0, metadata=CALLER | {"protocol": "dubbo"}))
    (subject,) = said[GREETER].unreadable
    assert subject == (ServiceId("", "", GREETER), "dubbo://10.0.0.1")
    group.put(f"consumers:{GREETER}::", host(0, metadata=CALLER))
    said = group.put(f"consumers:{GREETER}::", host(0, metadata=CALLER, weight="odd"))
    assert said[GREETER].unreadable == ((ServiceId("", "", GREETER), "10.0.0.1#web#1"),)
    assert len(group.held[GREETER].consumers) == 1
