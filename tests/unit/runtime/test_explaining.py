"""An explanation names the stage at which a thing was lost, and says served of what is served."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Never

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.runtime.examples import Log, Scripted, service, sid

from meshbridge import (
    Adapter,
    Context,
    Emit,
    Health,
    Instance,
    InstancePort,
    Listing,
    ServiceId,
    Stale,
)
from meshbridge import RegisteredService as Service
from meshbridge.admin.explaining import EXPLAIN, What
from meshbridge.admin.operations import operations
from meshbridge.bridge import Bridge, RegistryRuntime
from meshbridge.cli.explain import explain_name
from meshbridge.explaining import Explanation, Stage, explain
from meshbridge.outlet import Delivery, Outlet, OutletContext, Subscriber
from meshbridge.publish import PublishRules, Registry
from meshbridge.service import Service as Served
from meshbridge.settings.guard import GuardOptions
from meshbridge.snapshot import Snapshot, Snapshots
from meshbridge.testing import Clock

NONE: Mapping[str, object] = {}
"""Rules that say nothing."""
Look = Callable[[Bridge, list[Scripted]], Awaitable[None]]


def listing(*services: Service) -> Callable[[Emit], None]:
    def script(emit: Emit) -> None:
        emit(Listing("all", services))

    return script


def silent(_: Emit) -> None:
    """Say nothing."""


def watch(look: Look, *registries: tuple[Callable[[Emit], None], Mapping[str, object]]) -> None:
    """Run registries r0, r1, … with these scripts and rules until ``look`` has looked."""
    clock, adapters = Clock(), list[Scripted]()

    def make(script: Callable[[Emit], None]) -> Callable[[Context], Adapter]:
        def made(context: Context) -> Adapter:
            adapters.append(Scripted(context, script))
            return adapters[-1]

        return made

    async def main() -> None:
        runtimes = [
            RegistryRuntime(
                Registry(f"r{order}", order, PublishRules.model_validate({"domain": "d", **rules})),
                make(script),
                guard=GuardOptions.model_validate({"min-size": 2}),
            )
            for order, (script, rules) in enumerate(registries)
        ]
        bridge = Bridge(runtimes, clock, clock.sleep, Log().logger(), unix=clock)
        task = asyncio.create_task(bridge.run())
        await clock.sleep(1)
        await look(bridge, adapters)
        task.cancel()
        await asyncio.wait({task})

    clock.run(main())


def explained(
    *registries: tuple[Callable[[Emit], None], Mapping[str, object]],
    asked: str,
    then: Listing | Stale | None = None,
    outlets: Mapping[str, Outlet] | None = None,
) -> Explanation:
    """Return what is said of ``asked``, after the first registry has said ``then``."""
    found: list[Explanation] = []

    async def look(bridge: Bridge, adapters: list[Scripted]) -> None:
        if then is not None:
            emit = adapters[0].emit
            assert emit is not None
            emit(then)
            await asyncio.sleep(1)
        found.append(await explain(bridge, outlets or {}, asked))

    watch(look, *registries)
    return found[0]


def at(said: Explanation) -> tuple[bool, bool, Stage | None]:
    return said.known, said.served, said.lost


def lost(stage: Stage) -> tuple[bool, bool, Stage]:
    return True, False, stage


SERVED = (True, True, None)


@pytest.mark.parametrize(
    "asked", ["orders.d", "orders.d:80", "ORDERS.d", "shop", "orders", "10.0.0.1:81", "10.0.0.1"]
)
def test_what_is_served_is_explained_by_each_of_its_names(asked: str) -> None:
    said = explained((listing(service("orders", 81)), {"aliases": ["shop"]}), asked=asked)
    assert at(said) == SERVED
    (registration,) = said.registrations
    assert (registration.host, registration.served) == ("orders.d", 1)
    assert [each.stage for each in registration.notes] == list(Stage)[:-1]


@pytest.mark.parametrize(
    "asked",
    [
        "http://Orders.d/api?x=1",
        "https://orders.d:80",
        "xds:///orders.d",
        "http://10.0.0.1:81/",
        "ORDERS",
    ],
)
def test_what_was_copied_from_elsewhere_is_understood(asked: str) -> None:
    """A URL, or the name in the case in which an application writes it."""
    said = explained((listing(service("orders", 81)), NONE), asked=asked)
    assert at(said) == SERVED
    assert said.asked == asked


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("http://orders.d", True),
        ("https://orders.d/", False),
        ("https://10.0.0.1/", False),
        ("http://10.0.0.1/", False),
        ("tri://10.0.0.1/", True),
    ],
)
def test_a_url_without_a_port_leads_to_that_of_its_scheme(asked: str, served: bool) -> None:  # noqa: FBT001
    """Which is 80 of the host, and the instance has 81; of another scheme nobody knows it."""
    assert explained((listing(service("orders", 81)), NONE), asked=asked).served is served


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("http://me:hunter2@orders.d/x@y", "http://orders.d/x@y"),
        ("http://me:p@ss@orders.d:80", "http://orders.d:80"),
        ("dubbo://me:hunter2@10.0.0.1:81/a", "dubbo://10.0.0.1:81/a"),
        ("http://me:hunter2@", "http://"),
    ],
)
def test_the_password_of_a_url_is_neither_asked_for_nor_shown(asked: str, shown: str) -> None:
    said = explained((listing(service("orders", 81)), NONE), asked=asked)
    assert (said.served, said.asked) == (shown != "http://", shown)
    assert "hunter2" not in said.summary


def test_the_command_does_not_send_the_password_of_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[What] = []

    def ask(_: object, __: str, what: What, ___: object) -> tuple[list[object], int]:
        asked.append(what)
        return [], 0

    monkeypatch.setattr("meshbridge.cli.explain.ask_bridges", ask)
    assert explain_name([], "http://me:hunter2@orders.d/", "text") == 0
    assert asked == [What("http://orders.d/")]


def test_a_name_in_the_case_of_one_registration_means_that_one_only() -> None:
    both = listing(service("orders", 81), service("ORDERS", 82))
    said = explained((both, NONE), asked="ORDERS")
    assert [each.service for each in said.registrations] == ["ORDERS"]
    said = explained((both, NONE), asked="Orders")
    assert {each.service for each in said.registrations} == {"orders", "ORDERS"}


def test_a_registrys_own_name_may_look_like_a_url() -> None:
    said = explained((listing(service("dubbo://a.b/c", 81)), NONE), asked="dubbo://a.b/c")
    assert said.known


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ("abc", "3 of 3 registrations: orders.a.d, orders.b.d, orders.c.d"),
        ("abcde", "5 of 5 registrations: orders.a.d, orders.b.d, orders.c.d and 2 more"),
    ],
)
def test_a_name_of_many_hosts_is_told_with_how_many_more_there_are(groups: str, said: str) -> None:
    many = (replace(service("orders", 81), id=ServiceId("", each, "orders")) for each in groups)
    summary = explained((listing(*many), NONE), asked="orders").summary
    assert summary == f"orders is served in {said}"


def test_a_scope_that_cannot_be_read_was_heard_of_last_when_it_could() -> None:
    said = listing(service("orders", 81))
    (before,), (after,) = (
        explained((said, {}), asked="orders.d", then=then).registrations
        for then in (None, Stale("all", "no route"))
    )
    assert "last heard of it at 1970-01-01T00:16:40Z" in before.notes[0].text
    assert after.notes[0].text == before.notes[0].text
    assert after.notes[1].text == "cannot be read for 1 s: no route"


def test_an_ipv6_address_may_be_written_in_any_way() -> None:
    instance = Instance("a", "2001:DB8:0::1", (InstancePort(81, "http"),))
    for asked in ("[2001:db8::1]:81", "2001:db8::1", "[2001:0db8::1]"):
        found = explained((listing(Service(sid("orders"), (instance,))), NONE), asked=asked)
        assert at(found) == SERVED


def test_a_service_without_instances_ends_at_the_registry() -> None:
    assert at(explained((listing(service("orders")), NONE), asked="orders.d")) == lost(
        Stage.REGISTRY
    )


def unreadable(*readable: int) -> Explanation:
    """Explain orders, of which instances at these ports can be read, and one record cannot."""
    found: list[Explanation] = []
    record = (sid("orders"), "node-7")

    async def look(bridge: Bridge, adapters: list[Scripted]) -> None:
        (adapter,) = adapters
        assert adapter.emit is not None
        adapter.context.report("all", record, "its port is x", "register a number")
        adapter.emit(Listing("all", (service("orders", *readable),), (record,)))
        await asyncio.sleep(1)
        found.append(await explain(bridge, {}, "orders.d"))

    watch(look, (listing(), NONE))
    return found[0]


def test_a_service_whose_records_cannot_be_read_says_so_and_why() -> None:
    said = unreadable()
    assert at(said) == lost(Stage.REGISTRY)
    assert said.summary.endswith(
        "it has no instance that can be read: orders, record node-7: its port is x; "
        "register a number"
    )
    (note,) = said.registrations[0].notes
    assert note.mark == "LOST", "once is enough"


def test_a_record_that_cannot_be_read_is_told_beside_those_that_are_served() -> None:
    said = unreadable(81)
    assert at(said) == SERVED
    texts = [each.text for each in said.registrations[0].notes if each.stage is Stage.REGISTRY]
    assert texts[1:] == ["orders, record node-7: its port is x; register a number"]


def test_what_the_rules_leave_out_ends_at_selection() -> None:
    """Also by the host that it would have, and an instance by what it lacks."""
    for asked in ("orders", "orders.d", "10.0.0.1:81"):
        said = explained((listing(service("orders", 81)), {"exclude": ["orders"]}), asked=asked)
        assert at(said) == lost(Stage.SELECTION)
    rules = {"instances": {"match": {"env": "prod"}}}
    said = explained((listing(service("orders", 81)), rules), asked="10.0.0.1:81")
    assert at(said) == lost(Stage.SELECTION)
    assert "publish.instances wants env=prod, it has none" in said.summary


def test_what_the_guard_holds_is_served_and_says_so() -> None:
    """Since when, and how to let go of it; what it let go is not known any more."""
    before = listing(service("orders", 81, 82, 83))
    said = explained((before, NONE), asked="10.0.0.1:82", then=Listing("all", ()))
    assert at(said) == SERVED
    (guard,) = [each for each in said.registrations[0].notes if each.stage is Stage.GUARD]
    assert guard.text.startswith("holds 1 of 1, no longer listed since 1970-01-01T00:16:41Z; too m")
    assert "`meshbridge release r0 all orders`" in guard.text
    (instance,) = said.registrations[0].instances
    assert (instance.listed, instance.held_since) == (False, "1970-01-01T00:16:41Z")


def test_what_cannot_be_published_ends_there_with_the_reason() -> None:
    loopback = Instance("a", "127.0.0.1", (InstancePort(81, "http"),))
    portless = Instance("b", "10.0.0.2", ())
    registry = (listing(Service(sid("orders"), (loopback, portless))), NONE)
    said = explained(registry, asked="127.0.0.1:81")
    assert at(said) == lost(Stage.PUBLISH)
    assert "the caller's own machine (loopback)" in said.summary
    assert "it has no port" in explained(registry, asked="10.0.0.2").summary
    two = Instance("c", "10.0.0.3", (InstancePort(81, "http"), InstancePort(82, "http")))
    said = explained((listing(Service(sid("orders"), (two,))), NONE), asked="10.0.0.3:82")
    assert at(said) == lost(Stage.PUBLISH)
    assert "it has several http ports; 82 is not served" in said.summary
    assert at(explained((listing(service("***", 81)), NONE), asked="***")) == lost(Stage.PUBLISH)


def test_a_host_that_another_registry_has_ends_at_the_catalog() -> None:
    """While the host itself is served, and says who else wants it."""
    registries = (listing(service("orders", 81)), NONE), (listing(service("orders", 82)), NONE)
    said = explained(*registries, asked="10.0.0.1:82")
    assert at(said) == lost(Stage.CATALOG)
    assert "orders of r0 has orders.d" in said.summary
    said = explained(*registries, asked="orders.d")
    assert at(said) == SERVED
    assert [each.lost for each in said.registrations] == [None, Stage.CATALOG]


def test_a_renamed_host_and_a_lost_alias_are_said() -> None:
    both = listing(service("orders", 81), service("Orders", 82))
    said = explained((both, NONE), asked="Orders")
    assert said.served
    hosts = {each.host for each in said.registrations}
    assert any(host.startswith("orders-x") for host in hosts)
    both = listing(service("a", 81), service("b", 82))
    said = explained((both, {"aliases": ["both"]}), asked="both")
    assert at(said) == lost(Stage.CATALOG)


@pytest.mark.parametrize(
    ("health", "why"),
    [
        (Health.UNHEALTHY, "it is unhealthy, and the host has instances that are fitter"),
        (Health.DRAINING, "it is draining: such instances are never sent"),
        (Health.DISABLED, "it is disabled: such instances are never sent"),
    ],
)
def test_what_is_not_fit_ends_at_health(health: Health, why: str) -> None:
    good, bad = service("orders", 81, 82).instances
    registry = (listing(Service(sid("orders"), (good, replace(bad, health=health)))), NONE)
    said = explained(registry, asked="10.0.0.1:82")
    assert at(said) == lost(Stage.HEALTH)
    assert said.summary.endswith(why)


def test_an_unfit_one_that_is_sent_for_want_of_a_fitter_one_says_so() -> None:
    (bad,) = service("orders", 81).instances
    unfit = Service(sid("orders"), (replace(bad, health=Health.UNHEALTHY),))
    said = explained((listing(unfit), NONE), asked="10.0.0.1:81")
    assert at(said) == (True, True, None)
    health = [each for each in said.registrations[0].notes if each.stage is Stage.HEALTH]
    why = (
        "none is healthy: they are unhealthy, and sent as healthy all the same (publish.keep-last)"
    )
    assert [(each.mark, each.text) for each in health] == [
        ("ok", "sends 1 of 1 endpoint"),
        ("note", why),
    ]
    summary = explained((listing(unfit), NONE), asked="orders.d").summary
    assert summary.startswith("orders.d is served: 1 endpoint, unhealthy, sent as healthy, version")
    (instance,) = said.registrations[0].instances
    assert instance.reason.endswith(
        "healthy; it is unhealthy, and sent because the host has none that is fitter"
    )


def test_nothing_is_served_before_everything_required_was_read() -> None:
    """The other registry is named, which may have what nobody knows, too."""
    registries = (listing(service("orders", 81)), NONE), (silent, NONE)
    said = explained(*registries, asked="orders.d")
    assert at(said) == lost(Stage.SNAPSHOT)
    assert "waiting: registry r1, all was not read yet" in said.summary
    said = explained(*registries, asked="order.d")
    assert at(said) == (False, False, Stage.REGISTRY)
    assert said.unread == ("r1, all: not read yet",)


def test_a_host_without_endpoints_reads_as_a_sentence_by_its_alias_too() -> None:
    said = explained((listing(service("orders")), {"aliases": ["shop"]}), asked="shop")
    assert at(said) == lost(Stage.REGISTRY)
    assert said.summary.startswith(
        "shop, which is orders.d (the host is there, without endpoints), is not served: lost at"
    )


def test_while_the_configuration_is_refused_it_is_told_as_what_the_first_answer_waits_for() -> None:
    found: list[Explanation] = []

    async def look(bridge: Bridge, _: list[Scripted]) -> None:
        bridge.configuration.withheld = ("it would take away 12 of 20 hosts", "orders.x: gone")
        found.append(await explain(bridge, {}, "orders.d"))

    watch(look, (listing(service("orders", 81)), NONE), (silent, NONE))
    assert at(found[0]) == lost(Stage.SNAPSHOT)
    assert "the configuration is refused: it would take away 12 of 20 hosts" in found[0].summary
    assert "meshbridge reload --accept-loss" in found[0].summary


def test_what_is_unknown_comes_with_what_may_have_been_meant() -> None:
    registry = (listing(service("orders", 81)), NONE)
    said = explained(registry, asked="ordesr.d", then=Stale("all", "no route"))
    assert said.nearest[0] == "orders.d"
    assert said.unread == ("r0, all: no route",)
    assert explained(registry, asked="10.0.0.1:99").nearest == ("10.0.0.1:81",)
    said = explained(registry, asked="orders.d:81")
    assert at(said) == lost(Stage.PUBLISH)
    assert said.summary.endswith("its ports are 80")


class One:
    """An outlet whose only subscriber has refused a host, beside one that does not ask."""

    formats = ()

    async def serve(self, snapshots: Snapshots, context: OutletContext) -> Never:
        raise NotImplementedError

    def subscribers(self) -> tuple[Subscriber, ...]:
        raise NotImplementedError

    def render(self, snapshot: Snapshot, format: str) -> str:  # noqa: A002 - as the protocol
        raise NotImplementedError

    def delivered(self, service: Served) -> Iterator[tuple[Delivery, ...]]:
        yield (Delivery("one", "peer", "node", "cds", service.host, "2", "", "1", "bad port"),)
        yield ()


def test_each_outlet_says_how_far_a_host_came() -> None:
    registry = (listing(service("orders", 81)), NONE)
    said = explained(registry, asked="10.0.0.1:81", outlets={"one": One()})
    (outlet,) = said.outlets
    assert (outlet.host, outlet.asking, outlet.current, outlet.not_asking) == ("orders.d", 1, 0, 1)
    assert [each.refused for each in outlet.behind] == ["bad port"]


def test_an_outlet_that_began_after_the_admin_socket_says_so_too() -> None:
    """``run`` opens the socket first, and hands over a mapping that is filled later."""
    serving: dict[str, Outlet] = {}
    answers: list[Explanation] = []

    async def look(bridge: Bridge, _: list[Scripted]) -> None:
        known = operations(bridge, serving)
        serving["one"] = One()
        told = await known[EXPLAIN](msgspec.json.encode(What("10.0.0.1:81")))
        answers.append(msgspec.json.decode(told, type=Explanation))

    watch(look, (listing(service("orders", 81)), NONE))
    assert [each.outlet for each in answers[0].outlets] == ["one"]


addresses = st.sampled_from(
    ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "::ffff:10.0.0.1", "127.0.0.1"]
)
ports = st.lists(
    st.builds(InstancePort, st.sampled_from([81, 82, 0]), st.sampled_from(["http", "", "grpc"])),
    min_size=1,
    max_size=2,
).map(tuple)
instances = st.builds(
    Instance,
    st.sampled_from(["a", "b", "c"]),
    addresses,
    ports,
    st.sampled_from([1.0, 1.0, 1.0, 1.0, 0.0, -1.0]),
    st.sampled_from([Health.HEALTHY, Health.UNHEALTHY, *Health]),
    st.sampled_from([(), (("env", "prod"),)]),
)
services = st.builds(
    Service,
    st.sampled_from(["orders", "Orders", "bills"]).map(sid),
    st.lists(instances, min_size=1, max_size=3, unique_by=lambda each: each.id).map(tuple),
)
contents = st.lists(services, min_size=1, max_size=3, unique_by=lambda each: each.id).map(tuple)
rules = st.fixed_dictionaries(
    {
        "share": st.sampled_from([None, "both"]),
        "keep-last": st.booleans(),
        "ports": st.sampled_from(["standard", "instance"]),
        "instances": st.sampled_from([{}, {}, {"match": {"env": "prod"}}]),
        "exclude": st.sampled_from([[], ["bills"]]),
    }
)


@settings(max_examples=60, deadline=None)
@given(contents, contents, contents, rules, rules)
def test_an_instance_is_explained_as_served_exactly_if_it_is_an_endpoint(
    first: tuple[Service, ...],
    other: tuple[Service, ...],
    later: tuple[Service, ...],
    one: Mapping[str, object],
    two: Mapping[str, object],
) -> None:
    """For each port of it, whatever the registries hold, share, hold back and contend for."""

    async def look(bridge: Bridge, adapters: list[Scripted]) -> None:
        emit = adapters[0].emit
        assert emit is not None
        emit(Listing("all", later))
        await asyncio.sleep(1)
        newest = bridge.snapshots.newest
        assert newest is not None
        there = {
            (endpoint.address, number)
            for served in newest.services.values()
            for endpoint in served.endpoints
            for _, number in endpoint.ports
        }
        for each in {
            (instance.address.removeprefix("::ffff:"), port.number)
            for known in (*first, *other, *later)
            for instance in known.instances
            for port in instance.ports
        }:
            said = await explain(bridge, {}, f"{each[0]}:{each[1]}")
            assert said.served == (each in there), (each, said.summary)
            assert (said.lost is None) == said.served

    watch(look, (listing(*first), one), (listing(*other), two))
