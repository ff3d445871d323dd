"""The services of compose/compose.yaml as plain processes of this machine.

Commands, ports, environment, mounted files, health checks and the order of the start are the
file's. What a container sees of its network comes about by three things: each process has an
address of its own on ``lo`` and is bound to it wherever it says "any" (tests/peers/servers/
loopback.c), and finds the others by name, in an ``/etc/hosts`` of its own. What an image would
bring along is this machine's: Python and the bridge of the checkout, the tests' Envoy, and Java
with what Maven built of tests/peers/servers. For Nacos' own image the tests' Nacos of the same
release stands in.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from meshbridge.testing import Process, ProcessFailed
from rig.addresses import NET_ADMIN, SYS_ADMIN, addresses, require_rights, sweep_addresses
from rig.bed import build
from rig.compose_file import FILE, Service, read
from rig.envoy import find_envoy
from rig.java import on_loopback
from rig.making import need
from rig.nacos import Nacos

LOOK_EVERY = 0.5
"""Seconds between two health checks: Compose's own pace is for services that run for months."""


def names(services: Mapping[str, Service]) -> str:
    """Return the ``/etc/hosts`` by which the services find each other."""
    lines = (f"{it.address} {' '.join((name, *it.aliases))}" for name, it in services.items())
    return "\n".join(["127.0.0.1 localhost", *lines, ""])


def translated(service: Service, words: Sequence[str]) -> list[str | Path]:
    """Return a command of the file with the paths of mounted files as they are outside."""
    return [service.files.get(word, word) for word in words]


@dataclass(slots=True)
class Local:
    """All services, started as Compose would start them."""

    services: Mapping[str, Service]
    directory: Path
    said: Callable[[str], None]
    """Is told how far the start is."""
    nacos: Nacos
    processes: dict[str, Process] = field(default_factory=dict[str, Process])

    def prepare(self) -> None:
        """Make all ready that can be made before the start.

        Raises rig.bed.Missing or BuildFailed, and rig.envoy.NoEnvoy.
        """
        self._hosts.write_text(names(self.services))
        for name in self.services:
            own = self.nacos.process if name == "nacos" else self._process(name)
            self.processes[name] = own

    async def start(self) -> None:
        """Start each service when those before it are as it wants them.

        Raises ProcessFailed or OSError, the first where several have failed.
        """
        begun = asyncio.get_running_loop().time()
        there = {name: (asyncio.Event(), asyncio.Event()) for name in self.services}

        async def begin(name: str) -> None:
            service, (started, healthy) = self.services[name], there[name]
            for other, wanted in service.depends_on.items():
                await there[other][wanted.condition == "service_healthy"].wait()
            if name == "nacos":
                await self.nacos.start()
            else:
                self.processes[name].start()
            started.set()
            if health := service.healthcheck:
                well = partial(self.is_well, name)
                await self.processes[name].ready(well, within=health.patience)
            healthy.set()
            took = asyncio.get_running_loop().time() - begun
            word = "healthy" if service.healthcheck else "started"
            self.said(f"   {name:<15} {service.address:<13} {word} after {took:.1f} s")

        try:
            async with asyncio.TaskGroup() as tasks:
                for name in self.services:
                    tasks.create_task(begin(name))
        except* (ProcessFailed, OSError) as failed:
            first = failed.exceptions[0]
        else:
            return
        raise first

    async def is_well(self, name: str) -> bool:
        """Run a service's health check once, as it would be inside it."""
        service = self.services[name]
        health = service.healthcheck
        assert health is not None
        kind, *test = health.test
        assert kind == "CMD", f"{name}: {kind} is no command that can be run without a shell"
        child = await asyncio.create_subprocess_exec(
            *self._inside(translated(service, test)),
            env={**os.environ, **self._environment(name)},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(health.timeout):
                if await child.wait() == 0:
                    return True
        except TimeoutError:
            pass  # as bad as any other end
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        await asyncio.sleep(LOOK_EVERY)
        return False

    async def end(self) -> None:
        """End all at once: nobody is left to be told, and nothing is kept."""
        for process in self.processes.values():
            if process.running:
                await process.kill()

    def _process(self, name: str) -> Process:
        service = self.services[name]
        command = translated(service, (*service.entrypoint, *service.command))
        if service.peer:
            command = ["java", "-cp", build(service.peer).classpath, *command]
        return Process(
            name,
            self._inside(command),
            directory=self.directory,
            environment=self._environment(name),
            input=service.stdin_open,
        )

    @property
    def _hosts(self) -> Path:
        return self.directory / "hosts"

    def _inside(self, command: Sequence[str | Path]) -> list[str | Path]:
        """Return a command that runs this one with the services' ``/etc/hosts``."""
        script = 'mount --bind "$0" /etc/hosts && exec "$@"'
        return ["unshare", "--mount", "--", "sh", "-c", script, self._hosts, *command]

    def _environment(self, name: str) -> dict[str, str]:
        """Return the file's, where programs are, and what keeps a process to itself."""
        service = self.services[name]
        here = [str(Path(sys.executable).parent), str(find_envoy().parent), os.environ["PATH"]]
        own = {**service.environment, "PATH": os.pathsep.join(here)}
        if service.peer:
            # What an image's own file system does; and Java would leave a file in the shared one.
            home = self.directory / name
            home.mkdir(exist_ok=True)
            apart = f"-Duser.home={home} -Djava.io.tmpdir={home} -XX:-UsePerfData"
            own["JAVA_TOOL_OPTIONS"] = f"{service.environment['JAVA_TOOL_OPTIONS']} {apart}"
        return {**own, **on_loopback(build("dubbo3"), service.address)}


@contextlib.contextmanager
def prepared(directory: Path, said: Callable[[str], None]) -> Generator[Local]:
    """Give all of compose.yaml a network of its own, until the context ends; nothing is started.

    Raises ComposeRefused, rig.bed.Missing or BuildFailed, and rig.envoy.NoEnvoy.
    """
    what = "addresses and names of their own"
    need("ip", what)
    need("unshare", what)
    need("bash", "the health checks of compose.yaml")
    require_rights(what, NET_ADMIN, SYS_ADMIN)
    sweep_addresses()
    text = FILE.read_text(encoding="utf-8")
    numbers = [int(it.address.rpartition(".")[2]) for it in read(text, {}).services.values()]
    with addresses(numbers) as prefix:
        services = read(text, {"SUBNET": prefix}).services
        own = services["nacos"]
        nacos = Nacos(directory, host=own.address, port=int(own.ports[0].rpartition(":")[2]))
        local = Local(services, directory, said, nacos)
        local.prepare()
        yield local
