"""The store keeps what it was told, on a real disk, and says what it did."""

import asyncio
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from unit.runtime.store_bed import FULL, NOW, PLAIN, Bed, put

from meshbridge import Instance, InstancePort, RegisteredService, ServiceId
from meshbridge.store import Announcement, Timing
from meshbridge.store.disk import Disk
from meshbridge.store.pending import Batch
from meshbridge.store.rows import Left
from meshbridge.testing import Clock


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    bed = Bed(tmp_path / "deep" / "state")
    yield bed
    bed.close()


def test_everything_that_was_said_is_there_after_a_start(bed: Bed) -> None:
    store = bed.open()
    put(store, FULL)
    put(store, PLAIN)
    put(store, PLAIN, "other")
    store.announce("shop", (Announcement("all", PLAIN.id, NOW + 60), Announcement("b", None, 1.0)))
    store.serve({"orders.nacos": 3, "gone.nacos": 1})
    store.serve({"gone.nacos": None})
    store.flush()
    stored = bed.again().stored
    assert stored.registrations == {"shop": {"all": (PLAIN, FULL), "other": (PLAIN,)}}
    assert stored.announced == {"shop": (Announcement("all", PLAIN.id, NOW + 60),)}
    assert stored.served == {"orders.nacos": 3}
    assert not bed.events
    assert not list(bed.problems)


def test_strings_that_repeat_are_held_once(bed: Bed) -> None:
    store = bed.open()
    put(store, FULL)
    put(store, replace(FULL, id=PLAIN.id))
    store.flush()
    one, other = bed.again().stored.registrations["shop"]["all"]
    assert one.metadata[0] is other.metadata[0]
    assert one.instances[0].metadata[1] is other.instances[0].metadata[1]
    assert one.instances[0].zone is other.instances[0].zone


def test_a_service_that_is_gone_and_a_registry_that_is_forgotten_are_not_stored(bed: Bed) -> None:
    store = bed.open()
    put(store, FULL)
    put(store, PLAIN)
    store.put("old", "all", PLAIN.id, PLAIN)
    store.announce("old", (Announcement("all", None, NOW + 60),))
    store.flush()
    store.put("shop", "all", FULL.id, None)
    store.forget("old")
    store.flush()
    stored = bed.again().stored
    assert stored.registrations == {"shop": {"all": (PLAIN,)}}
    assert not stored.announced


def test_what_is_said_of_a_registry_after_it_was_forgotten_stays(bed: Bed) -> None:
    store = bed.open()
    put(store, FULL)
    store.flush()
    store.forget("shop")
    put(store, PLAIN)
    store.flush()
    assert bed.again().stored.registrations == {"shop": {"all": (PLAIN,)}}


def test_only_its_user_may_read_it(bed: Bed) -> None:
    store = bed.open()
    put(store, FULL)
    store.flush()
    assert stat.S_IMODE(bed.directory.stat().st_mode) == 0o700
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in bed.directory.iterdir()}
    assert set(modes.values()) == {0o600}
    assert "state.sqlite" in modes


def test_what_cannot_be_stored_spoils_nothing_else_and_is_said_until_it_is_mended(
    bed: Bed,
) -> None:
    store = bed.open()
    broken = ServiceId("", "", "half \ud800")
    store.put("shop", "all", broken, RegisteredService(broken))
    absurd = RegisteredService(
        ServiceId("", "", "absurd"), (Instance("a", "b", (InstancePort(1 << 70),)),)
    )
    put(store, absurd)
    put(store, PLAIN)
    store.flush()
    assert [problem.subject for problem in bed.problems] == ["absurd", "half \\ud800"]
    store.put("shop", "all", broken, None)
    put(store, RegisteredService(absurd.id))
    store.flush()
    assert not list(bed.problems)
    found = bed.again().stored.registrations["shop"]["all"]
    assert [service.id.name for service in found] == ["absurd", "orders"]


def test_a_first_listing_reaches_the_disk_whole_or_not_at_all(bed: Bed) -> None:
    store = bed.open()
    with store.whole("shop"):
        put(store, FULL)
        store.put("other", "all", PLAIN.id, PLAIN)
        store.flush()
        assert store.pending == 1
        bed.stores[0].close()
        assert list(bed.open().stored.registrations) == ["other"]
        bed.close()
        put(store, PLAIN)
        store.flush()
    bed.stores.append(store)
    store.flush()
    assert bed.again().stored.registrations["shop"] == {"all": (PLAIN, FULL)}


def test_half_a_listing_that_is_broken_off_never_reaches_the_disk(bed: Bed) -> None:
    store = bed.open()
    put(store, PLAIN)

    def broken_off() -> None:
        with store.whole("shop"):
            put(store, FULL)
            store.put("shop", "all", PLAIN.id, None)
            store.flush()
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        broken_off()
    store.flush()
    assert bed.again().stored.registrations["shop"] == {"all": (PLAIN,)}


def test_a_file_that_is_deleted_meanwhile_is_written_anew_and_whole(bed: Bed) -> None:
    store = bed.open()
    put(store, FULL)
    store.serve({"orders.nacos": 2})
    store.flush()
    for each in bed.directory.iterdir():
        each.unlink()
    store.flush()
    stored = bed.again().stored
    assert stored.registrations == {"shop": {"all": (FULL,)}}
    assert stored.served == {"orders.nacos": 2}


def test_batches_are_written_a_second_apart_and_the_rest_when_it_ends(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(idle=0.3)
    written: list[tuple[float, int]] = []
    write = Disk.write

    def writing(disk: Disk, batch: Batch) -> list[Left]:
        written.append((clock(), len(batch)))
        return write(disk, batch)

    monkeypatch.setattr(Disk, "write", writing)
    store = bed.open(Timing(sleep=clock.sleep))

    async def main() -> None:
        begun = clock()
        running = asyncio.create_task(store.run())
        for _ in range(3):
            put(store, PLAIN)
        await asyncio.sleep(1.5)
        put(store, FULL)
        await asyncio.sleep(1.0)
        put(store, PLAIN, "last")
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()
        assert [count for _, count in written] == [1, 1, 1]
        assert written[1][0] - written[0][0] >= 1.0
        assert written[0][0] - begun < 0.3, "the first is written at once"

    clock.run(main())
    assert store.pending == 0
    assert store.written_rows == 3
    assert store.written_at == NOW
    assert set(bed.again().stored.registrations["shop"]) == {"all", "last"}


def test_what_was_loaded_is_let_go(bed: Bed) -> None:
    store = bed.open()
    put(store, FULL)
    store.flush()
    store = bed.again()
    store.let_go()
    assert not store.stored.registrations
    store.flush()
    assert bed.again().stored.registrations


def test_the_file_says_what_it_holds_to_who_looks_in(bed: Bed) -> None:
    store = bed.open()
    put(store, FULL)
    store.flush()
    with sqlite3.connect(bed.directory / "state.sqlite") as looking:
        rows = looking.execute("SELECT registry, scope, service FROM registration").fetchall()
    looking.close()
    assert rows == [("shop", "all", "prod/blue@@注文#2.0")]
