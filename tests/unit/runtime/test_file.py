"""What a registry file may hold, what of it is refused, and what a mistake in it costs."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from unit.runtime.examples import sid

from meshbridge import (
    Health,
    Instance,
    InstancePort,
    Listing,
    RegistryUnavailable,
    ServiceId,
    Stale,
)
from meshbridge.testing import Recorder, context
from meshbridge_file import File, FileOptions
from meshbridge_file.identity import known, spoilt
from meshbridge_file.records import Content, content
from meshbridge_file.yaml import UnreadableFile, read


def parse(text: str) -> Content:
    """Return what the text holds."""
    return content(read(text.encode()))


def one(text: str) -> Instance:
    """Return the one instance, written as a flow mapping."""
    found = parse(f"services: [{{name: orders, instances: [{text}]}}]")
    assert found.faults == []
    return found.services[0].instances[0]


def test_every_key_is_carried_as_it_stands() -> None:
    """Metadata stay text: 1.10 is no number."""
    found = parse(
        """
services:
  - name: orders
    group: blue
    namespace: prod
    metadata: {owner: shop}
    instances:
      - {address: 127.0.0.1, port: 8081, protocol: http, weight: 0.5, healthy: false, zone: h,
         metadata: {version: 1.10, on: yes}}
      - {address: "::1", ports: [{port: 20880, protocol: dubbo}, {port: 50051, secure: true}]}
"""
    )
    (service,) = found.services
    assert service.id == ServiceId("prod", "blue", "orders")
    assert service.metadata == (("owner", "shop"),)
    first, second = service.instances
    assert first == Instance(
        "127.0.0.1:8081",
        "127.0.0.1",
        (InstancePort(8081, "http"),),
        0.5,
        Health.UNHEALTHY,
        (("on", "yes"), ("version", "1.10")),
        "h",
    )
    assert second.id == "::1:20880"
    assert second.ports == (InstancePort(20880, "dubbo"), InstancePort(50051, "", secure=True))


def test_absurd_values_of_the_right_form_pass() -> None:
    """Publishing leaves them out, with the same words for every registry."""
    assert one("{address: a b, port: 0}").address == "a b"
    assert one("{address: x, port: 70000}").ports[0].number == 70_000
    assert math.isnan(one("{address: x, port: 1, weight: .nan}").weight)
    assert one("{address: x, port: 1, weight: -.inf}").weight == -math.inf


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ("{address: x, port: abc}", "`port` is 'abc'; a whole number is allowed"),
        ("{address: x, port: '80'}", "a whole number is allowed"),
        ("{address: x}", "`port` is missing"),
        ("{port: 80}", "`address` is missing"),
        ("{address: x, port: 80, wieght: 1}", "did you mean `weight`"),
        ("{address: x, port: 80, weight: heavy}", "a number is allowed"),
        ("{address: x, port: 80, healthy: maybe}", "true or false is allowed"),
        ("{address: [x], port: 80}", "`address` must be a single value"),
        ("{address: x, port: 80, metadata: {a: [b]}}", "`metadata.a` must be a single value"),
        ("{address: x, port: 80, ports: [{port: 81}]}", "stands beside `ports`"),
        ("{address: x, ports: []}", "at least one port"),
        ("hello", "must have keys with values"),
    ],
)
def test_a_malformed_instance_spoils_only_itself(record: str, says: str) -> None:
    """It is named with its line and the reason; the instance beside it is read."""
    found = parse(
        f"services:\n- name: orders\n  instances:\n  - {record}\n  - {{address: y, port: 1}}\n"
    )
    assert [each.id for each in found.services[0].instances] == ["y:1"]
    (fault,) = found.faults
    assert says in fault.reason
    assert fault.reason.startswith("line 4: ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("services:", "no list"),
        ("servcies: []", "did you mean `services`"),
        ("services: [", "line 2, column 1: not YAML"),
        ("services: []\nservices: []", "line 2: the key 'services' stands there twice"),
        ("services: []\n---\nservices: []", "line 2: a second document"),
        ("services: !!python/object:os.system [x]", "the tag tag:yaml.org,2002:python"),
        ("services: *all", "line 1: *all stands for nothing before it"),
        ("services: " + "[" * 1_000, "nested deeper than 20"),
        ("services: [\x00]", "not YAML"),
    ],
)
def test_a_file_of_another_form_is_not_read_at_all(text: str, says: str) -> None:
    """With the place where the mistake is."""
    with pytest.raises(UnreadableFile) as refused:
        parse(text)
    assert says in str(refused.value)


def test_aliases_cannot_make_much_of_little() -> None:
    """A billion laughs are counted, not laughed."""
    lines = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(UnreadableFile, match="counting what aliases stand for"):
        read("\n".join(lines).encode())


def test_what_stands_twice_is_reported_and_the_first_counts() -> None:
    """Of services and of instances."""
    found = parse(
        """
services:
  - name: orders
    instances: [{address: x, port: 1, weight: 1}, {address: x, port: 1, weight: 2}]
  - name: orders
    instances: [{address: y, port: 2}]
"""
    )
    (service,) = found.services
    assert [each.weight for each in service.instances] == [1.0]
    assert [each.subject for each in found.faults] == [
        (sid("orders"), "instances[1]"),
        (sid("orders"), "services[1]"),
    ]


def test_an_instance_whose_port_became_unreadable_is_not_taken_for_removed() -> None:
    """Whose it is cannot be read, so each one that is missing now may be it, until it is mended."""
    before = known(parse("services: [{name: a, instances: [{address: x, port: 1}]}]"), {}, ())
    spoiled = parse("services: [{name: a, instances: [{address: x, port: one}]}]")
    ((fault, subjects),) = spoilt(spoiled, before)
    assert fault.subject == (sid("a"), "instances[0]")
    assert (sid("a"), "x:1") in subjects
    again = known(spoiled, before, subjects)
    assert again == before


def test_a_service_whose_name_became_unreadable_is_not_taken_for_removed() -> None:
    """All services that are missing now may be it."""
    before = known(parse("services: [{name: a}, {name: b}]"), {}, ())
    spoiled = parse("services: [{nmae: a}, {name: b}]")
    ((_, subjects),) = spoilt(spoiled, before)
    assert sid("a") in subjects
    assert sid("b") not in subjects


def watching(path: Path, act: Callable[[Recorder, Path], None], until: int) -> Recorder:
    """Watch the file, act after the first update, and return what was said until so many."""

    async def main() -> Recorder:
        recorder = Recorder()
        adapter = File("files", FileOptions(path=path), context(recorder.report))

        async def watch() -> None:
            await adapter.watch(recorder.emit)

        task = asyncio.create_task(watch())
        await recorder.until(lambda: bool(recorder.updates), 5, "anything")
        act(recorder, path)
        await recorder.until(lambda: len(recorder.updates) >= until, 5, f"{until} updates")
        task.cancel()
        await asyncio.wait([task])
        return recorder

    return asyncio.run(main())


def nothing(_: Recorder, __: Path) -> None:
    """Leave the file alone."""


GOOD = "services: [{name: orders, instances: [{address: x, port: 1}]}]"


def test_a_broken_file_is_stale_with_the_place_and_then_listed_with_the_gap(tmp_path: Path) -> None:
    """Nothing is removed between; the reason is said once."""
    path = tmp_path / "services.yaml"
    path.write_text(GOOD)

    def act(recorder: Recorder, path: Path) -> None:
        loop = asyncio.get_running_loop()

        def mend() -> None:
            """Do so once it was said."""
            if len(recorder.updates) > 1:
                path.write_text(GOOD)
            else:
                loop.call_later(0.02, mend)

        path.write_text("services: [{")
        assert len(recorder.updates) == 1
        mend()

    first, stale, last = watching(path, act, 3).updates
    assert isinstance(first, Listing)
    assert isinstance(stale, Stale)
    assert "services.yaml: line 2, column 1: not YAML" in stale.reason
    assert isinstance(last, Listing)
    assert last.after_gap
    assert last.services == first.services


def test_a_writer_that_pauses_between_two_lines_shows_no_shorter_file(tmp_path: Path) -> None:
    """The half of it is valid YAML and would take an instance away; only the whole is listed."""
    path = tmp_path / "services.yaml"
    lines = [
        "services:\n- name: orders\n  instances:\n",
        "  - {address: x, port: 1}\n",
        "  - {address: y, port: 1}\n",
    ]
    path.write_text("".join(lines))

    def act(_: Recorder, path: Path) -> None:
        loop = asyncio.get_running_loop()
        path.write_text(lines[0] + lines[1])
        loop.call_later(0.05, path.write_text, "".join((*lines, "  - {address: z, port: 1}\n")))

    first, second = watching(path, act, 2).listings()
    assert [each.address for each in first.services[0].instances] == ["x", "y"]
    assert [each.address for each in second.services[0].instances] == ["x", "y", "z"]


def test_a_file_that_is_not_there_is_stale_and_read_when_it_comes(tmp_path: Path) -> None:
    """A missing file is no empty registry."""
    path = tmp_path / "services.yaml"

    def act(_: Recorder, path: Path) -> None:
        path.write_text(GOOD)

    stale, listing = watching(path, act, 2).updates
    assert isinstance(stale, Stale)
    assert "No such file" in stale.reason
    assert isinstance(listing, Listing)


def test_a_link_that_is_swapped_is_followed(tmp_path: Path) -> None:
    """As a mounted ConfigMap does it: the file's own entry does not change."""
    for version, text in (("one", GOOD), ("two", GOOD.replace("orders", "carts"))):
        (tmp_path / version).mkdir()
        (tmp_path / version / "services.yaml").write_text(text)
    (tmp_path / "data").symlink_to("one")
    path = tmp_path / "services.yaml"
    path.symlink_to("data/services.yaml")

    def act(_: Recorder, path: Path) -> None:
        beside = path.parent / "data.new"
        beside.symlink_to("two")
        beside.rename(path.parent / "data")

    recorder = watching(path, act, 2)
    assert [service.name for service in recorder.services()] == ["carts"]


def test_a_named_pipe_is_refused(tmp_path: Path) -> None:
    """Opening one would wait for ever."""
    import os  # noqa: PLC0415 - only here

    path = tmp_path / "services.yaml"
    os.mkfifo(path)
    (update,) = watching(path, nothing, 1).updates
    assert isinstance(update, Stale)
    assert "no regular file" in update.reason


@pytest.mark.parametrize("broken", [OSError(28, "No space left"), RuntimeError("error in watch")])
def test_a_watch_that_breaks_is_an_outage(
    broken: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the RuntimeError that watchfiles raises of its own: it would be the adapter's."""

    async def breaks(*_: object, **__: object) -> AsyncIterator[None]:
        for each in (broken,):
            raise each
        yield

    async def main() -> None:
        recorder = Recorder()
        options = FileOptions(path=tmp_path / "services.yaml")
        await File("shop", options, context(recorder.report)).watch(recorder.emit)

    monkeypatch.setattr("meshbridge_file.adapter.awatch", breaks)
    with pytest.raises(RegistryUnavailable, match=f"cannot watch {tmp_path}: (No|error)"):
        asyncio.run(main())
