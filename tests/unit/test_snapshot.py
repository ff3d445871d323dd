"""What changed between two snapshots is known without comparing all, and never wrong."""

import asyncio
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from meshbridge.service import Service, versioned
from meshbridge.snapshot import EMPTY, Snapshot, Snapshots

HOSTS = ("a.file", "b.file", "c.file")
changes = st.dictionaries(st.sampled_from(HOSTS), st.one_of(st.none(), st.integers(1, 3)))


def service(host: str, content: int) -> Service:
    """Return a service whose version follows from the content."""
    return versioned(Service(host, f"n{content}", (), ()))


def history(steps: list[dict[str, int | None]]) -> list[Snapshot]:
    """Return the snapshots, each made of the one before by one step."""
    made = [EMPTY]
    for step in steps:
        touched = {host: service(host, n) if n else None for host, n in step.items()}
        made.append(made[-1].with_changes(touched))
    return made


@given(st.lists(changes, max_size=80), st.data())
def test_what_changed_is_what_differs(
    steps: list[dict[str, int | None]], data: st.DataObject
) -> None:
    """However far two snapshots of one history are apart."""
    made = history(steps)
    older, newer = sorted(data.draw(st.lists(st.integers(0, len(steps)), min_size=2, max_size=2)))
    before, after = made[older].services, made[newer].services
    found = made[newer].since(made[older])
    assert found.removed == before.keys() - after.keys()
    assert found.changed == {host for host in after if before.get(host) != after[host]}


def test_without_an_older_one_everything_is_new() -> None:
    *_, newest = history([{"a.file": 1}, {"b.file": 1}])
    assert newest.since(None).changed == {"a.file", "b.file"}


def test_a_snapshot_of_another_history_is_compared_whole() -> None:
    """Its number says nothing about ours."""
    theirs = Snapshot(MappingProxyType({"a.file": service("a.file", 1)}))
    assert theirs.since(EMPTY).changed == {"a.file"}
    assert EMPTY.since(theirs).removed == {"a.file"}
    assert theirs.since(theirs).changed == frozenset()


def test_a_reader_waits_for_the_first_snapshot_and_skips_what_it_missed() -> None:
    async def scenario() -> None:
        snapshots = Snapshots()
        waiting = asyncio.create_task(snapshots.after(None))
        await asyncio.sleep(0)
        assert snapshots.newest is None
        assert not waiting.done()
        first, second, third = history([{"a.file": 1}, {"a.file": 2}, {"a.file": 3}])[1:]
        snapshots.publish(first)
        assert await waiting is first
        snapshots.publish(second)
        snapshots.publish(third)
        assert await snapshots.after(first) is third

    asyncio.run(scenario())
