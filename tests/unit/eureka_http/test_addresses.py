"""A server is reached whatever it is called: by IPv6, a name with an underscore, at any path."""

import asyncio
import socket
from collections.abc import Callable, Mapping
from functools import partial

import pytest
from contract.eureka_registry import FASTER, ScriptedRegistry

from meshbridge.testing.stage import Stage
from rig.scripted_eureka import DELTA, FULL, ScriptedEureka

pytestmark = pytest.mark.asyncio
SERVERS: Mapping[str, Callable[[], ScriptedEureka]] = {
    "Netflix' path": partial(ScriptedEureka, path="/eureka/v2"),
    "a path of somebody's own": partial(ScriptedEureka, path="/registry/of/ours"),
    "IPv6": partial(ScriptedEureka, host="[::1]", listens="::1"),
    "a name with an underscore": partial(ScriptedEureka, host="eureka_server"),
}


@pytest.mark.parametrize("name", SERVERS)
async def test_a_server_is_read_by_any_address(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server = SERVERS[name]()
    if server.listens == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", _lookup)
    server.registry.register("orders", "10.1.0.1", 8080)
    async with server, Stage(ScriptedRegistry(server, faster=FASTER)) as stage:
        await stage.listed()
        assert stage.addresses("orders") == {("10.1.0.1", 8080)}
        server.registry.register("orders", "10.1.0.2", 8080)
        await stage.until(lambda: len(stage.addresses("orders")) == 2, "the second instance")
        assert set(server.paths) == {FULL, DELTA}
        assert server.connections == 1
        asked = server.asked[-1]
        assert asked.headers["host"] == f"{server.host}:{server.port}"
        assert asked.headers["accept"] == "application/json"
        assert asked.accepts("gzip")
        assert "authorization" not in asked.headers


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


async def _lookup(_: str, port: int, **_asked: object) -> list[object]:
    """Find every name on this machine, as a resolver of a container network does."""
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))]
