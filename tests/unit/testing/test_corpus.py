"""The captured corpus is whole, tells nothing of the machine, and is made the same each time."""

import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast
from xml.etree import ElementTree as ET

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from rig.corpus.guard import traces
from rig.corpus.http import NOT_FOUND, OK, Answer, Unexpected, ask
from rig.corpus.parts import PARTS
from rig.corpus.report import index_text, readme
from rig.corpus.scrub import Json, by_name, ordered, parsed, scrub
from rig.corpus.shelf import Index, Shelf

CORPUS = Path(__file__).resolve().parents[2] / "corpus"
INDEX = cast("Index", json.loads((CORPUS / "index.json").read_text(encoding="utf-8")))
FILES = sorted(
    str(path.relative_to(CORPUS)) for path in CORPUS.rglob("*.*") if path.parent != CORPUS
)

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def text(path: str) -> str:
    return (CORPUS / path).read_text(encoding="utf-8")


def test_every_server_has_its_part() -> None:
    assert sorted(INDEX) == sorted(PARTS)


def test_the_index_names_each_file_and_no_other() -> None:
    assert sorted(path for part in INDEX.values() for path in part["files"]) == FILES


@pytest.mark.parametrize("part", PARTS)
def test_a_part_was_captured_from_the_versions_that_are_pinned(part: str) -> None:
    """If not, ``make corpus`` has to run again."""
    assert INDEX[part]["versions"] == PARTS[part].versions()


def test_what_is_written_for_programs_and_for_people_is_what_the_index_says() -> None:
    assert text("index.json") == index_text(INDEX)
    assert text("README.md") == readme(INDEX)


@pytest.mark.parametrize("path", FILES)
def test_a_file_can_be_read_and_tells_nothing_of_the_machine(path: str) -> None:
    content = text(path)

    if path.endswith(".json"):
        assert json.loads(content) is not None
    elif path.endswith(".xml"):
        assert len(ET.fromstring(content).tag) > 0  # noqa: S314 - the corpus is ours
    else:
        assert path.endswith(".txt")
    assert traces(content, []) == []
    assert scrub(content) == content


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("?pid=4711&side=x", "?pid=1&side=x"),
        ("pid%3D4711%26", "pid%3D1%26"),
        (r"{\"pid\":\"4711\"}", r"{\"pid\":\"1\"}"),
        ("timestamp=1789012345678&", "timestamp=1767225600000&"),
        ("timestamp%3D1789012345678", "timestamp%3D1767225600000"),
        ("port=17890 id=178901234567890", "port=17890 id=178901234567890"),
        ('"2026-11-24T10:11:12.345"', '"2026-01-01T00:00:00.000"'),
        ("file:/somewhere/else/classes/", "file:/app/classes/"),
    ],
)
def test_what_differs_from_run_to_run_is_replaced(said: str, kept: str) -> None:
    assert scrub(said) == kept


def test_ids_are_numbered_so_that_one_and_the_same_stays_recognisable() -> None:
    one, two = "0a1b2c3d-0a1b-4c3d-8a1b-0a1b2c3d4e5f", "ffffffff-0a1b-4c3d-8a1b-0a1b2c3d4e5f"

    found = scrub(f"{two} {one} {two}").split()

    assert found[0] == found[2] == "00000000-0000-4000-8000-000000000001"
    assert found[1] == "00000000-0000-4000-8000-000000000002"


@given(st.text())
def test_scrubbing_again_changes_nothing(said: str) -> None:
    once = scrub(said)

    assert scrub(once) == once


@given(documents)
def test_an_ordered_document_has_the_same_things_in_it_and_stays_ordered(document: Json) -> None:
    def things(value: Json) -> list[str]:
        return sorted(re.findall(r"[^\[\]{},: ]+", json.dumps(value)))

    once = ordered(document)

    assert things(once) == things(document)
    assert ordered(once) == once


def test_fields_are_sorted_also_in_json_inside_of_a_text() -> None:
    inner = r"""{"d":[1],"c":"{\"f\":1,\"e\":2}"}"""
    text = json.dumps({"b": inner, "a": '{ "z": 1, "y": 2}', "0": "{"})

    assert by_name(parsed(text)) == {
        "0": "{",
        "a": '{ "z": 1, "y": 2}',
        "b": r'{"c":"{\"e\":2,\"f\":1}","d":[1]}',
    }


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("the user is ann", ["ann"]),
        ("annotations", []),
        ("in /home/ann/x and /opt/app", ["/home/ann/x", "/opt/app", "ann"]),
        ("file%3A%2Fhome%2Fbob%2Fx", ["/home/bob/x"]),
        ("/dubbo/tmp.Service and /services/root", []),
    ],
)
def test_what_tells_of_a_machine_is_found(said: str, told: list[str]) -> None:
    assert traces(said, ["ann"]) == told


def test_a_shelf_keeps_nothing_twice(tmp_path: Path) -> None:
    shelf = Shelf("part")
    shelf.put_json("one", '[2, {"b": 1}, 1]', what="Numbers.", asked="GET /", unordered=True)
    with pytest.raises(ValueError, match=r"part/one\.json was captured twice"):
        shelf.put("one.json", "", what="", asked="")

    shelf.write(tmp_path, {"server": "1"})

    assert parsed((tmp_path / "part" / "one.json").read_text()) == [1, 2, {"b": 1}]
    assert json.loads((tmp_path / "section.json").read_text()) == {
        "versions": {"server": "1"},
        "files": {"part/one.json": {"what": "Numbers.", "asked": "GET /"}},
    }


@asynccontextmanager
async def serving() -> AsyncGenerator[str]:
    """Serve the status that the path says, and return where."""

    async def answer(request: web.Request) -> web.Response:
        status = int(request.match_info["status"])
        return web.json_response({"said": status}, status=status)

    application = web.Application()
    application.router.add_get("/{status}", answer)
    async with TestServer(application) as server:
        yield str(server.make_url("")).rstrip("/")


@pytest.mark.asyncio
async def test_an_answer_is_kept_with_how_it_was_had() -> None:
    async with serving() as server:
        ok = await ask(server, "/200", {"a": "b c"})
        gone = await ask(server, "/404", expected=NOT_FOUND)

    assert ok == Answer("GET /200?a=b+c", "json", '{"said": 200}')
    assert gone == Answer("GET /404, answered 404", "json", '{"said": 404}')


@pytest.mark.parametrize(
    ("path", "expected", "told"),
    [
        ("/500", OK, "GET /500?a=1, answered 500, not 200: {"),
        ("/404", OK, "GET /404?a=1, answered 404, not 200: {"),
        ("/200", NOT_FOUND, "GET /200?a=1, answered 200, not 404: {"),
    ],
)
@pytest.mark.asyncio
async def test_an_answer_of_another_status_is_not_kept(path: str, expected: int, told: str) -> None:
    async with serving() as server:
        with pytest.raises(Unexpected, match=re.escape(told)):
            await ask(server, path, {"a": "1"}, expected=expected)
