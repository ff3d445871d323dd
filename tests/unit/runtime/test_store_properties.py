"""Whatever is said in whatever order: after a crash the newest committed state is there."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.runtime.store_bed import NOW, Bed

from meshbridge import Instance, InstancePort, RegisteredService, ServiceId
from meshbridge.registration import Health, metadata
from meshbridge.store import Announcement, Store, Stored

Model = tuple[
    dict[tuple[str, str, ServiceId], RegisteredService],
    dict[str, tuple[Announcement, ...]],
    dict[str, int],
]

registries = st.sampled_from(["shop", "books"])
scopes = st.sampled_from(["", "public"])
ids = st.builds(ServiceId, st.sampled_from(["", "p"]), st.just(""), st.sampled_from(["a", "b@@#"]))
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
instances = st.builds(
    Instance,
    words,
    words,
    st.lists(st.builds(InstancePort, st.integers(-1, 1 << 63), words, st.booleans())).map(tuple),
    st.floats(allow_nan=False),
    st.sampled_from(Health),
    st.dictionaries(words, words, max_size=2).map(metadata),
    words,
    st.none() | st.floats(0, 1e12),
)
said = st.lists(
    st.builds(Announcement, scopes, st.none() | ids, st.floats(NOW + 1, 1e12)), max_size=2
)


@dataclass(frozen=True)
class Put:
    """What a service holds now."""

    registry: str
    scope: str
    id: ServiceId
    instances: tuple[Instance, ...] | None


@dataclass(frozen=True)
class Announce:
    """All announced losses of a registry."""

    registry: str
    said: tuple[Announcement, ...]


@dataclass(frozen=True)
class Forget:
    """A registry that is gone."""

    registry: str


@dataclass(frozen=True)
class Serve:
    """Hosts that changed."""

    hosts: dict[str, int | None]


@dataclass(frozen=True)
class Flush:
    """A batch is written."""


Step = Put | Announce | Forget | Serve | Flush
counts = st.none() | st.integers(0, 1 << 40)
steps: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        st.builds(
            Put, registries, scopes, ids, st.none() | st.lists(instances, max_size=2).map(tuple)
        ),
        st.builds(Announce, registries, said.map(tuple)),
        st.builds(Forget, registries),
        st.builds(Serve, st.dictionaries(st.sampled_from(["a.x", "b.x"]), counts)),
        st.just(Flush()),
    ),
    max_size=25,
)


def do(store: Store, model: Model, step: Step) -> None:
    """Say the same to the store and to three dictionaries."""
    services, announced, served = model
    match step:
        case Put(registry, scope, id_, None):
            store.put(registry, scope, id_, None)
            services.pop((registry, scope, id_), None)
        case Put(registry, scope, id_, found):
            service = RegisteredService(id_, found or ())
            store.put(registry, scope, id_, service)
            services[registry, scope, id_] = service
        case Announce(registry, all_of_it):
            store.announce(registry, all_of_it)
            announced[registry] = all_of_it
        case Forget(registry):
            store.forget(registry)
            announced.pop(registry, None)
            for key in [key for key in services if key[0] == registry]:
                del services[key]
        case Serve(hosts):
            store.serve(hosts)
            for host, endpoints in hosts.items():
                if endpoints is None:
                    served.pop(host, None)
                else:
                    served[host] = endpoints
        case Flush():
            store.flush()


def seen(stored: Stored) -> Model:
    services = {
        (registry, scope, service.id): service
        for registry, by_scope in stored.registrations.items()
        for scope, found in by_scope.items()
        for service in found
    }
    return services, dict(stored.announced), dict(stored.served)


@given(steps)
@settings(max_examples=40, deadline=None)
def test_a_crash_leaves_the_newest_committed_state(script: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        bed, after = Bed(Path(directory, "state")), Bed(Path(directory, "after"))
        store = bed.open()
        model: Model = ({}, {}, {})
        for step in script:
            do(store, model, step)
        store.flush()
        assert store.pending == 0
        do(store, ({}, {}, {}), Put("shop", "", ServiceId("", "", "late"), ()))  # is lost
        shutil.copytree(bed.directory, after.directory)  # as a killed process leaves it
        services, announced, served = model
        expected = services, {each: all_ for each, all_ in announced.items() if all_}, served
        assert seen(after.open().stored) == expected
        assert not after.events
        bed.close()
        after.close()
