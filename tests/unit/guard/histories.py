"""Histories of registries, for hypothesis: changes, gaps, outages, wipes, releases, time."""

from hypothesis import strategies as st
from unit.guard.registry import fleet, name

from meshbridge.adapter import Changed, Gone, Listing, Removed, Stale, Unreadable, Update
from meshbridge.guard import GuardRules, Release
from meshbridge.registration import Health, Instance, InstancePort, RegisteredService

SERVICES = 8
SCOPES = ("a", "b", "c")
PAUSES = (0.0, 0.1, 1.0, 5.0, 15.0, 25.0, 29.0, 40.0, 200.0, 400.0)

Told = tuple[float, Update | Release | None]
"""What is said, and how many seconds after what was said before."""

_healths = st.sampled_from([Health.HEALTHY] * 6 + list(Health))
_weights = st.sampled_from([1.0] * 6 + [0.0, 0.5, -1.0])


@st.composite
def instances(draw: st.DrawFn, which: int) -> tuple[Instance, ...]:
    """Draw what a service lists: some share places with other services, some change their ids."""
    found: list[Instance] = []
    for number in sorted(draw(st.sets(st.integers(0, 6), max_size=6))):
        identity = draw(st.sampled_from([f"i{which}-{number}"] * 5 + [f"j{which}-{number}"]))
        host = draw(st.sampled_from([f"10.0.{which}.{number}"] * 5 + [f"10.0.99.{number}"]))
        port = (InstancePort(80),) if draw(st.integers(0, 9)) else ()
        found.append(Instance(identity, host, port, draw(_weights), draw(_healths)))
    return tuple(found)


@st.composite
def services(draw: st.DrawFn, which: int | None = None) -> RegisteredService:
    """Draw a service."""
    number = draw(st.integers(0, SERVICES - 1)) if which is None else which
    return RegisteredService(name(number), draw(instances(number)))


@st.composite
def updates(draw: st.DrawFn) -> Update | Release | None:
    """Draw what is said next, in no relation to what was said before."""
    scope = draw(st.sampled_from(SCOPES[:1] * 4 + SCOPES))
    one = name(draw(st.integers(0, SERVICES - 1)))
    until = draw(st.sampled_from([None, 50.0, 500.0, 5000.0]))
    some = draw(st.sets(st.integers(0, SERVICES - 1)))
    unreadable: Unreadable = draw(
        st.sampled_from([(), (), (), (one,), ((one, f"i{int(one.name[1:])}-1"),)])
    )
    changed = draw(services())
    named = tuple((changed.id, f"i{int(changed.id.name[1:])}-1") for _ in unreadable)
    listed = tuple(draw(services(each)) for each in sorted(some))
    where = draw(st.sampled_from([None, scope, scope]))
    return draw(
        st.sampled_from(
            [
                *[Changed(scope, changed, named)] * 5,
                *[Listing(scope, listed, unreadable)] * 2,
                Listing(scope, listed, unreadable, after_gap=True),
                Removed(scope, one),
                Stale(scope, "refused"),
                Gone(scope),
                Release(where, draw(st.sampled_from([None, one])) if where else None, until),
                None,
            ]
        )
    )


histories = st.lists(st.tuples(st.sampled_from(PAUSES), updates()), min_size=1, max_size=30)

rules = st.builds(
    GuardRules,
    max_loss=st.sampled_from([0.5, 0.0, 0.3, 1.0]),
    min_size=st.sampled_from([10, 10, 1, 0, 40]),
    hold_service=st.sampled_from([30.0, 0.0]),
    settle=st.sampled_from([20.0, 0.0, 75.0]),
    allow_empty=st.booleans(),
    hold=st.sampled_from([None, None, 600.0]),
)

Belief = dict[str, tuple[RegisteredService, ...]]
beliefs = st.sampled_from([Belief(), {"a": fleet(SERVICES, 3)}])
"""What the store held at the start."""
