"""Commands reach a running bridge through its admin socket, and only its owner's commands do."""

import asyncio
import socket
import stat
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
from unit.runtime.examples import Log

from meshbridge.admin import AdminRefusal, Operation, operation
from meshbridge.admin.client import Answer, ask
from meshbridge.admin.operation import LARGEST_QUESTION
from meshbridge.admin.place import LONGEST
from meshbridge.admin.server import AdminServer
from meshbridge.errors import ConfigurationError

pytestmark = pytest.mark.asyncio


class Name(msgspec.Struct, forbid_unknown_fields=True):
    """A question."""

    name: str


class Other(msgspec.Struct):
    """What a command of another version asks."""

    name: str = "a"
    more: int = 0


async def greet(asked: Name) -> dict[str, str]:
    """Answer, refuse, fail or hang."""
    match asked.name:
        case "nobody":
            raise AdminRefusal("nobody is not greeted; name somebody")
        case "broken":
            raise RuntimeError("secret")
        case "slow":
            await asyncio.Event().wait()
        case name:
            return {"said": f"hello {name}"}
    raise AssertionError("it waits for ever")


OPERATIONS: Mapping[str, Operation] = {"greet": operation(Name, greet)}


@asynccontextmanager
async def served(path: Path, log: Log | None = None) -> AsyncGenerator[None]:
    """Serve the operations at the path."""
    server = AdminServer(path, OPERATIONS, (log or Log()).logger())
    opened = asyncio.Event()

    def listening(name: str, address: str) -> None:
        assert (name, address) == ("admin", str(path))
        opened.set()

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(server.serve(listening))
        try:
            await opened.wait()
            yield
        finally:
            task.cancel()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the socket shall be; its folder is missing."""
    return tmp_path / "state" / "a.sock"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


def remove(path: Path) -> None:
    path.unlink()


async def greeted(*paths: Path, name: str = "you") -> list[Answer[dict[str, str]]]:
    return await ask(paths, "greet", Name(name), dict[str, str], within=5)


async def refused(*paths: Path, name: str = "you") -> tuple[str, int]:
    """Return why the only answer is none, and the exit code."""
    (answer,) = await greeted(*paths, name=name)
    assert answer.value is None
    assert answer.refusal is not None
    return answer.refusal.reason, answer.refusal.code


async def test_a_question_is_answered_by_each_bridge(path: Path, tmp_path: Path) -> None:
    """In the order of the paths; one that is not there takes nothing from the others."""
    second, missing = tmp_path / "b.sock", tmp_path / "c.sock"
    async with served(path), served(second):
        answers = await greeted(second, missing, path)
    assert [each.path for each in answers] == [second, missing, path]
    assert [each.value for each in answers] == [{"said": "hello you"}, None, {"said": "hello you"}]
    assert answers[1].refusal is not None


async def test_nobody_else_may_connect_and_nothing_is_left(path: Path) -> None:
    """The folder is made for the owner only, the socket as well, and it is gone at the end."""
    async with served(path):
        assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert names_in(path.parent) == []


async def test_a_refusal_comes_back_with_its_reason_and_code(path: Path) -> None:
    async with served(path):
        assert await refused(path, name="nobody") == ("nobody is not greeted; name somebody", 1)


async def test_a_failure_is_told_without_what_is_in_it(path: Path) -> None:
    """The log has it; whoever asked hears where to look, and the bridge goes on."""
    log = Log()
    async with served(path, log):
        reason, code = await refused(path, name="broken")
        assert (code, "secret" in reason, "its log says how" in reason) == (1, False, True)
        (answer,) = await greeted(path)
        assert answer.value is not None


@pytest.mark.parametrize(
    ("name", "question", "said"),
    [
        ("greet", Other(), "the question cannot be read: Object contains unknown field `more`"),
        ("grete", Name("a"), "this bridge knows no 'grete', only greet; is it older than the comm"),
    ],
)
async def test_what_a_newer_command_asks_is_refused_not_misread(
    path: Path, name: str, question: msgspec.Struct, said: str
) -> None:
    async with served(path):
        (answer,) = await ask([path], name, question, object)
    assert answer.refusal is not None
    assert answer.refusal.code == 2
    assert said in answer.refusal.reason


async def test_only_post_is_answered(path: Path) -> None:
    async with (
        served(path),
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
    ):
        for method in ("GET", "PUT", "DELETE"):
            async with session.request(method, "http://admin/greet") as response:
                assert response.status == 405


async def test_a_question_has_a_bounded_size(path: Path) -> None:
    """The client does not send one that is too long, and the server does not take it."""
    async with served(path):
        assert "more was asked than fits" in (await refused(path, name="x" * LARGEST_QUESTION))[0]
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
            session.post("http://admin/greet", data=b"x" * (LARGEST_QUESTION + 1)) as response,
        ):
            assert response.status == 413


async def test_a_bridge_that_does_not_answer_is_not_waited_for(path: Path) -> None:
    async with served(path):
        (answer,) = await ask([path], "greet", Name("slow"), object, within=0.05)
    assert answer.refusal is not None
    assert f"{path} did not answer greet within 0.05 s" in answer.refusal.reason


async def test_a_bridge_that_is_not_there_is_named_with_what_to_look_at(path: Path) -> None:
    reason, code = await refused(path)
    assert reason.startswith(
        f"no bridge answers at {path}: is it running, and is `admin` set in its configuration?"
    )
    assert code == 1


async def test_what_is_no_bridge_is_not_believed(path: Path) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        writer.close()

    path.parent.mkdir()
    async with await asyncio.start_unix_server(babble, path):
        assert "is no meshbridge of this version" in (await refused(path))[0]


async def test_the_socket_of_a_dead_bridge_is_replaced(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with served(path):
        (answer,) = await greeted(path)
    assert answer.value is not None


async def start(path: Path) -> None:
    async with served(path):
        raise AssertionError("it serves")


Spoil = Callable[[Path], object]


def forbid_the_folder(path: Path) -> None:
    """Put a file where the folder shall be."""
    path.parent.rmdir()
    path.parent.touch()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (Path.touch, "something else than a socket stands at"),
        (Path.mkdir, "something else than a socket stands at"),
        (forbid_the_folder, "no socket can be made at"),
    ],
    ids=["file", "folder", "no folder"],
)
async def test_what_is_no_socket_is_left_alone(path: Path, spoil: Spoil, said: str) -> None:
    """The start is refused with the key, the path and what to do."""
    path.parent.mkdir()
    spoil(path)
    with pytest.raises(ExceptionGroup) as caught:
        await start(path)
    (error,) = caught.value.exceptions
    assert isinstance(error, ConfigurationError)
    assert str(error).startswith(f"admin: {said} {path}")


async def test_a_living_bridge_keeps_its_socket(path: Path) -> None:
    """A second one is refused, and the first goes on answering."""
    async with served(path):
        with pytest.raises(ExceptionGroup) as caught:
            await start(path)
        (answer,) = await greeted(path)
    assert answer.value is not None
    (error,) = caught.value.exceptions
    assert str(error) == (
        f"admin: another meshbridge answers at {path}; stop it or name another admin path"
    )


async def test_a_path_too_long_for_a_socket_is_refused_by_both_sides(tmp_path: Path) -> None:
    longest = tmp_path / ("x" * (LONGEST - len(str(tmp_path)) - 1))
    async with served(longest):
        (answer,) = await greeted(longest)
        assert answer.value is not None
    longer = Path(f"{longest}x")
    with pytest.raises(ExceptionGroup) as caught:
        await start(longer)
    assert f"may have {LONGEST}; name a shorter one" in str(caught.value.exceptions[0])
    reason, code = await refused(longer)
    assert (code, reason.startswith("--admin: ")) == (2, True)


async def test_who_replaced_the_socket_keeps_his(path: Path) -> None:
    """Somebody removed it and made another one: that is not ours to remove."""
    with socket.socket(socket.AF_UNIX) as another:
        async with served(path):
            remove(path)
            another.bind(str(path))
        assert names_in(path.parent) == [path.name]


async def test_an_operation_can_be_asked_without_a_socket() -> None:
    answer: Callable[[bytes], Awaitable[bytes]] = OPERATIONS["greet"]
    assert await answer(b'{"name":"you"}') == b'{"said":"hello you"}'
    for wrong in (b"", b"[]", b"\xff", b"[" * 100_000):
        with pytest.raises(AdminRefusal, match="cannot be read") as caught:
            await answer(wrong)
        assert caught.value.code == 2


@pytest.mark.parametrize("turns", range(12))
async def test_a_server_that_is_cancelled_while_it_opens_leaves_nothing(
    path: Path, turns: int
) -> None:
    """At each await of its start: no socket stays, neither open nor in the folder."""
    server = AdminServer(path, OPERATIONS, Log().logger())
    task = asyncio.create_task(server.serve(lambda _, __: None))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert turns == 0 or names_in(path.parent) == []
