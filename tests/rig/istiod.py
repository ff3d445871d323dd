"""A real istiod without Kubernetes: takes configuration over MCP, serves proxies over xDS.

It is a development version of Istio behind a small main of ours (tests/peers/servers/istiod). It
never refuses a resource aloud: what it could not use stands in its log (:meth:`Istiod.warnings`),
what it took in ``/debug/configz``.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, cast

import aiohttp

from rig.bed import istio
from rig.commands import output
from rig.envoy import Api, bootstrap
from rig.ports import free_port
from rig.server import Server

ENVIRONMENT = {
    "POD_NAME": "istiod-peer",
    "POD_NAMESPACE": "istio-system",
    "CLUSTER_ID": "Kubernetes",
    "REVISION": "",
    "ENABLE_CA_SERVER": "false",
    "INJECT_ENABLED": "false",
    "PILOT_ENABLE_IP_AUTOALLOCATE": "false",
    # Filters that only Istio's own Envoy has: a plain one refuses whole responses for them.
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "PILOT_ENABLE_ALPN_FILTER": "false",
    # Changes reach proxies within milliseconds instead of a tenth of a second.
    "PILOT_DEBOUNCE_AFTER": "20ms",
    "PILOT_ENABLE_EDS_DEBOUNCE": "false",
}


PATIENCE = aiohttp.ClientTimeout(total=10)
"""For an answer of its debug interface."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where istiod takes configuration from: an MCP server, or a folder of manifests."""

    address: str
    """``host:port`` of an MCP server, or a URL such as ``fs:///folder``."""
    tls: Mapping[str, object] | None = None
    """Its ``tlsSettings``; without them it is spoken to in the clear."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A resource in istiod's store."""

    kind: str
    namespace: str
    name: str
    version: str
    """What the config source called its version."""
    hosts: tuple[str, ...]
    endpoints: tuple[str, ...]
    """Their addresses; a kind without endpoints has none."""
    created: str = ""
    """As in Kubernetes: ``2100-01-01T00:00:00Z``."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    spec: Mapping[str, object] = field(default_factory=dict[str, object])


class Istiod(Server):
    """Istiod with the given config sources; they must listen before it starts, or it ends."""

    kind: ClassVar[str] = "istiod"

    def __init__(
        self,
        directory: Path,
        sources: Sequence[str | Source],
        *,
        name: str = "istiod",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Choose its ports; a source may be the ``host:port`` of an MCP server without TLS.

        Raises rig.bed.Missing or BuildFailed.
        """
        self._program = istio().istiod
        self._sources = [Source(each) if isinstance(each, str) else each for each in sources]
        debug, discovery, monitoring = (f"127.0.0.1:{free_port()}" for _ in range(3))
        self.debug = debug
        """Where ``/ready`` and ``/debug`` are answered."""
        self.discovery = discovery
        """Where proxies get xDS, without TLS."""
        self.monitoring = monitoring
        """Where ``/metrics`` are answered."""
        self._mesh = directory / name / "mesh.yaml"
        command: list[str | Path] = [
            self._program,
            *("-mesh", self._mesh),
            *("-http", debug),
            *("-grpc", discovery),
            *("-monitoring", monitoring),
            *("-log", "default:info,adsc:debug"),
        ]
        environment = {**ENVIRONMENT, **(environment or {})}
        super().__init__(name, directory, command, environment=environment)

    def configure(self) -> None:
        """Write the mesh configuration; JSON is YAML."""
        mesh = {
            "rootNamespace": "istio-system",
            "trustDomain": "cluster.local",
            "enableAutoMtls": False,  # a plain Envoy would wait for certificates for ever
            "enableTracing": False,
            "configSources": [_config_source(each) for each in self._sources],
        }
        self._mesh.write_text(json.dumps(mesh, indent=1))

    async def is_up(self) -> bool:
        """Whether it answers that it is ready: it has an answer for every type it asked for."""
        try:
            async with (
                aiohttp.ClientSession(timeout=PATIENCE) as session,
                session.get(f"http://{self.debug}/ready") as answer,
            ):
                return answer.status == 200
        except (aiohttp.ClientError, OSError):
            return False

    async def version(self) -> str:
        """Return the version of Istio's module that is linked into the program."""
        return (await output([self._program, "-version"])).strip()

    async def get(self, path: str) -> object:
        """Return what ``/debug/...`` answers, as JSON."""
        async with (
            aiohttp.ClientSession(timeout=PATIENCE) as session,
            session.get(f"http://{self.debug}{path}") as answer,
        ):
            return cast("object", await answer.json(content_type=None))

    async def stored(self, kind: str = "") -> tuple[Stored, ...]:
        """Return what its store holds of a kind, e.g. ``ServiceEntry``, or of all; sorted."""
        found = cast("list[dict[str, object]]", await self.get("/debug/configz"))
        resources = (_stored(each) for each in found if kind in {"", each.get("kind")})
        return tuple(sorted(resources, key=lambda each: (each.kind, each.namespace, each.name)))

    async def metrics(self, pattern: str) -> dict[str, float]:
        """Return its samples whose names, with their labels, match the regular expression."""
        async with (
            aiohttp.ClientSession(timeout=PATIENCE) as session,
            session.get(f"http://{self.monitoring}/metrics") as answer,
        ):
            lines = re.findall(r"^([a-z].*) (\S+)$", await answer.text(), re.MULTILINE)
        return {name: float(value) for name, value in lines if re.search(pattern, name)}

    def warnings(self) -> list[str]:
        """Return what it said of resources that it could not use, since its last start."""
        return [line for line in self.log.splitlines() if "\twarn\tadsc\t" in line]


def _config_source(source: Source) -> dict[str, object]:
    address = source.address if "://" in source.address else f"xds://{source.address}"
    return {"address": address, **({"tlsSettings": dict(source.tls)} if source.tls else {})}


def _stored(found: Mapping[str, object]) -> Stored:
    metadata = cast("dict[str, str]", found["metadata"])
    maps = cast("dict[str, dict[str, str]]", found["metadata"])
    spec = cast("dict[str, object]", found["spec"])
    endpoints = cast("list[dict[str, str]]", spec.get("endpoints", []))
    return Stored(
        kind=str(found["kind"]),
        namespace=metadata["namespace"],
        name=metadata["name"],
        version=metadata.get("resourceVersion", ""),
        hosts=tuple(cast("list[str]", spec.get("hosts", []))),
        endpoints=tuple(each["address"] for each in endpoints),
        created=metadata.get("creationTimestamp", ""),
        labels=maps.get("labels", {}),
        annotations=maps.get("annotations", {}),
        spec=spec,
    )


def sidecar(istiod: Istiod, *, api: Api = "DELTA_GRPC") -> dict[str, object]:
    """Return the bootstrap of an Envoy that istiod takes for a sidecar.

    It redirects no traffic: each port of a service is a listener on 127.0.0.1. Its address is
    nobody's, because istiod takes the locality of an endpoint with that address for the proxy's.
    """
    return bootstrap(
        istiod.discovery,
        api=api,
        node="sidecar~10.1.2.3~caller-1.default~default.svc.cluster.local",
        cluster="caller.default",
        metadata={
            "NAMESPACE": "default",
            "CLUSTER_ID": "Kubernetes",
            "ISTIO_VERSION": "1.31.0",
            "INTERCEPTION_MODE": "NONE",
            "LABELS": {"app": "caller"},
        },
    )


async def istioctl(*words: str | Path) -> str:
    """Run istioctl of istiod's version; return what it says.

    Raises ProcessFailed with that when its answer is no.
    """
    return await output([istio().istioctl, *words])
