"""Whatever a disk does to stored state: it is said once, and nothing ends."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.runtime.store_bed import FULL, NOW, PLAIN, Bed, put

from meshbridge import RegisteredService, ServiceId
from meshbridge.store import Announcement, Store, rows
from meshbridge.store.pending import Batch
from meshbridge.store.rows import Left

BROKEN = "stored state broken"


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    bed = Bed(tmp_path / "state")
    yield bed
    bed.close()


@pytest.fixture
def written(bed: Bed) -> bytes:
    """Return a file in which a little of everything was stored."""
    fill(bed.open())
    bed.close()
    return (bed.directory / "state.sqlite").read_bytes()


def fill(store: Store) -> None:
    put(store, FULL)
    put(store, PLAIN)
    store.announce("shop", (Announcement("all", PLAIN.id, NOW + 60),))
    store.serve({"orders.nacos": 3})
    store.flush()


def spoil(bed: Bed, content: bytes) -> Store:
    """Start over such a file."""
    bed.close()
    shutil.rmtree(bed.directory)
    bed.directory.mkdir()
    (bed.directory / "state.sqlite").write_bytes(content)
    bed.log.entries.clear()
    return bed.open()


def works(bed: Bed, store: Store) -> bool:
    """Tell whether what is said from now on is stored."""
    fill(store)
    again = bed.again()
    return store.trouble is None and again.stored.registrations == {"shop": {"all": (PLAIN, FULL)}}


def kept(bed: Bed) -> list[str]:
    return sorted(each.name for each in bed.directory.glob("*.broken-*"))


@pytest.mark.parametrize("part", range(4))
def test_a_file_that_was_cut_anywhere_is_set_aside_or_still_whole(
    bed: Bed, written: bytes, part: int
) -> None:
    edges = {0, 1, 15, 16, 99, 100, 101, len(written) - 1, *range(0, len(written), 4096)}
    for size in sorted({*edges, *range(0, len(written), 509)})[part::4]:
        store = spoil(bed, written[:size])
        assert not store.stored.registrations, size
        assert bed.events == [BROKEN], size
        assert kept(bed) == ["state.sqlite.broken-20231114T221320Z"]
        assert [problem.kind for problem in bed.problems] == ["state"]
        assert works(bed, store), size


@pytest.mark.parametrize("part", range(4))
def test_a_flipped_bit_is_found_or_changes_nothing(bed: Bed, written: bytes, part: int) -> None:
    whole = {"shop": {"all": (PLAIN, FULL)}}
    used = [place for place, byte in enumerate(written) if byte]
    for place in sorted({*range(100), *used[::23]})[part::4]:
        changed = bytearray(written)
        changed[place] ^= 1 << (place % 8)
        store = spoil(bed, bytes(changed))
        if store.stored.registrations == whole and store.stored.served == {"orders.nacos": 3}:
            assert bed.events in ([], ["stored records unreadable"]), place
        else:
            assert len(bed.events) == 1, place
            found = store.stored.registrations.get("shop", {}).get("all", ())
            assert set(found) <= {PLAIN, FULL}, place
            assert set(store.stored.served.items()) <= {("orders.nacos", 3)}, place
        assert works(bed, store), place


@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\0" + b"\xff" * 4096, b"no database\n" * 1000]
)
def test_what_is_no_database_is_set_aside(bed: Bed, content: bytes) -> None:
    bed.directory.mkdir()
    store = spoil(bed, content)
    assert bed.events == [BROKEN]
    (aside,) = bed.directory.glob("*.broken-*")
    assert aside.read_bytes() == content
    assert works(bed, store)


def test_the_file_of_a_newer_version_is_set_aside_with_that_reason(
    bed: Bed, written: bytes
) -> None:
    with sqlite3.connect(bed.directory / "state.sqlite") as newer:
        newer.execute("PRAGMA user_version = 7")
    newer.close()
    store = spoil(bed, (bed.directory / "state.sqlite").read_bytes())
    (problem,) = bed.problems
    assert "a newer meshbridge wrote it: it has schema 7, this one reads 1" in problem.reason
    assert works(bed, store)
    assert written


def test_a_database_of_somebody_else_is_set_aside(bed: Bed) -> None:
    bed.directory.mkdir()
    with sqlite3.connect(bed.directory / "state.sqlite") as foreign:
        foreign.execute("CREATE TABLE registration (x)")
    foreign.close()
    store = bed.open()
    assert bed.events == [BROKEN]
    assert works(bed, store)


def test_three_broken_files_are_kept_with_what_belongs_to_them(bed: Bed) -> None:
    bed.directory.mkdir()
    for turn in range(5):
        bed.now = NOW + turn // 2  # two in one second
        (bed.directory / "state.sqlite").write_bytes(b"%d" % turn * 1000)
        (bed.directory / "state.sqlite-wal").write_bytes(b"%d" % turn)
        bed.open()
        bed.close()
    assert bed.events == [BROKEN] * 5
    names = [
        "state.sqlite.broken-20231114T221321Z",
        "state.sqlite.broken-20231114T221321Z-02",
        "state.sqlite.broken-20231114T221322Z",
    ]
    assert kept(bed) == sorted([*names, *(f"{name}-wal" for name in names)])
    contents = [(bed.directory / f"{name}-wal").read_bytes() for name in names]
    assert contents == [b"2", b"3", b"4"]


def test_a_row_that_cannot_be_read_spoils_itself_only_and_goes(bed: Bed, written: bytes) -> None:
    with sqlite3.connect(bed.directory / "state.sqlite") as other:
        other.execute(
            "UPDATE registration SET value = substr(value, 1, 20) WHERE service = 'orders'"
        )
        other.execute("INSERT INTO registration VALUES ('shop', x'ff', 3, NULL)")
    other.close()
    store = bed.open()
    assert store.stored.registrations == {"shop": {"all": (FULL,)}}
    assert bed.events == ["stored records unreadable"]
    (problem,) = bed.problems
    assert problem.reason.startswith("2 stored records cannot be read: it is not what was written")
    bed.log.entries.clear()
    bed.again()
    assert not bed.events
    assert written


def test_a_file_that_breaks_while_it_is_used_is_written_anew_and_whole(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bed.open()
    fill(store)
    found = [sqlite3.DatabaseError("database disk image is malformed")]
    write = rows.write

    def writing(connection: sqlite3.Connection, batch: Batch) -> list[Left]:
        if found:
            raise found.pop()
        return write(connection, batch)

    monkeypatch.setattr(rows, "write", writing)
    other = RegisteredService(ServiceId("", "", "other"))
    put(store, other)
    store.flush()
    assert bed.events == [BROKEN]
    assert store.trouble is None
    stored = bed.again().stored
    assert stored.registrations == {"shop": {"all": (PLAIN, other, FULL)}}
    assert stored.served == {"orders.nacos": 3}
    assert stored.announced


def test_a_directory_that_is_a_file_is_trouble_with_its_remedy(bed: Bed) -> None:
    bed.directory.write_text("mine")
    store = bed.open()
    assert store.trouble == (
        f"{bed.directory}: state is not written: it is no directory; name another `state` directory"
    )
    put(store, FULL)
    store.flush()
    assert bed.events == ["state not written"]
    (problem,) = bed.problems
    assert (problem.subject, problem.kind) == (str(bed.directory), "state")
    bed.directory.unlink()
    bed.now += 7
    store.flush()
    assert bed.events == ["state not written", "state written again"]
    assert bed.log.entries[-1]["after_seconds"] == 7
    assert not list(bed.problems)
    assert bed.again().stored.registrations == {"shop": {"all": (FULL,)}}


def test_nothing_is_lost_while_the_disk_is_full(bed: Bed) -> None:
    store = bed.open(most_pages=12)
    fill(store)
    many = [RegisteredService(ServiceId("", "", f"s{number}" * 50)) for number in range(200)]
    for service in many:
        put(store, service)
    store.put("shop", "all", FULL.id, None)
    for _ in range(3):
        store.flush()
    assert bed.events == ["state not written"]
    assert "the disk is full; make room" in (store.trouble or "")
    assert store.pending == 201
    for service in many[1:]:
        store.put("shop", "all", service.id, None)
    store.flush()
    assert bed.events == ["state not written", "state written again"]
    assert bed.again().stored.registrations == {"shop": {"all": (PLAIN, many[0])}}


def test_what_another_bridge_writes_is_read_and_left_alone(bed: Bed) -> None:
    first = bed.open()
    fill(first)
    second = bed.opened()
    assert second.stored.registrations == {"shop": {"all": (PLAIN, FULL)}}
    said = "another running bridge uses it; give each bridge a `state` directory"
    assert said in (second.trouble or "")
    mine = RegisteredService(ServiceId("", "", "mine"))
    second.put("second", "all", mine.id, mine)
    second.flush()
    assert not kept(bed)
    assert bed.events == ["state not written"]
    first.put("shop", "all", PLAIN.id, None)
    first.flush()
    first.close()
    second.put("shop", "all", FULL.id, None)
    second.flush()
    assert bed.events == ["state not written", "state written again"]
    second.close()
    stored = bed.again().stored
    assert stored.registrations == {"shop": {"all": (PLAIN,)}, "second": {"all": (mine,)}}


def test_a_program_that_locks_the_file_delays_what_is_written(bed: Bed) -> None:
    store = bed.open()
    fill(store)
    looking = sqlite3.connect(bed.directory / "state.sqlite", isolation_level=None)
    looking.execute("BEGIN IMMEDIATE")
    store.put("shop", "all", PLAIN.id, None)
    store.flush()
    assert "another program locked it" in (store.trouble or "")
    looking.execute("ROLLBACK")
    looking.close()
    store.flush()
    assert bed.events == ["state not written", "state written again"]
    assert bed.again().stored.registrations == {"shop": {"all": (FULL,)}}
