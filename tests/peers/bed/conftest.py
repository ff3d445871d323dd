"""Lets a test run with each kind of registry, and a caller in a network of its own."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from peers.bed.kinds import KINDS
from peers.bed.matrix import Kind, Source
from peers.conftest import unavailable

from rig.addresses import second_address
from rig.bed import Missing
from rig.nacos import Nacos
from rig.network import Namespace
from rig.registrant import Registrant


@pytest.fixture(scope="session")
def nacos_with_applications(
    nacos: Nacos, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Nacos, Sequence[Registrant]]]:
    """Return the running Nacos and two applications, which hold one instance of a service each."""
    folder = tmp_path_factory.mktemp("applications")
    applications = [Registrant(name, nacos.address, folder) for name in ("one", "two")]

    async def start() -> None:
        await asyncio.gather(*(each.__aenter__() for each in applications))

    async def stop() -> None:
        await asyncio.gather(*(each.process.stop() for each in applications))

    try:
        asyncio.run(start())
        yield nacos, applications
    finally:
        asyncio.run(stop())


@pytest.fixture(scope="session", params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    """Return what makes such a registry; a server that all share runs by now."""
    return KINDS[request.param](request)


@pytest.fixture
def source(kind: Kind, tmp_path: Path) -> Source:
    """Return a registry of the test's own, to be entered."""
    return kind(tmp_path)


@pytest.fixture
def network() -> Namespace:
    """Return a network for the caller's pod, not made yet."""
    try:
        network = Namespace()
        network.proxy()
    except Missing as missing:
        unavailable(missing)
    return network


@pytest.fixture
def addresses() -> Iterator[tuple[str, str]]:
    """Return two addresses of this machine, one for each instance: they share a port."""
    with ExitStack() as stack:
        try:
            one, other = (stack.enter_context(second_address()) for _ in range(2))
        except Missing as missing:
            unavailable(missing)
        yield one, other
