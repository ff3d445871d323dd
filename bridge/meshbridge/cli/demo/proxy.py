"""Envoy as the demo runs it: its bootstrap, and what its admin interface says of it."""

import asyncio
import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pydantic import BaseModel, Field

COUNTERS = r"(manager\.(cluster|listener)_(removed|modified)|membership_change)$"
"""What Envoy counts when it takes down or rebuilds anything that serves requests: a pattern."""


@dataclass(frozen=True, slots=True)
class View:
    """What Envoy holds from the bridge."""

    held: Mapping[str, str]
    """``cluster <name>``, ``listener <name>``, … to the version and the time of its last update."""
    counters: Mapping[str, int]


async def fetch(port: int, path: str) -> tuple[int, str]:
    """GET from a loopback port; status 0 when nobody answers."""
    return await asyncio.to_thread(_fetch, port, path)


def bootstrap(xds_port: int) -> str:
    """Return Envoy's bootstrap: everything but the way to the bridge comes from the bridge.

    The stream's retry policy is part of the way: by default Envoy waits up to 30 s before it
    tries a control plane again that was away for long.
    """
    backoff = {"base_interval": "0.1s", "max_interval": "1s"}
    ads = {
        "api_type": "DELTA_GRPC",
        "transport_api_version": "V3",
        "grpc_services": [
            {
                "envoy_grpc": {
                    "cluster_name": "meshbridge",
                    "retry_policy": {"retry_back_off": backoff},
                }
            }
        ],
    }
    by_ads: dict[str, object] = {"resource_api_version": "V3", "ads": {}}
    return json.dumps(
        {
            "node": {"id": "demo", "cluster": "demo"},
            "admin": {"address": _address(0)},
            "dynamic_resources": {
                "ads_config": ads,
                "lds_config": by_ads,
                "cds_config": by_ads,
            },
            "static_resources": {"clusters": [_way_to_the_bridge(xds_port)]},
        },
        indent=2,
    )


def command(envoy: Path, boot: Path, admin: Path) -> list[str | Path]:
    """Return how to start it; it writes its admin address into the file ``admin``.

    One worker, because each worker spreads its own requests by weight: with one the counts of a
    thousand requests are exact. No hot restart: its shared memory would meet other Envoys'.
    """
    options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
    return [envoy, "--config-path", boot, "--admin-address-path", admin, *options]


async def connected(admin: int) -> bool | None:
    """Return True when Envoy has its stream to the bridge, and None when not."""
    _, text = await fetch(admin, "/stats?filter=^control_plane.connected_state$")
    return True if text.strip().endswith(": 1") else None


async def view(admin: int) -> View:
    """Return what Envoy holds now."""
    _, text = await fetch(admin, "/config_dump?include_eds")
    _, stats = await fetch(admin, f"/stats?filter={quote(COUNTERS)}")
    counters = (line.rsplit(": ", 1) for line in stats.splitlines())
    return View(
        held=dict(_held(_Dump.model_validate_json(text))),
        counters={name: int(count) for name, count in counters},
    )


def _held(dump: "_Dump") -> Iterator[tuple[str, str]]:
    for part in dump.configs:
        for cluster in part.dynamic_active_clusters:
            yield f"cluster {cluster.cluster.name}", str(cluster.state)
        for listener in part.dynamic_listeners:
            yield f"listener {listener.name}", str(listener.active_state)
        for route in part.dynamic_route_configs:
            yield f"route {route.route_config.name}", str(route.state)
        for endpoints in part.dynamic_endpoint_configs:
            # Envoy tells no version of them, so all they hold is compared.
            config = endpoints.endpoint_config
            yield f"endpoints {config.get('cluster_name')}", json.dumps(config, sort_keys=True)


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _way_to_the_bridge(port: int) -> dict[str, object]:
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    keepalive = {"interval": "30s", "timeout": "5s"}
    return {
        "name": "meshbridge",
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            options: {
                "@type": f"type.googleapis.com/{options}",
                "explicit_http_config": {
                    "http2_protocol_options": {"connection_keepalive": keepalive}
                },
            }
        },
        "load_assignment": {
            "cluster_name": "meshbridge",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}],
        },
    }


def _fetch(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


class _Named(BaseModel):
    name: str = ""


class _State(BaseModel):
    version_info: str = ""
    last_updated: str = ""


class _Held(_State):
    cluster: _Named = _Named()
    route_config: _Named = _Named()

    @property
    def state(self) -> _State:
        return _State(version_info=self.version_info, last_updated=self.last_updated)


class _HeldEndpoints(BaseModel):
    endpoint_config: dict[str, object]


class _HeldListener(BaseModel):
    name: str
    active_state: _State = _State()


class _Part(BaseModel):
    dynamic_active_clusters: list[_Held] = Field(default_factory=list[_Held])
    dynamic_listeners: list[_HeldListener] = Field(default_factory=list[_HeldListener])
    dynamic_route_configs: list[_Held] = Field(default_factory=list[_Held])
    dynamic_endpoint_configs: list[_HeldEndpoints] = Field(default_factory=list[_HeldEndpoints])


class _Dump(BaseModel):
    """The parts of Envoy's ``/config_dump`` (envoy.admin.v3.ConfigDump) that are compared."""

    configs: list[_Part]
