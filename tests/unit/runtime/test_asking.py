"""Commands that ask bridges name each one that did not answer, and end with the right code."""

from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from meshbridge.admin import AdminRefusal
from meshbridge.admin.client import Answer
from meshbridge.cli import asking
from meshbridge.cli.asking import ask_bridges
from meshbridge.cli.options import USUAL_ADMIN, Admin


class Nothing(msgspec.Struct):
    """A question."""


Refusals = dict[str, AdminRefusal | None]


def answering(monkeypatch: pytest.MonkeyPatch, refusals: Refusals) -> None:
    """Let bridges of these names answer with their name, or refuse."""

    async def ask(
        paths: list[Path], operation: str, question: object, answer: object, *, within: float
    ) -> list[Answer[str]]:
        del operation, question, answer, within
        return [
            Answer(path, None, refusal)
            if (refusal := refusals[str(path)])
            else Answer(path, str(path))
            for path in paths
        ]

    monkeypatch.setattr(asking, "ask", ask)


@pytest.mark.parametrize(
    ("refusals", "code", "said"),
    [
        ({"/one": None, "/two": None}, 0, ""),
        (
            {"/one": None, "/two": AdminRefusal("nothing is held")},
            1,
            "error: /two: nothing is held\n",
        ),
        (
            {"/one": AdminRefusal("what?", 2), "/two": AdminRefusal("no\n")},
            2,
            "error: /one: what?\nerror: /two: no\\n\n",
        ),
        (
            {"/two": AdminRefusal("no bridge answers at /two")},
            1,
            "error: no bridge answers at /two\n",
        ),
    ],
)
def test_each_bridge_that_did_not_answer_is_named_in_a_line(
    refusals: Refusals,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The others' answers are there all the same."""
    answering(monkeypatch, refusals)
    told, found = ask_bridges([Path(each) for each in refusals], "state", Nothing(), str)
    assert [each.value for each in told] == [name for name, no in refusals.items() if no is None]
    assert found == code
    assert capsys.readouterr().err == said


def test_a_bridge_that_is_named_twice_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, {"/one": None})
    told, _ = ask_bridges([Path("/one"), Path("/one")], "state", Nothing(), str)
    assert len(told) == 1


def test_the_option_may_be_given_several_times_and_has_a_documented_default() -> None:
    seen: list[list[Path]] = []
    app = typer.Typer()

    @app.command()
    def command(admin: Admin = USUAL_ADMIN) -> None:  # pyright: ignore[reportUnusedFunction] - typer calls it
        seen.append(admin)

    for arguments in ([], ["--admin", "a.sock", "--admin", "b.sock"]):
        assert CliRunner().invoke(app, arguments).exit_code == 0
    assert seen == [[Path("state/admin.sock")], [Path("a.sock"), Path("b.sock")]]
