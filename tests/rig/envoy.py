"""A real Envoy that takes its whole configuration from a control plane over ADS."""

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Literal

import aiohttp

from rig.bed import versions
from rig.server import Server

VERSION = versions("envoy")["envoy"]

SKIPPED = "tests that need Envoy cannot run"


class NoEnvoy(Exception):  # noqa: N818 - it says what happened
    """There is no Envoy to test with; the message says where it was sought."""


def find_envoy() -> Path:
    """Return the Envoy to use: MESHBRIDGE_ENVOY, else the private environment, else the PATH.

    Raises NoEnvoy.
    """
    said = os.environ.get("MESHBRIDGE_ENVOY")
    if said:
        if not os.access(said, os.X_OK):
            raise NoEnvoy(f"MESHBRIDGE_ENVOY={said}: there is no program to run: {SKIPPED}")
        return Path(said)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    private = base / "meshbridge" / f"envoy-{VERSION}"
    for found in sorted(private.glob("lib/python3.*/site-packages/envoy/_bin/envoy")):
        return found
    on_path = shutil.which("envoy")
    if on_path:
        return Path(on_path)
    message = f"no Envoy in {private} nor on the PATH (`make envoy` installs it): {SKIPPED}"
    raise NoEnvoy(message)


PATIENCE = aiohttp.ClientTimeout(total=10)
"""For an answer of its admin interface."""
Api = Literal["GRPC", "DELTA_GRPC"]
"""State of the world or incremental."""


def bootstrap(
    control_plane: str,
    *,
    api: Api,
    node: str = "test",
    cluster: str = "test",
    metadata: Mapping[str, object] | None = None,
    locality: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """Return a bootstrap that knows nothing but where its control plane is (``host:port``)."""
    host, _, port = control_plane.rpartition(":")
    http2: dict[str, object] = {"explicit_http_config": {"http2_protocol_options": {}}}
    options = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    endpoint = {"endpoint": {"address": _socket(host, int(port))}}
    return {
        "node": {
            "id": node,
            "cluster": cluster,
            "metadata": dict(metadata or {}),
            "locality": dict(locality or {}),
        },
        "admin": {"address": _socket("127.0.0.1", 0)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": api,
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "control-plane"}}],
            },
            "lds_config": {"resource_api_version": "V3", "ads": {}},
            "cds_config": {"resource_api_version": "V3", "ads": {}},
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "control-plane",
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "typed_extension_protocol_options": {
                        options.rpartition("/")[2]: {"@type": options, **http2}
                    },
                    "load_assignment": {
                        "cluster_name": "control-plane",
                        "endpoints": [{"lb_endpoints": [endpoint]}],
                    },
                }
            ]
        },
    }


def _socket(host: str, port: int) -> dict[str, object]:
    return {"socket_address": {"address": host, "port_value": port}}


class Envoy(Server):
    """Envoy with the given bootstrap; its admin interface is on a free port."""

    kind: ClassVar[str] = "Envoy"

    within = 20.0

    def __init__(
        self,
        directory: Path,
        bootstrap: Mapping[str, object],
        *,
        name: str = "envoy",
        before: Sequence[str | Path] = (),
    ) -> None:
        """Describe it, and what runs it: ``before`` stands before its command.

        Raises NoEnvoy.
        """
        home = directory / name
        self._admin_file = home / "admin"
        self._configuration = home / "bootstrap.json"
        self._bootstrap = json.dumps(bootstrap)
        command: list[str | Path] = [
            *before,
            find_envoy(),
            "--config-path",
            self._configuration,
            "--admin-address-path",
            self._admin_file,
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "--log-level",
            "warning",
        ]
        super().__init__(name, directory, command)
        self.admin = ""
        """``host:port`` of the admin interface."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it; nobody's connections are waited for."""
        await self.process.kill()

    def configure(self) -> None:
        """Write its bootstrap; its listeners may not be there when its admin interface is."""
        self._admin_file.unlink(missing_ok=True)
        self._configuration.write_text(self._bootstrap)

    async def is_up(self) -> bool:
        """Whether its admin interface answers."""
        if not self._admin_file.exists():
            return False
        self.admin = self._admin_file.read_text().strip()
        try:
            return bool(self.admin) and bool(await self.get("/ready"))
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def version(self) -> str:
        """Return the version that it says it is."""
        said = json.loads(await self.get("/server_info"))["version"]
        return str(said).split("/")[1]

    async def get(self, path: str) -> str:
        """Return what its admin interface answers to ``path``."""
        async with (
            aiohttp.ClientSession(timeout=PATIENCE) as session,
            session.get(f"http://{self.admin}{path}") as answer,
        ):
            return await answer.text()

    async def stats(self, pattern: str) -> dict[str, int]:
        """Return its counters and gauges whose names match the regular expression."""
        async with (
            aiohttp.ClientSession(timeout=PATIENCE) as session,
            session.get(f"http://{self.admin}/stats", params={"filter": pattern}) as answer,
        ):
            lines = re.findall(r"^(.*): (\d+)$", await answer.text(), re.MULTILINE)
        return {name: int(value) for name, value in lines}

    async def is_live(self) -> bool:
        """Whether it calls itself ready: it has its first clusters and listeners."""
        return (await self.get("/ready")).strip() == "LIVE"
