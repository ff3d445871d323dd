"""A gRPC application without a proxy whose xDS server is istiod, which the bridge tells."""

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
from peers.bed.matrix import Instance, file, hosts
from robustness.bed import Bed

from rig.istiod import Istiod
from rig.proxyless import Interface, Proxyless, grpc_backend
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio")]

NODE = {
    "id": "sidecar~10.1.2.3~caller-1.default~default.svc.cluster.local",
    "cluster": "caller.default",
    "metadata": {"GENERATOR": "grpc", "NAMESPACE": "default", "CLUSTER_ID": "Kubernetes"},
}
"""What makes istiod answer as for gRPC; its address is nobody's (see rig.istiod.sidecar)."""


@pytest.mark.parametrize("interface", ["sync", "aio"])
async def test_it_reaches_what_is_registered_and_follows_it(
    interface: Interface, tmp_path: Path
) -> None:
    """By the name and port that the registration gets in the mesh, on a channel that it keeps."""
    target = "xds:///orders.file:50051"
    async with AsyncExitStack() as stack:
        a = await stack.enter_async_context(grpc_backend("a"))
        b = await stack.enter_async_context(grpc_backend("b"))
        it = await stack.enter_async_context(file(tmp_path))
        speaks = {"protocol": "grpc"}
        await it.hold({"orders": [Instance("127.0.0.1", a, speaks)]})
        bed = Bed(tmp_path, registry=it.options)
        await stack.enter_async_context(bed.bridge)
        await bed.ready()
        istiod = await stack.enter_async_context(Istiod(tmp_path, [bed.mcp]))
        assert await hosts(istiod) == {"orders.file": 1}
        caller = Proxyless(interface, istiod.discovery, tmp_path, node=NODE)
        await stack.enter_async_context(caller)
        assert await caller.call(target) == "answer: a"
        await it.hold({"orders": [Instance("127.0.0.1", b, speaks)]})
        await until(partial(caller.call, target), lambda said: said == "answer: b", within=10)
        assert istiod.warnings() == []
