"""The bridge as a process with a file registry, and how the tests look into it."""

import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp
import msgspec
import psutil

from meshbridge.testing.process import ProcessFailed
from rig.bridge import Bridge
from rig.ports import free_port

MIB = 1024 * 1024


class Subscribed(msgspec.Struct):
    """What it says of one type of one subscriber."""

    type: str
    """The type's URL."""
    sent: str
    """The version sent last."""
    accepted: str
    """The version acknowledged last."""


class Connected(msgspec.Struct):
    """What ``/api/subscribers`` says of one."""

    outlet: str
    types: list[Subscribed]
    rejections: list[str]


class Scope(msgspec.Struct):
    """What ``/api/registries`` says of a scope."""

    stale: str | None


class Registry(msgspec.Struct):
    """What ``/api/registries`` says of one."""

    scopes: list[Scope]


class Bed:
    """A bridge with fixed ports, so that a restart is where the one before was."""

    def __init__(
        self,
        directory: Path,
        *,
        registry: Mapping[str, object] | None = None,
        name: str = "bridge",
        traffic: Sequence[int] = (),
        keeping: Mapping[str, object] | None = None,
        publish: Mapping[str, object] | None = None,
    ) -> None:
        """Describe it; without a ``registry`` it reads ``services.yaml`` in the directory.

        ``keeping`` are further keys of the configuration, like ``state``, and ``publish`` further
        ones of the registry's rules.
        """
        self.file = directory / f"{name}-services.yaml"
        self.xds, self.mcp, self.status = (f"127.0.0.1:{free_port()}" for _ in range(3))
        self.traffic = tuple(traffic) or (free_port(),)
        """The ports that Envoy opens."""
        about = registry or {"adapter": "file", "path": str(self.file)}
        http = [{"listen": f"127.0.0.1:{port}", "ports": [80]} for port in self.traffic]
        loopback = {"publish": {"allow-addresses": ["127.0.0.0/8"], **(publish or {})}}
        configuration = {
            "version": 1,
            "registries": [{"name": "shop", **about, **loopback}],
            "outlets": {"mcp": {"listen": self.mcp}, "xds": {"listen": self.xds, "http": http}},
            "status": {"listen": self.status},
            **(keeping or {}),
        }
        self.bridge = Bridge(directory, configuration, name=name)

    def rss(self) -> int:
        """Return the bridge's resident bytes."""
        return int(psutil.Process(self.bridge.process.pid).memory_info().rss)

    async def get(self, path: str) -> str:
        """Return what the status server answers; raises aiohttp.ClientError while it is away."""
        limit = aiohttp.ClientTimeout(total=5)
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.get(f"http://{self.status}{path}") as answer,
        ):
            return await answer.text()

    async def is_ready(self) -> bool:
        """Whether it gives complete answers."""
        limit = aiohttp.ClientTimeout(total=5)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.get(f"http://{self.status}/readyz") as answer,
            ):
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def ready(self) -> float:
        """Wait until it is; returns the seconds. Raises ProcessFailed."""
        return await self.bridge.process.ready(self.is_ready, within=30)

    async def metrics(self, pattern: str) -> dict[str, float]:
        """Return the samples whose names match the regular expression."""
        lines = re.findall(r"^([a-z].*) (\S+)$", await self.get("/metrics"), re.MULTILINE)
        return {name: float(value) for name, value in lines if re.search(pattern, name)}

    async def metric(self, pattern: str) -> float:
        """Return the sum of the samples whose names match."""
        return sum((await self.metrics(pattern)).values())

    async def subscribers(self) -> list[Connected]:
        """Return who is connected."""
        return msgspec.json.decode(await self.get("/api/subscribers"), type=list[Connected])

    async def stale(self) -> str:
        """Return why the registry cannot be read; nothing while it can."""
        found = msgspec.json.decode(await self.get("/api/registries"), type=list[Registry])
        return found[0].scopes[0].stale or ""

    def complaints(self) -> list[str]:
        """Return what only a fault of the bridge writes into its log."""
        words = ("Traceback", "never retrieved", "Fatal", "Segmentation", "was never awaited")
        return [
            line for line in self.bridge.process.log.splitlines() if any(w in line for w in words)
        ]

    def must_run(self) -> None:
        """Raise ProcessFailed when the bridge has ended."""
        if not self.bridge.process.running:
            code = self.bridge.process.exit_code
            raise ProcessFailed(f"the bridge ended with {code}: {self.bridge.process.log[-4000:]}")


Instances = Sequence[tuple[str, int]]


def document(services: Mapping[str, Instances]) -> str:
    """Return the registry's file with these services; JSON is YAML."""
    listed = [
        {"name": name, "instances": [{"address": host, "port": port} for host, port in instances]}
        for name, instances in services.items()
    ]
    return json.dumps({"services": listed}, indent=1)


def replace(file: Path, text: str) -> None:
    """Write the file in one step, as people are told to."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def population(chance: random.Random, services: int, instances: int) -> dict[str, Instances]:
    """Return services with up to so many instances each, and sometimes none."""
    return {
        f"service-{number}": [
            (f"10.{chance.randrange(256)}.{chance.randrange(256)}.{1 + place}", 8080)
            for place in range(chance.randrange(instances + 1))
        ]
        for number in range(services)
    }
