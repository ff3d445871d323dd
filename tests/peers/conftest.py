"""The real servers: started once for all tests that do not stop them; `make peers` builds them.

Without Java, Maven or a C compiler the tests of a server are skipped by name; in CI that fails.
"""

import asyncio
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, Never, TypeVar

import pytest

from rig import starts, times
from rig.addresses import second_address
from rig.bed import IstioPrograms, Missing, in_ci
from rig.bed import istio as build_istio
from rig.envoy import NoEnvoy, find_envoy
from rig.eureka import Eureka
from rig.nacos import Nacos
from rig.server import Server
from rig.zookeeper import ZooKeeper

AnyServer = TypeVar("AnyServer", bound=Server)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was started: which version, how fast, how large; and how fast it followed."""
    tables = (
        ("servers", Server.starts, starts.table(Server.starts)),
        ("times", times.noted, times.table(times.noted)),
    )
    for title, rows, lines in tables:
        if rows:
            terminalreporter.section(title)
            for line in lines:
                terminalreporter.write_line(line)


def unavailable(reason: Exception) -> Never:
    """Skip what needs something that is not installed, or fail where nothing may be skipped."""
    if in_ci():
        raise pytest.fail.Exception(f"in CI nothing is skipped: {reason}", pytrace=False) from None
    raise pytest.skip.Exception(str(reason)) from None


def make_nacos(
    directory: Path,
    *,
    release: Literal[2, 3] = 2,
    password: str = "",
    settings: Mapping[str, str] | None = None,
) -> Nacos:
    """Return a Nacos of one's own, not started."""
    try:
        return Nacos(directory, release=release, password=password, settings=settings)
    except Missing as missing:
        unavailable(missing)


def make_zookeeper(directory: Path, **settings: str) -> ZooKeeper:
    """Return a ZooKeeper of one's own, not started; ``settings`` are further lines of its own."""
    try:
        return ZooKeeper(directory, settings=settings)
    except Missing as missing:
        unavailable(missing)


def make_eureka(
    directory: Path,
    *,
    cached: float = 0.0,
    self_preservation: bool = False,
    closed_for: float = 0.0,
) -> Eureka:
    """Return a Eureka of one's own, not started."""
    try:
        return Eureka(
            directory, cached=cached, self_preservation=self_preservation, closed_for=closed_for
        )
    except Missing as missing:
        unavailable(missing)


@contextmanager
def shared(server: AnyServer) -> Generator[AnyServer]:
    """Run a server beyond the event loop of one test."""
    try:
        asyncio.run(server.start())
        yield server
    finally:
        asyncio.run(server.stop())


@pytest.fixture(scope="session")
def nacos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nacos]:
    """Return a running Nacos; whoever uses it leaves it running and names services uniquely."""
    with shared(make_nacos(tmp_path_factory.mktemp("nacos"))) as server:
        yield server


@pytest.fixture(scope="module")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeper]:
    """Return a running ZooKeeper; whoever uses it leaves it running, with a tree of his own."""
    with shared(make_zookeeper(tmp_path_factory.mktemp("zookeeper"))) as server:
        yield server


@pytest.fixture(scope="session", params=[2, 3], ids=["nacos2", "nacos3"])
def each_nacos(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Nacos]:
    """Return a running Nacos of each release in turn; empty services stay listed in it."""
    release: Literal[2, 3] = request.param
    kept = {"nacos.naming.clean.empty-service.expired-time": "3600000"}
    folder = tmp_path_factory.mktemp(f"each{release}")
    with shared(make_nacos(folder, release=release, settings=kept)) as server:
        yield server


@pytest.fixture(scope="session")
def host() -> Iterator[str]:
    """Return an address of this run on the loopback interface: Dubbo registers no 127.*."""
    with ExitStack() as stack:
        try:
            address = stack.enter_context(second_address())
        except Missing as missing:
            unavailable(missing)
        yield address


@pytest.fixture(scope="session")
def envoy() -> Path:
    """Return the Envoy binary."""
    try:
        return find_envoy()
    except NoEnvoy as missing:
        unavailable(missing)


@pytest.fixture(scope="session")
def istio() -> IstioPrograms:
    """Return istiod and istioctl; raises rig.bed.BuildFailed."""
    try:
        return build_istio()
    except Missing as missing:
        unavailable(missing)
