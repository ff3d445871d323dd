"""However a Nacos group came to hold what it holds, the same services are made of it."""

from collections import deque
from collections.abc import Mapping, Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.nacos.dubbo_group import Group, host, node, url

from meshbridge_dubbo import read_metadata
from meshbridge_nacos.dubbo import Registrations
from meshbridge_nacos.parse import Reading, read_service, service_id

Name = str
Held = Mapping[Name, Sequence[object]]

INTERFACES = ("a.Greeter", "a.Stock")
REVISIONS = {
    f"r{number}": "{"
    + ",".join(
        f'"{name}:dubbo":{{"name":"{name}","protocol":"dubbo","version":"{version}"}}'
        for name in INTERFACES[: number + 1]
        for version in ("", "1.0")[number:]
    )
    + "}"
    for number in range(2)
}
ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.0.2", "::1"])
NACOS = st.fixed_dictionaries(
    {},
    optional={
        "weight": st.sampled_from([0, 0.5, 2]),
        "healthy": st.booleans(),
        "enabled": st.booleans(),
        "clusterName": st.just("hz"),
    },
)


@st.composite
def provider(draw: st.DrawFn, interface: str, version: str) -> object:
    """An instance below providers: of the interface."""
    more = {"weight": draw(st.sampled_from(["", "50"]))}
    return url(
        draw(st.sampled_from([20880, 20881])),
        draw(ADDRESSES),
        draw(NACOS),
        interface=interface,
        path=interface,
        version=version,
        timestamp=draw(st.sampled_from(["1000", "2000"])),
        **more,
    )


@st.composite
def instance(draw: st.DrawFn) -> object:
    """An instance of a service that may be a Dubbo application's."""
    address, nacos = draw(ADDRESSES), draw(NACOS)
    if draw(st.booleans()):
        return host(8080, address, **nacos)
    revision = draw(st.sampled_from(["", "0", *REVISIONS]))
    more = {"disabled": draw(st.sampled_from(["false", "true"]))}
    return node(
        ("dubbo", draw(st.sampled_from([20880, 20881]))),
        ip=address,
        revision=revision,
        storage="remote",
        nacos=nacos,
        **more,
    )


@st.composite
def step(draw: st.DrawFn) -> tuple[Name, Sequence[object] | None]:
    """What becomes of one Nacos service: these instances, or it goes."""
    interface, version = draw(st.sampled_from(INTERFACES)), draw(st.sampled_from(["", "1.0"]))
    if draw(st.booleans()):
        name = draw(
            st.sampled_from([f"providers:{interface}:{version}:", f"providers:{interface}"])
        )
        told = version if name.endswith(":") else ""
        instances = draw(st.lists(provider(interface, told), max_size=3))
    else:
        name = draw(st.sampled_from(["shop", "till", *INTERFACES]))
        instances = draw(st.lists(instance(), max_size=3))
    return name, draw(st.sampled_from([instances, instances, instances, None]))


def know(group: Group) -> None:
    """Let all metadata that are wanted be read."""
    for application, revision in list(group.applications.revisions.wanted):
        group.learn(application, services=REVISIONS[revision], revision=revision)


@settings(deadline=None)
@given(st.lists(step(), max_size=12), st.randoms(use_true_random=False))
def test_the_way_to_a_state_leaves_no_trace_in_it(
    steps: Sequence[tuple[Name, Sequence[object] | None]], chance: Random
) -> None:
    group, held = Group(), dict[Name, Sequence[object]]()
    for name, instances in steps:
        if instances is None:
            held.pop(name, None)
            group.drop(name)
        else:
            held[name] = instances
            group.put(name, *instances)
        if chance.random() < 0.5:
            know(group)
    know(group)
    fresh = Group()
    names = sorted(held)
    chance.shuffle(names)
    for name in names:
        fresh.put(name, *held[name])
    know(fresh)
    assert group.registrations.listing() == fresh.registrations.listing()
    assert group.applications.revisions.known == fresh.applications.revisions.known
    for name in names:
        group.drop(name)
    assert group.held == {}
    assert not group.applications.revisions.known
    assert not group.applications.doubtful()


@settings(deadline=None)
@given(st.lists(st.tuples(step(), st.integers(0, 20)), max_size=8))
def test_what_was_left_half_done_leaves_no_trace_after_a_gap(
    steps: Sequence[tuple[tuple[Name, Sequence[object] | None], int]],
) -> None:
    """A session may end while what it told is worked off; the next one tells all of it again."""
    registrations, held = Group().registrations, dict[Name, Sequence[object]]()
    for (name, instances), most in steps:
        if instances is None:
            held.pop(name, None)
            registrations.drop(name)
        else:
            held[name] = instances
            registrations.put(name, reading_of(name, instances))
        taking = registrations.take()
        for _ in range(most):
            next(taking, None)
        taking.close()
        registrations.retain(held)
        for each in held:
            registrations.put(each, reading_of(each, held[each]))
    finish(registrations)
    fresh = Group().registrations
    for each in held:
        fresh.put(each, reading_of(each, held[each]))
    finish(fresh)
    assert registrations.listing() == fresh.listing()


def reading_of(name: Name, instances: Sequence[object]) -> Reading:
    return read_service(service_id("public", "DEFAULT_GROUP", name), {"hosts": list(instances)})


def finish(registrations: Registrations) -> None:
    """Take all there is, and let all metadata that are wanted be read."""
    deque(registrations.take(), maxlen=0)
    for application, revision in list(registrations.applications.revisions.wanted):
        metadata = read_metadata(f'{{"services":{REVISIONS[revision]}}}'.encode())
        registrations.applications.learn((application, revision), metadata)
    deque(registrations.take(), maxlen=0)
