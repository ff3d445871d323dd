"""``meshbridge run`` for the fan-out: a file registry of which one endpoint can be changed."""

import json
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from meshbridge.cli.demo import proxy
from meshbridge.cli.demo.child import Child

_SUBSCRIBED = 20
_INSTANCES = 27
"""Of a service: their endpoints are 1 KB."""
_WITHIN = 60.0
_READY = 200
_CONFIGURATION = """\
version: 1
registries: [{{name: shop, adapter: file, path: "{file}"}}]
outlets:
  xds: {{listen: "127.0.0.1:0"}}
status: {{listen: "127.0.0.1:0"}}
"""


class Registry:
    """The bridge's file."""

    def __init__(self, file: Path, services: int) -> None:
        """Write so many services into it."""
        self._file = file
        self._changes = 0
        self._rest = "".join(_service(number, 0) for number in range(1, services))
        subscribed = range(min(services, _SUBSCRIBED))
        self.names = tuple(f"outbound|80||service-{number}.file" for number in subscribed)
        """The clusters whose endpoints are subscribed to; the first one's change."""
        self.change()

    def change(self) -> float:
        """Give the first service another instance in place of one; return the time."""
        self._changes += 1
        new = self._file.with_suffix(".new")
        new.write_text("services:\n" + _service(0, self._changes) + self._rest)
        changed = time.monotonic()
        new.replace(self._file)
        return changed


@dataclass(frozen=True, slots=True)
class Run:
    """The bridge, ready."""

    pid: int
    registry: Registry
    target: str
    """``host:port`` of xds."""
    status: int
    """The port of the status server."""


@asynccontextmanager
async def bridge(folder: Path, services: int) -> AsyncGenerator[Run, None]:
    """Run it in an empty folder. Raises ChildFailed."""
    registry = Registry(folder / "services.yaml", services)
    configuration = folder / "meshbridge.yaml"
    configuration.write_text(_CONFIGURATION.format(file=folder / "services.yaml"))
    logs = folder / "logs"
    logs.mkdir()
    command = [sys.executable, "-m", "meshbridge", "run", "--config", str(configuration)]
    child = Child("meshbridge run", command, logs / "bridge.log")
    child.start()

    async def ready() -> Run | None:
        found = _addresses(child.log)
        if child.pid is None or not {"xds", "status"} <= found.keys():
            return None
        status = int(found["status"].rpartition(":")[2])
        code, _ = await proxy.fetch(status, "/readyz")
        return Run(child.pid, registry, found["xds"], status) if code == _READY else None

    try:
        yield await child.until(ready, _WITHIN, "it was ready")
    finally:
        await child.stop()


def _addresses(log: Path) -> dict[str, str]:
    """Return what listens where, as the log says it; a line may be half written."""
    lines = log.read_text().rpartition("\n")[0].splitlines()
    events: list[dict[str, str]] = [json.loads(line) for line in lines if line.startswith("{")]
    return {each["name"]: each["address"] for each in events if each.get("event") == "listening"}


def _service(number: int, change: int) -> str:
    instances = "".join(
        f"      - {{address: 10.{number // 250}.{number % 250}.{place + 1},"
        f" port: {8080 + (change % 1000 if place == 0 else 0)}}}\n"
        for place in range(_INSTANCES)
    )
    return f"  - name: service-{number}\n    instances:\n{instances}"
