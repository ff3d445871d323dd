"""Real Dubbo consumers find real Dubbo providers, and hear from them who answered."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import psutil
import pytest
from peers.bed.dubbo_market import BOTH, PATIENT, Market, set_up
from peers.conftest import unavailable

from meshbridge.testing import ProcessFailed
from rig.application import running
from rig.bed import Missing, versions
from rig.dubbo import Call, Calling, Consumer, Need, Offer, Provider, Who
from rig.nacos import Nacos
from rig.waiting import until

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def market(host: str, nacos: Nacos, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """Return the market, open, with a ZooKeeper of its own and the shared Nacos."""
    try:
        market = set_up(tmp_path_factory.mktemp("market"), host, nacos.address)
    except Missing as missing:
        unavailable(missing)
    try:
        asyncio.run(market.open())
        yield market
    finally:
        asyncio.run(market.close())


async def answers(consumer: Consumer, holds: Callable[[list[Who]], bool]) -> list[Who]:
    """Call until what ten calls in a row were answered is so; return the answers."""

    async def ten() -> list[Who]:
        return [call.answer for call in await consumer.call(10) if call.answer is not None]

    found, _ = await until(ten, lambda heard: len(heard) == 10 and holds(heard), within=30)
    return found


async def answer(consumer: Consumer) -> Who:
    """Call until that is answered: the first call of a JVM may take longer than a call may."""

    async def once() -> Call:
        (call,) = await consumer.call()
        return call

    call, _ = await until(once, lambda made: made.answer is not None, within=30)
    assert call.answer is not None
    return call.answer


@pytest.mark.parametrize(
    ("consumer", "provider"),
    [
        ("interface", "both"),
        ("instance", "both"),
        ("instance-remote", "remote"),
        ("nacos-interface", "nacos"),
        ("nacos-instance", "nacos"),
        ("nacos-instance-remote", "nacos-remote"),
        ("old-to-old", "old"),
        ("new-to-old", "old"),
        ("nacos-old-to-old", "nacos-old"),
    ],
)
async def test_a_consumer_is_answered_by_the_provider_its_registry_tells_it(
    market: Market, consumer: str, provider: str
) -> None:
    """Six providers of one interface: the registry, the mode, the group and the version tell."""
    offer = market.providers[provider].offer

    heard, *_ = await answers(
        market.consumers[consumer], lambda heard: {who.name for who in heard} == {provider}
    )

    release = versions("maven")[f"dubbo{offer.release}"]
    assert (heard.app, heard.release) == (provider, release)
    assert (heard.group, heard.version) == (offer.group, offer.version)
    assert (heard.zone, heard.tag) == (offer.zone, offer.tag)


@pytest.mark.parametrize("consumer", ["interface", "instance", "nacos-interface", "nacos-instance"])
async def test_a_provider_is_called_on_each_of_its_protocols(market: Market, consumer: str) -> None:
    heard = await answers(
        market.consumers[consumer], lambda heard: {who.protocol for who in heard} == {*BOTH}
    )

    ports = market.providers[heard[0].name].ports
    assert {(who.protocol, who.port) for who in heard} == set(ports.items())


async def test_a_provider_registers_each_interface_as_it_was_told(market: Market) -> None:
    urls = await market.zookeeper.shell("ls", "/dubbo/meshbridge.peers.Stock/providers")

    said = [
        (url.scheme, url.hostname, url.port, dict(parse_qsl(url.query)))
        for url in (urlsplit(unquote(each)) for each in re.findall(r"[a-z]+%3A[^,\]]+", urls))
        if "application=both" in url.query
    ]
    ports = market.providers["both"].ports
    assert sorted(each[:3] for each in said) == [(name, market.host, ports[name]) for name in BOTH]
    wanted = {"weight": "70", "region": "hz", "env": "staging", "cell": "c1"}
    assert [wanted.items() <= query.items() for *_, query in said] == [True, True]


async def test_a_provider_registers_its_application_as_it_was_told(market: Market) -> None:
    both = market.providers["both"]

    node = f"/services/both/{market.host}:{both.ports['dubbo']}"
    instance = await market.zookeeper.shell("get", node)

    assert rf"\"port\":{both.ports['tri']},\"protocol\":\"tri\"" in instance
    assert '"cell":"c1"' in instance
    assert "staging" not in instance


async def test_a_consumer_of_another_version_finds_nobody(market: Market) -> None:
    (call,) = await market.consumers["to-nobody"].call()

    assert not call.ok
    assert "No provider available" in call.error


async def test_an_answer_says_what_the_provider_saw_of_a_dubbo_call(market: Market) -> None:
    who = await answer(market.consumers["by-dubbo"])

    port = market.providers["both"].ports["dubbo"]
    assert (who.name, who.protocol, who.port) == ("both", "dubbo", port)
    assert who.service == "meshbridge.peers.Greeter"
    assert who.attachments["dubbo.tag"] == "gray"
    assert who.headers == {}


async def test_an_answer_says_what_the_provider_saw_of_a_triple_call(market: Market) -> None:
    who = await answer(market.consumers["by-tri"])

    port = market.providers["both"].ports["tri"]
    assert (who.name, who.protocol, who.port) == ("both", "tri", port)
    assert who.headers[":path"] == "/meshbridge.peers.Greeter/greet"
    assert who.headers["tri-consumer-appname"] == "by-tri"
    assert who.headers["dubbo.tag"] == "gray"


async def test_a_provider_is_as_slow_as_it_was_told(market: Market) -> None:
    provider, consumer = market.providers["both"], market.consumers["by-tri"]

    async with provider.slow(0.5):
        (slow,) = await consumer.call()
    async with provider.slow(3):
        (late,) = await consumer.call()
    (quick,) = await consumer.call()

    assert slow.ok
    assert slow.ms >= 500
    assert not late.ok
    assert late.ms >= 2000
    assert quick.ok
    assert quick.ms < slow.ms


async def test_a_provider_fails_as_long_as_it_was_told(market: Market) -> None:
    provider, consumer = market.providers["both"], market.consumers["by-dubbo"]

    async with provider.failing():
        failed = await consumer.call(3)
    (mended,) = await consumer.call()

    assert [call.ok for call in failed] == [False, False, False]
    assert all("told to fail" in call.error for call in failed)
    assert mended.ok


async def test_a_call_is_timed_by_the_clock_of_the_test(market: Market) -> None:
    before = time.monotonic()
    (call,) = await market.consumers["by-dubbo"].call()

    assert before <= call.at
    assert call.ended <= time.monotonic()


async def test_an_order_that_nobody_knows_is_refused(market: Market) -> None:
    with pytest.raises(ProcessFailed, match="a provider knows no such order"):
        await market.providers["both"].order("dance")


async def test_an_order_that_is_not_carried_out_in_time_is_named(market: Market) -> None:
    provider = market.providers["both"]

    provider.pause()
    try:
        with pytest.raises(ProcessFailed, match=r"both did not carry out 'fail off' within 0.2 s"):
            await provider.order("fail off", within=0.2)
    finally:
        provider.resume()

    await provider.order("delay 0")  # carried out after the late one


async def test_no_application_listens_beyond_the_loopback_interface(market: Market) -> None:
    bound = {
        (application.process.name, at.laddr.ip)
        for application in market.everyone
        for at in psutil.Process(application.process.pid).net_connections()
        if at.status in {psutil.CONN_LISTEN, psutil.CONN_NONE}
    }

    assert {("both", market.host), ("old", market.host)} <= bound
    assert {address for _, address in bound} <= {market.host, "127.0.0.1"}


async def test_the_calls_of_a_killed_provider_go_to_the_other_and_it_answers_once_it_is_back(
    market: Market, tmp_path: Path
) -> None:
    """The consumer retries: not even the call is lost that the killed one was working on."""
    registry, host = f"zookeeper://{market.zookeeper.address}", market.host
    offer = Offer(name="a", host=host, app="pair", registry=registry, mode="interface", group="p")
    need = Need(name="web", host=host, registry=registry, mode="interface", group="p", retries=2)
    a, b = (Provider(tmp_path, each) for each in (offer, replace(offer, name="b")))
    consumer = Consumer(tmp_path, replace(need, timeout=PATIENT))

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(a, b))
        await a.restart()  # before it is called: it would wait 10 s for its consumer to go
        # The consumer late: it holds what a registry tells it back for up to 5 s once it has begun.
        await stack.enter_async_context(consumer)
        calling = await stack.enter_async_context(consumer.calling(every=0.02))
        await answered(calling, "a", "b")
        async with a.slow(2 * PATIENT):
            await until(idle_for(calling), lambda seconds: seconds > 0.5, within=30)
            before = time.monotonic()
            await a.kill()
        killed = time.monotonic()
        await until(begun_after(calling, killed), lambda made: len(made) >= 50, within=30)
        hit = [call for call in calling.made if call.ended > before]
        await a.start()
        # Who lost its connection tries again after a minute only: somebody else has to ask.
        direct = replace(need, name="direct", registry="", mode=None, url=a.url("dubbo"))
        async with Consumer(tmp_path, direct) as other:
            assert (await answer(other)).name == "a"

    assert [call for call in hit if not call.ok] == []
    assert [call.at < before for call in hit].count(True) == 1, "none was under way at the kill"
    assert names([call for call in hit if call.at > killed]) == {"b"}


def begun_after(calling: Calling, at: float) -> Callable[[], Awaitable[list[Call]]]:
    """Return a look at the calls that began after that."""

    async def made() -> list[Call]:
        return [call for call in calling.made if call.at > at]

    return made


def idle_for(calling: Calling) -> Callable[[], Awaitable[float]]:
    """Return a look at how long no call has ended."""

    async def seconds() -> float:
        return time.monotonic() - calling.made[-1].ended

    return seconds


async def answered(calling: Calling, *by: str) -> None:
    """Wait until these have answered calls that begin from now on."""
    made = begun_after(calling, time.monotonic())
    await until(made, lambda made: names(made) >= {*by}, within=30)


def names(calls: list[Call]) -> set[str]:
    """Return the names of those that answered."""
    return {call.answer.name for call in calls if call.answer is not None}
