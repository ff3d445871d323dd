"""Wishes for a reload are taken one after the other, and what wakes them is what changed."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from unit.runtime.examples import Log

from meshbridge.admin.client import Answer
from meshbridge.admin.reloading import Reloaded
from meshbridge.cli import reload as command
from meshbridge.cli.parts import Parts, Serve, Ways
from meshbridge.cli.reloading import Reloads
from meshbridge.cli.triggers import Hangup, signature, watch_files
from meshbridge.configuration import Configuration, Result
from meshbridge.errors import ConfigurationError
from meshbridge.settings.comparing import Plan
from meshbridge.settings.loading import load_settings
from meshbridge.settings.model import Settings
from meshbridge.tally import Tally
from rig.waiting import until

pytestmark = pytest.mark.asyncio
TEXT = """
version: 1
registries: [{name: shop, adapter: file, path: a.yaml, required: %s}]
outlets: {xds: {}}
"""


class Stand:
    """Reloads of a file, and what they would apply."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "meshbridge.yaml"
        self.write("true")
        self.log, self.configuration = Log(), Configuration()
        self.applied: list[bool] = []
        """Whether the loss was accepted, for each time."""
        self.tally: Tally | None = None
        self.at_once = 0
        self.fault: Exception | None = None
        self.reloads = Reloads(
            self.read(), self.read, self.apply, self.configuration, self.log.logger()
        )

    def write(self, required: str) -> None:
        self.path.write_text(TEXT % required)

    def read(self) -> Settings:
        return load_settings(self.path, {})

    def required(self) -> bool:
        """Whether the configuration in force requires the registry."""
        return self.reloads.settings.registries[0].required

    async def was_applied(self) -> bool:
        return bool(self.applied)

    async def apply(self, settings: Settings, plan: Plan, accept_loss: bool) -> Tally | None:  # noqa: FBT001
        del settings, plan
        self.at_once += 1
        assert self.at_once == 1, "two at once"
        await asyncio.sleep(0)
        self.at_once -= 1
        self.applied.append(accept_loss)
        if self.fault is not None:
            raise self.fault
        return None if accept_loss else self.tally


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path)


async def test_a_wish_that_comes_while_one_is_at_work_is_not_lost(stand: Stand) -> None:
    running = asyncio.create_task(stand.reloads.run())
    stand.write("false")
    for _ in range(50):
        stand.reloads.ask()
    wishes = [asyncio.create_task(stand.reloads.reload(accept_loss=False)) for _ in range(3)]
    while not stand.applied:
        await asyncio.sleep(0.01)
        stand.reloads.ask()
    for told in await asyncio.gather(*wishes):
        assert told.result is Result.UNCHANGED
        assert told.lines == ["0 s ago: registry shop: changed (required)"]
    assert stand.applied == [False], "all of them were one"
    assert sum(stand.configuration.counts.values()) < 50
    running.cancel()
    await asyncio.wait({running})


async def test_what_changed_by_a_wish_is_not_told_as_what_changed_before_it(stand: Stand) -> None:
    running = asyncio.create_task(stand.reloads.run())
    stand.write("false")
    stand.reloads.ask()
    await until(stand.was_applied, bool, within=10)
    stand.write("true")
    told = await stand.reloads.reload(accept_loss=False)
    assert told.result is Result.APPLIED
    told = await stand.reloads.reload(accept_loss=False)
    assert (told.result, told.lines) == (Result.UNCHANGED, [])
    running.cancel()
    await asyncio.wait({running})


async def test_a_refusal_is_said_counted_and_kept_until_the_file_is_right(stand: Stand) -> None:
    running = asyncio.create_task(stand.reloads.run())
    stand.tally = Tally()
    stand.tally.compare_sizes("orders.x", 20, None)
    stand.write("false")
    told = await stand.reloads.reload(accept_loss=False)
    assert told.result is Result.REFUSED
    assert told.lines[1:] == ["orders.x: gone"]
    assert stand.configuration.refused == tuple(told.lines)
    assert stand.required()
    assert (await stand.reloads.reload(accept_loss=True)).result is Result.APPLIED
    assert stand.configuration.refused == ()
    assert not stand.required()
    assert stand.configuration.counts == {Result.REFUSED: 1, Result.APPLIED: 1}
    running.cancel()
    await asyncio.wait({running})


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (ConfigurationError("outlets.xds: in use"), "outlets.xds: in use"),
        (ValueError("no such option"), "an adapter or an outlet cannot be made: no such option"),
    ],
)
async def test_what_cannot_be_had_leaves_the_old_one_in_force(
    fault: Exception, line: str, stand: Stand
) -> None:
    running = asyncio.create_task(stand.reloads.run())
    stand.fault = fault
    stand.write("false")
    told = await stand.reloads.reload(accept_loss=False)
    assert told == Reloaded(Result.INVALID, [line])
    assert stand.reloads.settings.registries[0].required
    stand.write("maybe")
    told = await stand.reloads.reload(accept_loss=False)
    assert told.result is Result.INVALID
    assert "registries[0].required" in told.lines[0]
    running.cancel()
    await asyncio.wait({running})


async def seen_by(files: Callable[[], tuple[Path, ...]], change: Callable[[], None]) -> None:
    """Change something, and wait until that is seen."""
    changed = asyncio.Event()
    watching = asyncio.create_task(watch_files(files, signature(files()), changed.set))
    await asyncio.sleep(0.2)
    assert not changed.is_set()
    change()
    await asyncio.wait_for(changed.wait(), 10)
    watching.cancel()
    await asyncio.wait({watching})


async def test_a_renamed_file_is_a_changed_one(tmp_path: Path) -> None:
    path, new = tmp_path / "a.yaml", tmp_path / "a.yaml.new"
    path.write_text("1")
    new.write_text("1")

    def rename() -> None:
        new.replace(path)

    await seen_by(lambda: (path,), rename)


async def test_a_file_that_appears_is_a_changed_one_even_in_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "later" / "secret"

    def appear() -> None:
        path.parent.mkdir()
        path.write_text("1")

    await seen_by(lambda: (path,), appear)


async def test_a_config_map_that_is_switched_is_a_changed_file(tmp_path: Path) -> None:
    """As a kubelet does it: the file is a link into a folder, and that folder a link as well."""
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.yaml").write_text(version)
    (tmp_path / "..data").symlink_to("one")
    path = tmp_path / "a.yaml"
    path.symlink_to("..data/a.yaml")

    def switch() -> None:
        (tmp_path / "..tmp").symlink_to("two")
        (tmp_path / "..tmp").rename(tmp_path / "..data")

    await seen_by(lambda: (path,), switch)


async def test_a_hangup_before_anybody_listens_is_heard() -> None:
    before = signal.getsignal(signal.SIGHUP)
    try:
        with Hangup() as hangup:
            os.kill(os.getpid(), signal.SIGHUP)
            heard = asyncio.Event()
            hangup.listen(heard.set)
            await asyncio.wait_for(heard.wait(), 5)
            heard.clear()
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.wait_for(heard.wait(), 5)
    finally:
        signal.signal(signal.SIGHUP, before)


# --- parts that are replaced


class Port:
    """Something that only one may hold at a time."""

    def __init__(self) -> None:
        self.holder: str | None = None
        self.history: list[str] = []

    def hold(self, name: str) -> Serve:
        async def serve(opened: Callable[[], None]) -> None:
            if self.holder is not None:
                raise ConfigurationError("in use")
            self.holder = name
            self.history.append(name)
            opened()
            try:
                await asyncio.Event().wait()
            finally:
                self.holder = None

        return serve


async def refuse(_: Callable[[], None]) -> None:
    raise ConfigurationError("in use by somebody else")


async def test_a_part_takes_the_place_of_one_that_is_in_its_way() -> None:
    parts, port = Parts(Log().logger()), Port()
    await parts.open("a", port.hold("old"))
    ways = Ways(port.hold("new"), port.hold("old"), lambda _: True)
    await parts.replace("a", ways, within=10)
    assert port.history == ["old", "new"]
    ways = Ways(refuse, port.hold("again"), lambda _: True)
    with pytest.raises(ConfigurationError):
        await parts.replace("a", ways, within=10)
    assert port.holder == "again"
    ways = Ways(refuse, refuse, lambda _: False)
    with pytest.raises(ConfigurationError):
        await parts.replace("a", ways, within=10)
    assert port.history == ["old", "new", "again"], "it is not touched for somebody else's port"
    await parts.end("a", within=10)
    assert parts.running == []


async def test_a_part_that_fails_in_another_way_takes_nothing_from_the_old_one() -> None:
    async def fail(_: Callable[[], None]) -> None:
        raise ZeroDivisionError

    in_use, parts, port = [True], Parts(Log().logger()), Port()

    async def refuse_then_fail(opened: Callable[[], None]) -> None:
        await (refuse if in_use.pop() else fail)(opened)

    await parts.open("a", port.hold("old"))
    with pytest.raises(ZeroDivisionError):
        await parts.replace("a", Ways(fail, refuse, lambda _: True), within=10)
    assert parts.running == ["a"], "it is still known, and ended in order"
    in_use[:] = [False, True]
    with pytest.raises(ZeroDivisionError):
        await parts.replace(
            "a", Ways(refuse_then_fail, port.hold("again"), lambda _: True), within=10
        )
    assert (port.holder, parts.running) == ("again", ["a"])
    await parts.end("a", within=10)
    assert port.holder is None


async def test_a_part_that_is_replaced_or_ended_on_purpose_is_no_fault() -> None:
    parts, one, two = Parts(Log().logger()), Port(), Port()
    await parts.open("a", one.hold("one"))
    await parts.open("b", one_more := two.hold("two"))
    waiting = asyncio.create_task(parts.until_one_ends())
    await parts.replace("a", Ways(Port().hold("x"), refuse, lambda _: False), within=10)
    await parts.end("b", within=10)
    with pytest.raises(ConfigurationError):
        await parts.open("c", refuse)
    await parts.open("b", one_more)
    await asyncio.sleep(0)
    assert not waiting.done()
    parts.start("short", asyncio.sleep(0))
    with pytest.raises(RuntimeError, match="short has returned"):
        await waiting
    await parts.end("a", "b", within=10)


# --- the command

REFUSED = """\
error: the configuration is refused: too much; if it is meant: \
meshbridge reload --accept-loss --admin /one
lost: h: gone
"""


@pytest.mark.parametrize(
    ("told", "code", "out", "err"),
    [
        (Reloaded(Result.APPLIED, ["outlet xds: added"]), 0, "outlet xds: added\n", ""),
        (Reloaded(Result.UNCHANGED, []), 0, "nothing changed\n", ""),
        (Reloaded(Result.INVALID, ["x: wrong\n"]), 2, "", "error: x: wrong\\n\n"),
        (
            Reloaded(Result.REFUSED, ["too much", "h: gone"]),
            1,
            "",
            REFUSED,
        ),
    ],
)
async def test_the_command_says_what_came_of_it(
    told: Reloaded,
    code: int,
    out: str,
    err: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:

    def ask_bridges(*_: object, **__: object) -> tuple[list[Answer[Reloaded]], int]:
        return [Answer(Path("/one"), told)], 0

    monkeypatch.setattr(command, "ask_bridges", ask_bridges)
    assert command.reload_bridges([Path("/one")], accept_loss=False) == code
    assert capsys.readouterr() == (out, err)


async def test_the_command_names_no_socket_that_it_finds_by_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = Path("state/admin.sock")

    def ask_bridges(*_: object, **__: object) -> tuple[list[Answer[Reloaded]], int]:
        return [Answer(usual, Reloaded(Result.REFUSED, ["too much"]))], 0

    monkeypatch.setattr(command, "ask_bridges", ask_bridges)
    assert command.reload_bridges([usual], accept_loss=False) == 1
    assert capsys.readouterr().err.endswith("if it is meant: meshbridge reload --accept-loss\n")
