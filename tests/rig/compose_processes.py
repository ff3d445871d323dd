"""The services of compose/compose.yaml as plain processes of this machine.

Commands, ports, environment, mounted files, health checks and the order of the start are the
file's. What an image would bring along is this machine's: Python and the bridge of the checkout,
the tests' Envoy, and Java with what Maven built of tests/peers/servers. For Nacos' own image the
tests' Nacos of the same release stands in.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

from meshbridge.testing import ProcessFailed
from rig.application import AT_ONCE
from rig.bed import build
from rig.compose_file import FILE, Service, read
from rig.compose_network import inside, names, subnet
from rig.envoy import find_envoy
from rig.java import on_loopback
from rig.nacos import Nacos
from rig.server import Server

LOOK_EVERY = 0.5
"""Seconds between two health checks: Compose's own pace is for services that run for months."""


class Part(Server):
    """A service that runs; it is up when it was started, as Compose means ``service_started``."""

    kind: ClassVar[str] = "of compose.yaml"

    def __init__(
        self,
        name: str,
        directory: Path,
        service: Service,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
    ) -> None:
        super().__init__(
            name, directory, command, environment=environment, input=service.stdin_open
        )
        self._version = service.image.rpartition(":")[2]

    async def is_up(self) -> bool:
        """Whether it runs."""
        return self.process.running

    async def version(self) -> str:
        """Return the tag of its image."""
        return self._version


def translated(service: Service, words: Sequence[str]) -> list[str | Path]:
    """Return a command of the file with the paths of mounted files as they are outside."""
    return [service.files.get(word, word) for word in words]


def command(service: Service) -> list[str | Path]:
    """Return what runs a service here: the file's words, behind its image's entry point."""
    said = translated(service, (*service.entrypoint, *service.command))
    return ["java", "-cp", build(service.peer).classpath, *said] if service.peer else said


def environment(service: Service, home: Path) -> dict[str, str]:
    """Return its environment: the file's, where programs are, and what keeps it to itself."""
    here = [str(Path(sys.executable).parent), str(find_envoy().parent), os.environ["PATH"]]
    own = {**service.environment, "PATH": os.pathsep.join(here)}
    if service.peer:
        # What an image's own file system does; and Java would leave a file in the shared one.
        apart = f"-Duser.home={home} -Djava.io.tmpdir={home} -XX:-UsePerfData"
        own["JAVA_TOOL_OPTIONS"] = f"{service.environment['JAVA_TOOL_OPTIONS']} {apart}"
    return own | on_loopback(build("dubbo3"), service.address)


@dataclass(slots=True)
class Local:
    """All services, started as Compose would start them."""

    services: Mapping[str, Service]
    directory: Path
    said: Callable[[str], None]
    """Is told how far the start is."""
    parts: dict[str, Server] = field(default_factory=dict[str, Server])

    @property
    def hosts(self) -> Path:
        """The ``/etc/hosts`` of all."""
        return self.directory / "hosts"

    @property
    def nacos(self) -> Nacos:
        """The registry."""
        found = self.parts["nacos"]
        assert isinstance(found, Nacos)
        return found

    def prepare(self) -> None:
        """Make all ready that can be made before the start.

        Raises rig.bed.Missing or BuildFailed, and rig.envoy.NoEnvoy.
        """
        self.hosts.write_text(names(self.services))
        for name, service in self.services.items():
            if name == "nacos":
                port = int(service.ports[0].split(":")[-1])
                self.parts[name] = Nacos(self.directory, host=service.address, port=port)
                continue
            run = inside(self.hosts, command(service))
            own = environment(service, self.directory / name)
            self.parts[name] = Part(name, self.directory, service, run, own)

    async def start(self) -> None:
        """Start each service when those before it are as it wants them; raises ProcessFailed."""
        begun = asyncio.get_running_loop().time()
        there = {name: (asyncio.Event(), asyncio.Event()) for name in self.services}
        gate = asyncio.Semaphore(AT_ONCE)

        async def begin(name: str) -> None:
            service, (started, healthy) = self.services[name], there[name]
            for other, wanted in service.depends_on.items():
                await there[other][wanted.condition == "service_healthy"].wait()
            async with gate:
                await self.parts[name].start()
                started.set()
                await self.well(name)
                healthy.set()
            took = asyncio.get_running_loop().time() - begun
            word = "healthy" if service.healthcheck else "started"
            self.said(f"   {name:<15} {service.address:<13} {word} after {took:.1f} s")

        try:
            async with asyncio.TaskGroup() as tasks:
                for name in self.services:
                    tasks.create_task(begin(name))
        except* ProcessFailed as failed:
            first = failed.exceptions[0]
        else:
            return
        raise first

    async def well(self, name: str) -> None:
        """Wait until a service's own health check holds; raises ProcessFailed."""
        health = self.services[name].healthcheck
        if health is not None:
            await self.parts[name].process.ready(
                partial(self.is_well, name), within=health.patience
            )

    async def is_well(self, name: str) -> bool:
        """Run a service's health check once, as it would be inside it."""
        service = self.services[name]
        health = service.healthcheck
        assert health is not None
        kind, *test = health.test
        assert kind == "CMD", f"{name}: {kind} is no command that can be run without a shell"
        child = await asyncio.create_subprocess_exec(
            *inside(self.hosts, translated(service, test)),
            env={**os.environ, **environment(service, self.directory / name)},
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
        for part in self.parts.values():
            with contextlib.suppress(ProcessLookupError):
                if part.process.running:
                    await part.kill()


@contextlib.contextmanager
def prepared(directory: Path, said: Callable[[str], None]) -> Generator[Local]:
    """Give all of compose.yaml a network of its own, until the context ends; nothing is started.

    Raises ComposeRefused, rig.bed.Missing or BuildFailed, and rig.envoy.NoEnvoy.
    """
    text = FILE.read_text(encoding="utf-8")
    numbers = [each.address.rpartition(".")[2] for each in read(text, {}).services.values()]
    with subnet(map(int, numbers)) as prefix:
        local = Local(read(text, {"SUBNET": prefix}).services, directory, said)
        local.prepare()
        yield local
