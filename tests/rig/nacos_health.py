"""Persistent instances in Nacos that nobody checks: they are as healthy as a test says."""

import json

from rig.corpus.http import ask
from rig.corpus.nacos_asked import ORDERS
from rig.nacos_http import NacosHttp


async def put_service(server: NacosHttp, name: str, threshold: float, *clusters: str) -> None:
    """Make a service with that protection threshold, whose instances are checked by nobody."""
    orders, base = ORDERS[server.release], f"http://{server.address}"
    service = {"serviceName": name, "groupName": "DEFAULT_GROUP"}
    await ask(base, orders.service, {**service, "protectThreshold": str(threshold)}, method="POST")
    unchecked = {
        "checkPort": "80",
        "useInstancePort4Check": "true",
        "healthChecker": json.dumps({"type": "NONE"}),
    }
    for cluster in clusters:
        await ask(
            base, orders.cluster, {**service, **unchecked, "clusterName": cluster}, method="PUT"
        )


async def put_instance(
    server: NacosHttp,
    name: str,
    address: str,
    port: int,
    *,
    healthy: bool,
    cluster: str = "DEFAULT",
) -> None:
    """Register an instance of such a service, or change its health."""
    fields = {
        "serviceName": name,
        "groupName": "DEFAULT_GROUP",
        "ip": address,
        "port": str(port),
        "clusterName": cluster,
        "ephemeral": "false",
        "healthy": json.dumps(healthy),
    }
    path = ORDERS[server.release].instance
    await ask(f"http://{server.address}", path, fields, method="POST")
