"""A real ZooKeeper server, alone on loopback, with data of its own that can be wiped."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from meshbridge.testing import Process, ProcessFailed
from rig.bed import build
from rig.java import LOOPBACK, java
from rig.ports import free_port
from rig.server import Server

SERVER = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
SHELL = "org.apache.zookeeper.ZooKeeperMain"

PACKET = 64 * 1024 * 1024
"""Bytes: room for the longest list of children that a test wants; ZooKeeper's own is 1 MiB."""

VERSION = re.compile(r"^Zookeeper version: ([^,\s]+?)(?:-[0-9a-f]{40})?,", re.MULTILINE)


class ZooKeeper(Server):
    """ZooKeeper in standalone mode; what was written survives a crash and a restart.

    It takes less than a second to start. SIGTERM ends it at once, with exit code 143.
    """

    kind: ClassVar[str] = "ZooKeeper"

    within: ClassVar[float] = 30.0

    def __init__(
        self,
        directory: Path,
        *,
        name: str = "zookeeper",
        tick: int = 500,
        extended_types: bool = True,
        packet: int = PACKET,
        settings: Mapping[str, str] | None = None,
        tuned: bool = False,
    ) -> None:
        """Choose its port; raises rig.bed.Missing or BuildFailed.

        Args:
            directory: Where its log and its home go.
            name: Tells servers of one directory apart.
            tick: Milliseconds; a session lasts two to twenty of them, as its client asks.
            extended_types: Whether nodes may have a time to live.
            packet: Bytes that one request or answer may have.
            settings: Further lines of its ``zoo.cfg``, by name.
            tuned: Whether it has the heap that ``zkServer.sh`` gives it and compiles what is used
                much as well as it can, as in production; otherwise it is small and starts soon.
        """
        self.port = free_port()
        self.address = f"{LOOPBACK}:{self.port}"
        home = directory / name
        self._settings = {
            "dataDir": str(home / "data"),
            "clientPort": str(self.port),
            "clientPortAddress": LOOPBACK,
            "tickTime": str(tick),
            "maxClientCnxns": "0",
            "admin.enableServer": "false",
            "4lw.commands.whitelist": "*",
            "extendedTypesEnabled": str(extended_types).lower(),
            **(settings or {}),
        }
        built = build("zookeeper")
        options = [
            f"-Djute.maxbuffer={packet}",
            "-Dzookeeper.forceSync=no",  # it outlives its own crash, not that of the machine
        ]
        if tuned:
            options += ["-Xmx1000m", "-XX:TieredStopAtLevel=4"]
        self._shell = java(built, SHELL, ["-server", self.address], home=home, options=options)
        server = java(built, SERVER, [str(home / "zoo.cfg")], home=home, options=options)
        super().__init__(name, directory, server)

    def configure(self) -> None:
        """Write its ``zoo.cfg``."""
        lines = (f"{name}={value}\n" for name, value in self._settings.items())
        (self.home / "zoo.cfg").write_text("".join(lines))

    async def is_up(self) -> bool:
        """Whether it says what it is; ``ruok`` would be answered before it serves."""
        try:
            # A word that comes too early is never answered, nor is its connection closed.
            return VERSION.search(await self.ask("srvr", within=0.2)) is not None
        except OSError:  # TimeoutError is one
            return False

    async def version(self) -> str:
        """Return the version that it answers to ``srvr``, without the commit it was built from."""
        answer = await self.ask("srvr", within=10)
        found = VERSION.search(answer)
        if found is None:
            message = f"no version in {answer!r}"
            raise OSError(message)
        return found[1]

    async def ask(self, word: str, *, within: float = 1.0) -> str:
        """Return its answer to a four-letter word; raises OSError, or TimeoutError if it is late.

        Words that tests want: ``srvr`` (version, node count), ``cons`` (who is connected),
        ``wchs`` (watches), ``dump`` (sessions and their ephemeral nodes), ``mntr`` (figures).
        """
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
            try:
                writer.write(word.encode())
                answer = await reader.read()
            finally:
                writer.close()
                await writer.wait_closed()
        return answer.decode()

    async def shell(self, *words: str) -> str:
        """Run one command of ZooKeeper's own shell, in about a second; return what it printed.

        Raises ProcessFailed with that when the command failed, as it does for a missing node.
        """
        name = f"{self.process.name}-shell"
        process = Process(name, [*self._shell, *words], directory=self.home.parent)
        read = len(process.log)
        async with process:
            code = await process.exited(within=30)
        printed = process.log[read:]
        if code != 0:
            message = f"{name} {' '.join(words)}: {printed}"
            raise ProcessFailed(message)
        return printed
