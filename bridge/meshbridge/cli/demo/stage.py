"""The processes of the demo and the files they share: backends, registry, bridge and Envoy."""

import contextlib
import os
import random
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from meshbridge.cli.demo import proxy
from meshbridge.cli.demo.child import Child

HOST = "orders.file"
_BACKEND = Path(__file__).with_name("backend.py")
_READY_WITHIN = 15.0
_CONFIGURATION = """\
version: 1
registries:
  - name: shop
    adapter: file
    path: {services}
    publish:
      allow-addresses: [127.0.0.0/8]    # loopback is refused otherwise
outlets:
  xds:
    listen: 127.0.0.1:{xds}
    http: [{{listen: "127.0.0.1:{http}", ports: [80]}}]
  mcp:
    listen: 127.0.0.1:{mcp}
status: {{listen: 127.0.0.1:{status}}}
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """The loopback ports that outlive a kill of the bridge: it must return on the same ones."""

    xds: int
    http: int
    mcp: int
    status: int


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance of the service ``orders`` as the registry file has it."""

    name: str
    version: str
    port: int
    weight: int
    healthy: bool = True


class Stage:
    """Everything that runs, for as long as the demo does."""

    def __init__(self, folder: Path, ports: Ports, envoy: Path) -> None:
        """Plan it in an empty folder; nothing runs yet."""
        self.ports = ports
        self.configuration = folder / "meshbridge.yaml"
        self.services = folder / "services.yaml"
        self.instances: dict[str, Instance] = {}
        """What the registry file lists, by name."""
        self.logs = folder / "logs"
        """What the processes write; not beside the registry's file, whose folder is watched."""
        self.logs.mkdir()
        self._admin = self.logs / "envoy-admin.txt"
        self._backends: dict[str, Child] = {}
        boot = folder / "envoy.json"
        boot.write_text(proxy.bootstrap(ports.xds))
        self.configuration.write_text(
            _CONFIGURATION.format(
                services=self.services,
                xds=ports.xds,
                http=ports.http,
                mcp=ports.mcp,
                status=ports.status,
            )
        )
        self.bridge = Child("meshbridge run", self.meshbridge("run"), self.log("bridge"))
        self.envoy = Child("Envoy", proxy.command(envoy, boot, self._admin), self.log("envoy"))

    def meshbridge(self, command: str, *more: str) -> list[str]:
        """Return a meshbridge command on this configuration, as the shell would run it."""
        options = ["--config", str(self.configuration), *more]
        return [sys.executable, "-m", "meshbridge", command, *options]

    def log(self, name: str) -> Path:
        """Return the file that takes what a process of this name writes."""
        return self.logs / f"{name}.log"

    async def add(self, name: str, version: str, weight: int) -> Instance:
        """Start a backend; the registry does not list it yet."""
        command = [sys.executable, "-I", str(_BACKEND), name, version]
        log = self.log(name)
        backend = self._backends[name] = Child(name, command, log)
        backend.start()

        async def port() -> int | None:
            written = _read(log)
            return int(written) if written.endswith("\n") else None

        listens = await backend.until(port, _READY_WITHIN, "it listened")
        return Instance(name, version, listens, weight)

    def register(self, *instances: Instance) -> float:
        """List further or changed instances in the registry; return the time of the change."""
        return self._write({**self.instances, **{each.name: each for each in instances}})

    def deregister(self, name: str) -> float:
        """Take an instance out of the registry; its process goes on. Return the time."""
        return self._write({k: v for k, v in self.instances.items() if k != name})

    def set_health(self, name: str, *, healthy: bool) -> float:
        """Let the registry say that an instance is healthy or not; return the time."""
        return self.register(replace(self.instances[name], healthy=healthy))

    def kill_backend(self, name: str) -> None:
        """Kill an instance's process; the registry is not told."""
        self._backends[name].kill()

    def weights(self) -> Mapping[str, int]:
        """Return the weight of each instance that should take traffic."""
        return {each.name: each.weight for each in self.instances.values() if each.healthy}

    async def bridge_is_ready(self) -> float:
        """Wait until the bridge can give complete answers; return the monotonic time."""

        async def ready() -> float | None:
            status, _ = await proxy.fetch(self.ports.status, "/readyz")
            return time.monotonic() if status == 200 else None  # noqa: PLR2004

        return await self.bridge.until(ready, _READY_WITHIN, "it was ready")

    async def envoy_is_connected(self) -> float:
        """Wait until Envoy has its stream to the bridge; return the monotonic time."""
        admin = await self.admin_port()

        async def connected() -> float | None:
            return time.monotonic() if await proxy.connected(admin) else None

        return await self.envoy.until(connected, _READY_WITHIN, "it had its stream again")

    async def admin_port(self) -> int:
        """Return Envoy's admin port, as soon as it has one."""

        async def port() -> int | None:
            written = _read(self._admin)
            return int(written.rpartition(":")[2]) if written else None

        return await self.envoy.until(port, _READY_WITHIN, "it listened")

    async def stop(self) -> None:
        """End everything that runs; the proxy first, as it is the one that others notice."""
        for child in (self.envoy, self.bridge, *self._backends.values()):
            await child.stop()

    def kill(self) -> None:
        """End everything at once."""
        for child in (self.envoy, self.bridge, *self._backends.values()):
            child.kill()

    def _write(self, instances: dict[str, Instance]) -> float:
        """Replace the registry file in one step, so that nobody ever reads half of it."""
        self.instances = instances
        lines = [
            f"      - {{address: 127.0.0.1, port: {each.port}, protocol: http,"
            f" weight: {each.weight}, healthy: {str(each.healthy).lower()},"
            f" metadata: {{version: {each.version}}}}}    # {each.name}\n"
            for each in instances.values()
        ]
        text = "services:\n  - name: orders\n    instances:\n" + "".join(lines)
        new = self.services.with_suffix(".new")
        new.write_text(text)
        changed = time.monotonic()
        new.replace(self.services)
        return changed


def _read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


@contextlib.asynccontextmanager
async def stage(envoy: Path) -> AsyncGenerator[Stage, None]:
    """Set everything up in a temporary folder; at the end nothing of it is left."""
    folder = Path(tempfile.mkdtemp(prefix="meshbridge-demo-"))
    try:
        bed = Stage(folder, Ports(*_free_ports(4)), envoy)
        try:
            yield bed
            await bed.stop()
        finally:
            bed.kill()
    finally:
        shutil.rmtree(folder)


def _free_ports(count: int) -> Iterator[int]:
    """Yield free ports below those that systems hand to clients (32768 on Linux, 49152 on macOS).

    One of those could be taken by any connection in the seconds in which the bridge is away.
    """
    chance = random.SystemRandom()
    for port in chance.sample(range(20_000, 32_000), 1_000):
        if count == 0:
            return
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            count -= 1
            yield port
    raise OSError(f"no free port on 127.0.0.1 for process {os.getpid()}")
