"""The options of the outlet ``mcp``, as istiod sees what they change."""

import pytest
import structlog
from integration.test_mcp import FROM_SERVICES, acknowledged, change, serving

from meshbridge.service import Endpoint, Port, Service, Source, versioned
from meshbridge.settings import Address
from meshbridge_mcp.crowds import MANY
from meshbridge_mcp.server import Options

pytestmark = pytest.mark.asyncio

HTTP = Port(80, "http", "http-80")
WORKLOADS = Options(listen=Address("127.0.0.1", 0), endpoints="workload-entries")


def a_service(host: str, count: int) -> Service:
    """Return a service with so many endpoints."""
    endpoints = (
        Endpoint(f"10.1.{number >> 8}.{number & 255}", (("http-80", 8080),))
        for number in range(count)
    )
    return versioned(
        Service(host, "shop", (HTTP,), tuple(endpoints), sources=(Source("shop", host),))
    )


async def test_workload_entries_are_offered_beside_the_entries_that_select_them() -> None:
    async with serving(a_service("a.nacos", 3), options=WORKLOADS) as outlet:
        istiod = outlet.istiod()
        async with istiod.connected():
            await istiod.until(lambda: {*FROM_SERVICES} <= {url for url, _ in istiod.acknowledged})
            assert outlet.metric("meshbridge_mcp_resources") == 4
            change(outlet, a_nacos=None)
            await istiod.until(acknowledged(istiod, 2))
            assert outlet.metric("meshbridge_mcp_resources") == 0


async def test_too_many_workload_entries_in_a_namespace_are_a_problem_and_logged_once() -> None:
    """As long as there are too many."""
    with structlog.testing.capture_logs() as logs:
        async with serving(a_service("a.nacos", MANY + 1), options=WORKLOADS) as outlet:
            istiod = outlet.istiod()
            async with istiod.connected():
                await istiod.until(acknowledged(istiod))
                (problem,) = outlet.problems
                assert (problem.registry, problem.subject) == ("mcp", "namespace shop")
                change(outlet, a_nacos=a_service("a.nacos", MANY))
                await istiod.until(lambda: not list(outlet.problems))
                change(outlet, a_nacos=a_service("a.nacos", MANY + 1))
                await istiod.until(lambda: len(outlet.problems) == 1)
    assert [each["namespace"] for each in logs if each["event"] == "many WorkloadEntries"] == [
        "shop"
    ]


async def test_endpoints_inline_are_never_too_many() -> None:
    async with serving(a_service("a.nacos", MANY + 1)) as outlet:
        istiod = outlet.istiod()
        async with istiod.connected():
            await istiod.until(acknowledged(istiod))
            assert list(outlet.problems) == []
