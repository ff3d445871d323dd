"""How an istiod is asked: bounded in bytes and time, and each refusal has its reason."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from pydantic import TypeAdapter, ValidationError

from meshbridge_mcp import asking
from meshbridge_mcp.asking import Origin, Unreadable, ask
from rig.ports import free_port

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def answering(*parts: bytes, hang: bool = False) -> AsyncGenerator[tuple[str, list[bytes]]]:
    """Answer one request with these bytes; yields where, and the requests."""
    asked: list[bytes] = []
    ended, answered = asyncio.Event(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        for part in parts:
            writer.write(part)
        if hang:
            await ended.wait()
        writer.close()
        with contextlib.suppress(ConnectionError):  # who asked may have gone
            await writer.wait_closed()
        answered.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
        ended.set()
        await answered.wait()


def head(status: str, *headers: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", *headers, "", "")).encode()


async def refused(origin: str) -> str:
    with pytest.raises(Unreadable, match=r"^[^\n]+$") as error:
        await ask(origin)
    return str(error.value)


async def test_all_of_it_is_returned() -> None:
    async with answering(head("200 OK", "Content-Length: 4"), b"[", b" ]\n") as (origin, asked):
        assert await ask(origin) == b"[ ]\n"
    assert asked[0].startswith(b"GET /debug/configz HTTP/1.1\r\n")


async def test_a_redirect_is_not_followed() -> None:
    """What somebody else holds would count as istiod's."""
    async with answering(head("302 Found", "Location: http://127.0.0.1:1/")) as (origin, asked):
        assert await refused(origin) == (
            "it redirects, which is not followed; name where it answers itself"
        )
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("401 Unauthorized", "lets only its own machine read it"),
        ("403 Forbidden", "lets only its own machine read it"),
        ("404 Not Found", "it answers /debug/configz with 404; is it istiod's port?"),
        ("500 Internal Server Error", "with 500"),
    ],
)
async def test_a_refusal_says_what_to_do(status: str, words: str) -> None:
    async with answering(head(status, "Content-Length: 0")) as (origin, _):
        assert words in await refused(origin)


async def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LARGEST", 2**20)
    async with answering(head("200 OK"), bytes(2**20 + 1), hang=True) as (origin, _):
        assert await refused(origin) == "its answer is larger than 1 MB"


async def test_an_answer_that_does_not_come_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "WAIT", 0.05)
    async with answering(head("200 OK", "Content-Length: 9"), b"[", hang=True) as (origin, _):
        assert await refused(origin) == "it did not answer whole in 0.05 s"


async def test_an_answer_that_breaks_off_is_none() -> None:
    async with answering(head("200 OK", "Content-Length: 9"), b"[") as (origin, _):
        assert (await refused(origin)).startswith("its answer broke off or is no HTTP: ")


async def test_what_is_no_http_is_no_answer() -> None:
    """As what a gRPC server begins with."""
    async with answering(b"SSH-2.0-OpenSSH\r\n\r\n") as (origin, _):
        assert await refused(origin) == "it speaks no HTTP at this port; is it the one of gRPC?"


async def test_nobody_there_is_said_in_the_systems_words() -> None:
    assert await refused(f"http://127.0.0.1:{free_port()}") == (
        "it cannot be reached: Connection refused"
    )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("http://127.0.0.1:15014", "http://127.0.0.1:15014"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://istiod", "https://istiod"),
    ],
)
async def test_an_origin_is_taken_as_it_is_written(written: str, read: str) -> None:
    assert TypeAdapter[str](Origin).validate_python(written) == read


@pytest.mark.parametrize(
    "written",
    [
        *("", "127.0.0.1:15014", "xds://127.0.0.1:15014", "http://", "http://a:0", "http://a:x"),
        *("http://a/debug/configz", "http://a?b", "http://u:p@a", "http://[::1", 15014, None),
    ],
)
async def test_what_is_no_origin_is_refused_in_words(written: object) -> None:
    with pytest.raises(ValidationError, match="must be http://host:port of an istiod"):
        TypeAdapter[str](Origin).validate_python(written)
