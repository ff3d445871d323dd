"""Network namespaces: packets vanish, and connections land elsewhere."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from peers.conftest import unavailable

from meshbridge.testing import Process
from rig.network import Namespace, NoNamespaces
from rig.waiting import until

LISTEN = """
import socket, struct, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listening", server.getsockname()[1], flush=True)
opened, caller = server.accept()
try:
    meant = opened.getsockopt(socket.SOL_IP, 80, 16)  # SO_ORIGINAL_DST
    print("meant", socket.inet_ntoa(meant[4:8]), struct.unpack("!H", meant[2:4])[0], flush=True)
except FileNotFoundError:
    pass  # it was not redirected
while heard := opened.recv(65536):
    print("heard", heard.decode().strip(), flush=True)
"""
CONNECT = """
import socket, sys
opened = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print("connected", flush=True)
for line in sys.stdin:
    opened.sendall(line.encode())
"""


@pytest.fixture(autouse=True)
def allowed() -> None:
    """Skip by name where no namespaces can be made."""
    try:
        Namespace()
    except NoNamespaces as missing:
        unavailable(missing)


def inside(namespace: Namespace, directory: Path, program: str, address: str, port: int) -> Process:
    """Return a program that listens, or connects and sends the lines that it is given."""
    command = namespace.command(sys.executable, "-c", program, address, str(port))
    name = "listen" if program is LISTEN else "connect"
    return Process(name, command, directory=directory, input=True)


async def said(process: Process, word: str) -> str:
    """Wait for a line that begins with the word; return the rest of it."""
    line = re.compile(rf"^{word}\b *(.*)\n", re.MULTILINE)

    async def look() -> bool:
        return line.search(process.log) is not None

    await process.ready(look, within=20)
    found = line.search(process.log)
    return found[1] if found else ""


async def lost(namespace: Namespace) -> int:
    """Wait until a packet has vanished."""

    async def look() -> int:
        return namespace.lost()

    number, _ = await until(look, lambda number: number > 0, within=10)
    return number


@asynccontextmanager
async def listening(address: str) -> AsyncGenerator[tuple[int, list[str]]]:
    """Listen on this side of the cable; give the port, and the lines as they come."""
    lines: list[str] = []
    opened: list[asyncio.StreamWriter] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        while line := await reader.readline():
            lines.append(line.decode().strip())
        writer.close()

    server = await asyncio.start_server(take, address, 0)
    async with server:
        yield server.sockets[0].getsockname()[1], lines
    for each in opened:
        each.close()


async def heard(lines: list[str], *expected: str) -> None:
    async def look() -> list[str]:
        return lines

    await until(look, lambda found: found == list(expected), within=20)


@pytest.mark.asyncio
async def test_a_blackhole_silences_a_connection_that_exists_until_it_is_mended(
    tmp_path: Path,
) -> None:
    """The bytes are lost, neither end is told, and TCP sends them again once it can."""
    async with (
        Namespace() as namespace,
        listening(namespace.outside) as (port, lines),
        inside(namespace, tmp_path, CONNECT, namespace.outside, port) as client,
    ):
        client.write("before")
        await heard(lines, "before")
        assert namespace.lost() == 0
        namespace.blackhole(namespace.outside, port)
        client.write("into the dark")
        assert await lost(namespace) > 0
        assert lines == ["before"]
        assert client.running, client.log
        namespace.mend()
        await heard(lines, "before", "into the dark")
        assert client.running, client.log


@pytest.mark.asyncio
async def test_a_blackhole_lets_a_new_connection_wait(tmp_path: Path) -> None:
    async with Namespace() as namespace, listening(namespace.outside) as (port, lines):
        namespace.blackhole(namespace.outside, port)
        async with inside(namespace, tmp_path, CONNECT, namespace.outside, port) as client:
            client.write("late")
            assert await lost(namespace) > 0
            assert (client.running, client.log) == (True, "")
            namespace.mend()
            await said(client, "connected")
            await heard(lines, "late")


@pytest.mark.asyncio
async def test_a_blackhole_inside_swallows_who_calls_from_outside(tmp_path: Path) -> None:
    async with (
        Namespace() as namespace,
        inside(namespace, tmp_path, LISTEN, namespace.inside, 0) as server,
    ):
        port = int(await said(server, "listening"))
        namespace.blackhole(namespace.inside, port)
        calling = asyncio.create_task(asyncio.open_connection(namespace.inside, port))
        assert await lost(namespace) > 0
        assert not calling.done()
        namespace.mend()
        async with asyncio.timeout(20):
            _, writer = await calling
        writer.write(b"hello\n")
        assert await said(server, "heard") == "hello"
        writer.close()


@pytest.mark.asyncio
async def test_a_blackhole_concerns_its_own_port_only() -> None:
    async with (
        Namespace() as namespace,
        listening(namespace.outside) as (dark, _),
        listening(namespace.outside) as (lit, _),
    ):
        namespace.blackhole(namespace.outside, dark)
        program = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)"
        command = [sys.executable, "-c", program, namespace.outside, str(lit)]
        done = await asyncio.create_subprocess_exec(*map(str, namespace.command(*command)))
        assert await done.wait() == 0
        assert namespace.lost() == 0


@pytest.mark.asyncio
async def test_a_redirected_connection_lands_on_the_local_port(tmp_path: Path) -> None:
    """Whatever address it was for; the server can ask which."""
    async with (
        Namespace() as namespace,
        inside(namespace, tmp_path, LISTEN, "127.0.0.1", 0) as server,
    ):
        port = int(await said(server, "listening"))
        namespace.redirect(8848, to=port)
        async with inside(namespace, tmp_path, CONNECT, "203.0.113.7", 8848) as client:
            client.write("hello")
            assert await said(server, "meant") == "203.0.113.7 8848"
            assert await said(server, "heard") == "hello"


@pytest.mark.asyncio
async def test_a_redirected_port_can_be_a_blackhole(tmp_path: Path) -> None:
    """Then it is named as the client names it; to mend it ends no redirection."""
    async with (
        Namespace() as namespace,
        inside(namespace, tmp_path, LISTEN, "127.0.0.1", 0) as server,
    ):
        port = int(await said(server, "listening"))
        namespace.redirect(8848, to=port)
        namespace.blackhole("203.0.113.7", 8848)
        async with inside(namespace, tmp_path, CONNECT, "203.0.113.7", 8848) as client:
            assert await lost(namespace) > 0
            namespace.mend()
            await said(client, "connected")
            assert await said(server, "meant") == "203.0.113.7 8848"


@pytest.mark.asyncio
async def test_a_process_inside_keeps_its_id_and_has_another_network(tmp_path: Path) -> None:
    async with Namespace() as namespace:
        command = namespace.command("sleep", "600")
        async with Process("inside", command, directory=tmp_path) as process:
            await until(lambda: _name(process.pid), lambda name: name == "sleep", within=5)
            assert _network_of(process.pid) != _network_of(os.getpid())


@pytest.mark.asyncio
async def test_namespaces_at_the_same_time_have_networks_of_their_own() -> None:
    async with Namespace() as one, Namespace() as two:
        assert len({one.inside, one.outside, two.inside, two.outside}) == 4
        assert one.name != two.name


async def _name(pid: int) -> str:
    return psutil.Process(pid).name()


def _network_of(pid: int) -> Path:
    return Path(f"/proc/{pid}/ns/net").readlink()
