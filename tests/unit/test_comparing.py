"""What of a running bridge another configuration touches, and what it leaves alone."""

from pathlib import Path

import pytest

from meshbridge.settings.comparing import Fate, compare
from meshbridge.settings.loading import load_settings
from meshbridge.settings.model import Settings

BASE = """
version: 1
registries:
  - {name: shop, adapter: nacos, servers: ["127.0.0.1:8848"], username: u, password: "${env:WORD}"}
  - {name: more, adapter: file, path: more.yaml}
outlets:
  xds: {listen: "127.0.0.1:15010"}
  mcp: {}
"""


def settings(folder: Path, text: str = BASE, word: str = "secret-1") -> Settings:
    path = folder / "meshbridge.yaml"
    path.write_text(text)
    return load_settings(path, {"WORD": word})


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("", "", ()),
        ("name: more,", "name: more, required: false,", ("registry more: changed (required)",)),
        ("path: more.yaml", "path: x.yaml", ("registry more: restarted (options)",)),
        (
            "path: more.yaml",
            "path: more.yaml, publish: {protocol: tcp}",
            ("registry more: changed (publish)",),
        ),
        (
            "path: more.yaml",
            "path: more.yaml, guard: {max-loss: 10%}",
            ("registry more: changed (guard)",),
        ),
        ("name: more", "name: other", ("registry other: added", "registry more: removed")),
        ("15010", "15011", ("outlet xds: restarted (options)",)),
        ("  mcp: {}\n", "", ("outlet mcp: removed",)),
        (
            "outlets:",
            "max-loss: 10%\nstatus: none\noutlets:",
            ("status: changed", "max-loss: changed"),
        ),
    ],
)
def test_each_change_touches_what_it_names(
    old: str, new: str, lines: tuple[str, ...], tmp_path: Path
) -> None:
    plan = compare(settings(tmp_path), settings(tmp_path, BASE.replace(old, new, 1)))
    assert plan.lines() == lines
    assert plan.faults == ()
    assert plan.touches_registries is any(line.startswith("registry") for line in lines)


def test_another_secret_restarts_the_adapter_and_is_in_no_line(tmp_path: Path) -> None:
    plan = compare(settings(tmp_path), settings(tmp_path, word="secret-2"))
    assert plan.lines() == ("registry shop: restarted (options)",)
    assert "secret" not in repr(plan)


def test_what_a_restart_alone_can_change_is_said(tmp_path: Path) -> None:
    text = BASE + "state: ./state\nadmin: ./admin.sock\n"
    plan = compare(settings(tmp_path), settings(tmp_path, text))
    assert [each.partition(":")[0] for each in plan.faults] == ["state", "admin"]
    assert "restart it, or put it back" in plan.faults[0]


def test_another_order_touches_only_the_order(tmp_path: Path) -> None:
    first, second = BASE.splitlines()[3:5]
    text = BASE.replace(first, "X").replace(second, first).replace("X", second)
    plan = compare(settings(tmp_path), settings(tmp_path, text))
    assert {(each.name, each.fate, each.keys) for each in plan.registries} == {
        ("more", Fate.CHANGED, ("order",)),
        ("shop", Fate.CHANGED, ("order",)),
    }


def test_every_file_that_it_was_read_from_is_known(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("w")
    found = settings(tmp_path, BASE.replace("${env:WORD}", "${file:word}"))
    assert found.files == {tmp_path / "word"}
