"""The outlet ``xds`` and gRPC's own xDS client: ``xds:///`` targets reach services by name."""

from collections import Counter
from pathlib import Path

import pytest

from meshbridge_xds import XdsOptions
from rig.control_plane import GRPC, HTTP, LOOPBACK, control_plane, endpoint, service
from rig.proxyless import Interface, Proxyless, grpc_backend
from rig.waiting import until

pytestmark = pytest.mark.asyncio
both = pytest.mark.parametrize("interface", ["sync", "aio"])


@both
async def test_a_service_is_called_by_host_by_port_and_by_alias(
    interface: Interface, tmp_path: Path
) -> None:
    """A name without a port means the gRPC port, also where HTTP has a lower number."""
    async with (
        grpc_backend("a") as a,
        control_plane(XdsOptions(listen=LOOPBACK)) as plane,
        Proxyless(interface, plane.address, tmp_path) as caller,
    ):
        one = service("orders.test", endpoint(a, of=GRPC), ports=(HTTP, GRPC), aliases=("orders",))
        plane.publish(one, service("other.test", endpoint(1, of=GRPC), ports=(GRPC,)))
        assert await caller.call("xds:///orders.test") == "answer: a"
        assert await caller.call("xds:///orders.test:50051") == "answer: a"
        assert await caller.call("xds:///orders") == "answer: a"
        assert await caller.call("xds:///orders:50051") == "answer: a"
        nodes = {each.node for each in plane.outlet.subscribers()}
        assert nodes == {f"proxyless-{interface}"}
        assert not list(plane.problems)


@both
async def test_the_next_calls_go_to_the_endpoints_of_now(
    interface: Interface, tmp_path: Path
) -> None:
    """A moved endpoint is followed on the channel that is open."""
    async with (
        grpc_backend("a") as a,
        grpc_backend("b") as b,
        control_plane(XdsOptions(listen=LOOPBACK)) as plane,
        Proxyless(interface, plane.address, tmp_path) as caller,
    ):
        plane.publish(service("orders.test", endpoint(a, of=GRPC), ports=(GRPC,)))
        assert await caller.call("xds:///orders.test") == "answer: a"
        plane.publish(service("orders.test", endpoint(b, of=GRPC), ports=(GRPC,)))
        await until(
            lambda: caller.call("xds:///orders.test"), lambda got: got == "answer: b", within=20
        )
        plane.publish(
            service("orders.test", endpoint(a, of=GRPC), endpoint(b, of=GRPC), ports=(GRPC,))
        )
        await until(
            lambda: caller.call("xds:///orders.test"), lambda got: got == "answer: a", within=20
        )
        seen = Counter([await caller.call("xds:///orders.test") for _ in range(10)])
        assert seen == {"answer: a": 5, "answer: b": 5}


@both
async def test_a_name_fails_while_it_is_not_served_and_works_when_it_is(
    interface: Interface, tmp_path: Path
) -> None:
    """The client waits 15 s for a name it never saw, whatever it is told; a lost one it misses."""
    async with (
        grpc_backend("a") as a,
        control_plane(XdsOptions(listen=LOOPBACK)) as plane,
        Proxyless(interface, plane.address, tmp_path) as caller,
    ):
        plane.publish(service("other.test", endpoint(a, of=GRPC), ports=(GRPC,)))
        assert (await caller.call("xds:///orders.test")).startswith("failed: ")
        plane.publish(service("orders.test", endpoint(a, of=GRPC), ports=(GRPC,)))
        await until(
            lambda: caller.call("xds:///orders.test"), lambda got: got == "answer: a", within=20
        )
        plane.publish(without=("orders.test",))
        await until(
            lambda: caller.call("xds:///orders.test"),
            lambda got: got.startswith("failed: UNAVAILABLE"),
            within=20,
        )
        assert not list(plane.problems)
