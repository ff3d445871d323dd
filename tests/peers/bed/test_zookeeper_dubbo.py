"""Real Dubbo providers in a real ZooKeeper, and what real consumers hear from them through Envoy.

dubbo:// is plain TCP to Envoy: a connection stays with its provider until one of both ends it. So
a consumer of dubbo:// has several, and is started again where a provider joins or is taken out
that runs on. Triple is HTTP/2: each call is given to a provider by itself.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from peers.bed.dubbo_market import BOTH
from peers.bed.dubbo_mesh import GREETER, SOON, TRIPLE, Mesh, by_istiod, by_xds
from peers.conftest import unavailable

from rig.addresses import second_address
from rig.application import running
from rig.bed import Missing
from rig.dubbo import Consumer, Offer, Provider
from rig.network import Namespace
from rig.waiting import until
from rig.zookeeper import ZooKeeper
from rig.zookeeper_session import Session

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio", "envoy")]

INTERFACE = "meshbridge.peers.Greeter"
TICK = 250
"""Milliseconds; a provider that was killed is forgotten after twenty of them."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who offers the interface: two without a group, two with one; who comes later is not here."""

    new: Provider
    """Dubbo 3, both protocols; registered as an interface and as an application."""
    old: Provider
    """Dubbo 2.7."""
    one: Provider
    """Triple only, as is the next; registered both ways, their interfaces in ZooKeeper."""
    other: Provider
    old_again: Provider
    """The old one on another port, as is the next."""
    one_again: Provider

    @property
    def first(self) -> tuple[Provider, ...]:
        """Who is there at first."""
        return (self.new, self.old, self.one, self.other)

    @property
    def everyone(self) -> tuple[Provider, ...]:
        """Who is ever there."""
        return (*self.first, self.old_again, self.one_again)


@pytest.fixture
def zookeeper(tmp_path: Path) -> ZooKeeper:
    """Return a ZooKeeper of the test's own, not started."""
    try:
        return ZooKeeper(tmp_path, tick=TICK)
    except Missing as missing:
        unavailable(missing)


@pytest.fixture
def cast(host: str, zookeeper: ZooKeeper, tmp_path: Path) -> Iterator[Cast]:
    """Return the providers, not started; those with a group have an address of their own."""
    with ExitStack() as stack:
        try:
            other_host = stack.enter_context(second_address())
            registry = f"zookeeper://{zookeeper.address}"
            offer = Offer(name="new", host=host, registry=registry, mode="all", protocols=BOTH)
            old = replace(offer, name="old", release=2, mode=None, protocols=("dubbo",))
            one = replace(
                offer,
                name="one",
                app="triple",
                host=other_host,
                group="tri",
                protocols=("tri",),
                metadata="remote",
            )
            again = replace(old, name="old-again", app="old"), replace(one, name="one-again")
            made = (offer, old, one, replace(one, name="other"), *again)
            yield Cast(*(Provider(tmp_path, each) for each in made))
        except Missing as missing:
            unavailable(missing)


async def hears(consumer: Consumer, *names: str) -> None:
    """Wait until every one of twenty calls is answered, by these providers and nobody else."""

    async def answers() -> tuple[set[str], list[str]]:
        calls = await consumer.call(20)
        answered = {call.answer.name for call in calls if call.answer is not None}
        return answered, [call.error for call in calls if not call.ok]

    await until(answers, lambda seen: seen == ({*names}, []), within=SOON, every=0.2)


Meshing = Callable[..., AbstractAsyncContextManager[Mesh]]


@pytest.mark.parametrize("meshed", [by_xds, by_istiod])
async def test_real_consumers_follow_their_providers_through_an_envoy_that_knows_only_us(
    meshed: Meshing, zookeeper: ZooKeeper, cast: Cast, network: Namespace, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(zookeeper)
        await enter(running(*cast.first))
        it = await enter(meshed(network, zookeeper, cast.everyone, tmp_path))
        for each in sorted({each.offer.host for each in cast.everyone}):
            network.reach(each)
        await it.gives_to(GREETER, cast.new, cast.old)
        await it.gives_to(TRIPLE, cast.one, cast.other)
        await enter(running(*it.callers))
        session = await enter(Session(zookeeper.address))

        await all_are_reached(it)
        await one_is_killed_and_comes_back_elsewhere(it, cast, stack)
        await a_rule_takes_one_out(it, cast, session)
        await one_stops(it, cast)


async def all_are_reached(it: Mesh) -> None:
    await hears(it.static, "new", "old")
    await hears(it.redirected, "new", "old")
    await hears(it.static_tri, "new")
    await hears(it.redirected_tri, "one", "other")
    assert await it.carried() > 0


async def one_is_killed_and_comes_back_elsewhere(
    it: Mesh, cast: Cast, stack: AsyncExitStack
) -> None:
    """With -9; ZooKeeper keeps what it registered until its session has lapsed."""
    await asyncio.gather(cast.old.kill(), cast.one.kill())
    await it.gives_to(GREETER, cast.new)
    await it.gives_to(TRIPLE, cast.other)
    await hears(it.static, "new")
    await hears(it.redirected, "new")
    await hears(it.redirected_tri, "other")

    await stack.enter_async_context(running(cast.old_again, cast.one_again))
    await it.gives_to(GREETER, cast.new, cast.old_again)
    await it.gives_to(TRIPLE, cast.other, cast.one_again)
    await hears(it.redirected_tri, "other", "one-again")
    await it.static.restart()
    await hears(it.static, "new", "old-again")


async def a_rule_takes_one_out(it: Mesh, cast: Cast, session: Session) -> None:
    """By a rule of the configuration centre, then by a URL among the interface's configurators."""
    rules = {_rule(): _out(cast.new, "dubbo"), _rule("tri"): _out(cast.other, "tri")}
    for path, text in rules.items():
        await session.write(path, text.encode())
    await it.gives_to(TRIPLE, cast.one_again)
    await hears(it.redirected_tri, "one-again")
    await hears(it.static_tri, "new")
    await it.static.restart()
    await hears(it.static, "old-again")
    for path in rules:
        await session.remove(path)
    await it.gives_to(GREETER, cast.new, cast.old_again)
    await it.gives_to(TRIPLE, cast.other, cast.one_again)

    url = _override(cast.old_again)
    await session.write(url)
    await it.gives_to(GREETER, cast.new)
    await asyncio.gather(it.static.restart(), it.redirected.restart())
    await hears(it.redirected, "new")
    await hears(it.static, "new")
    await session.remove(url)
    await it.gives_to(GREETER, cast.new, cast.old_again)
    await hears(it.redirected, "new", "old-again")
    await hears(it.redirected_tri, "other", "one-again")


def _rule(group: str = "") -> str:
    return f"/dubbo/config/dubbo/{INTERFACE}::{group}.configurators"


def _out(provider: Provider, protocol: str) -> str:
    """Return the rule that takes the provider out, as Dubbo's console writes it."""
    group = provider.offer.group
    return f"""
configVersion: v2.7
scope: service
key: {f"{group}/" if group else ""}{INTERFACE}
enabled: true
configs:
  - side: consumer
    addresses: ["0.0.0.0"]
    providerAddresses: ["{provider.offer.host}:{provider.ports[protocol]}"]
    parameters:
      disabled: true
"""


def _override(provider: Provider) -> str:
    """Return the path of the URL that takes a provider of dubbo out, in the form of Dubbo 2.6.

    Dubbo 3.3.6 cannot bear it for Triple. A provider reads it too, unless it has ``side=consumer``,
    exports itself anew, fails at that ("Already exists an invoker") and answers no call any more;
    and consumers that look for applications do not read it.
    """
    address = f"{provider.offer.host}:{provider.ports['dubbo']}"
    said = {"category": "configurators", "dynamic": "false", "enabled": "true", "disabled": "true"}
    url = f"override://{address}/{INTERFACE}?{urlencode(said)}"
    return f"/dubbo/{INTERFACE}/configurators/{quote(url, safe='')}"


async def one_stops(it: Mesh, cast: Cast) -> None:
    """By SIGTERM, after it was taken offline: no call by Triple is lost.

    Without that Dubbo 3.3.6 closes its connections 20 to 110 ms after it has left ZooKeeper, and
    istiod alone waits 100 ms for further changes.
    """
    async with it.redirected_tri.calling(every=0.02) as calling:
        await cast.other.offline()
        await it.gives_to(TRIPLE, cast.one_again)
        await asyncio.gather(cast.other.stop(), cast.new.stop())
    assert [call.error for call in calling.made if not call.ok] == []
    await hears(it.redirected_tri, "one-again")
    await it.gives_to(GREETER, cast.old_again)
    await hears(it.static, "old-again")
    await hears(it.redirected, "old-again")
    # Who is left would wait for its consumers.
    await asyncio.gather(cast.old_again.kill(), cast.one_again.kill())
