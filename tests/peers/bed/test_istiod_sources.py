"""The real istiod with more than the bridge: a user's own rules, and servers that do not answer."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
from peers.bed.matrix import Instance, all_in_step, file, hosts, starting
from robustness.bed import Bed, replace
from robustness.subscriber import SERVICE, channel, open_stream

from meshbridge.cli.demo.traffic import burst
from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import (
    DiscoveryRequest,
    DiscoveryResponse,
)
from rig.envoy import Envoy
from rig.istiod import Istiod, Source, sidecar
from rig.observing import Addressed, refuses
from rig.ports import free_port
from rig.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("istio")]

HOST = "orders.file"
TELEMETRY = "telemetry.istio.io/v1/Telemetry"
WITHIN = 30.0


Context = grpc.aio.ServicerContext[bytes, bytes]


class Mute:
    """Between istiod and the bridge: keeps what the bridge answers to one type to itself."""

    def __init__(self, bridge: str, mute_on: str) -> None:
        """Describe it; ``bridge`` is ``host:port``, ``mute_on`` a type URL."""
        self.address = ""
        self.asked, self.answered, self.acknowledged = set[str](), set[str](), set[str]()
        """The types that istiod asked for, the bridge answered, istiod acknowledged."""
        self._bridge = bridge
        self._mute_on = mute_on
        self._kept: list[tuple[Context, bytes]] = []

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        """Take connections."""
        server = grpc.aio.server()
        handler = grpc.method_handlers_generic_handler(
            SERVICE.lstrip("/"),
            {"StreamAggregatedResources": grpc.stream_stream_rpc_method_handler(self._relay)},
        )
        server.add_generic_rpc_handlers((handler,))
        self.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            yield
        finally:
            await server.stop(None)

    async def speak(self) -> None:
        """Let go what it kept, once all else has come to rest."""
        for context, answer in self._kept:
            await context.write(answer)

    async def _relay(self, requests: AsyncIterator[bytes], context: Context) -> None:
        async with channel(self._bridge) as connected, asyncio.TaskGroup() as tasks:
            call = open_stream(connected, delta=False)
            back = tasks.create_task(self._give_back(call, context))
            async for request in requests:
                url = DiscoveryRequest.FromString(request).type_url
                (self.acknowledged if url in self.answered else self.asked).add(url)
                await call.write(request)
            back.cancel()

    async def _give_back(
        self, call: "grpc.aio.StreamStreamCall[bytes, bytes]", context: Context
    ) -> None:
        async for answer in call:
            url = DiscoveryResponse.FromString(answer).type_url
            self.answered.add(url)
            if url == self._mute_on:
                self._kept.append((context, answer))
            else:
                await context.write(answer)


async def test_a_server_that_is_mute_on_one_type_keeps_istiod_from_being_ready(
    tmp_path: Path,
) -> None:
    """The bridge itself answers every type that istiod asks for."""
    async with file(tmp_path) as it:
        await it.hold({"orders": (Instance("10.1.0.1", 8081),)})
        bed = Bed(tmp_path, registry=it.options)
        async with bed.bridge:
            await bed.ready()
            mute = Mute(bed.mcp, TELEMETRY)
            async with mute.listening():
                istiod = Istiod(tmp_path, [mute.address])
                async with starting(istiod) as start:

                    async def lacks() -> set[str]:
                        return mute.asked - mute.acknowledged

                    await until(
                        lacks, lambda seen: len(mute.asked) > 10 and len(seen) == 1, within=WITHIN
                    )
                    await asyncio.sleep(0.5)  # it would be ready within milliseconds
                    assert await lacks() == {TELEMETRY}
                    assert not start.done()
                    assert not await istiod.is_up()
                    assert refuses(istiod.discovery)
                    assert mute.answered == mute.asked

                    await mute.speak()
                    await asyncio.wait_for(start, WITHIN)
                    assert await hosts(istiod) == {HOST: 1}


def write_rules(folder: Path, weights: Mapping[str, int]) -> None:
    """Write what a user writes by hand: two versions, and how much traffic goes to each."""
    metadata = {"name": "orders", "namespace": "shop"}
    subsets = [{"name": each, "labels": {"version": each}} for each in weights]
    destinations = [
        {"destination": {"host": HOST, "subset": name}, "weight": weight}
        for name, weight in weights.items()
    ]
    group = "networking.istio.io/v1"
    manifests = {
        "rule.yaml": {
            "apiVersion": group,
            "kind": "DestinationRule",
            "metadata": metadata,
            "spec": {"host": HOST, "subsets": subsets},
        },
        "service.yaml": {
            "apiVersion": group,
            "kind": "VirtualService",
            "metadata": metadata,
            "spec": {"hosts": [HOST], "http": [{"route": destinations}]},
        },
    }
    for name, manifest in manifests.items():
        replace(folder / name, json.dumps(manifest))


@pytest.mark.usefixtures("envoy")
async def test_the_rules_that_a_user_writes_hold_for_the_services_of_the_bridge(
    tmp_path: Path,
) -> None:
    """From a second source; they are obeyed, changed, and outlive the bridge's end and start."""
    rules, port = tmp_path / "rules", free_port()
    rules.mkdir()
    write_rules(rules, {"v1": 90, "v2": 10})
    async with AsyncExitStack() as stack:
        it = await stack.enter_async_context(file(tmp_path))
        v1 = await stack.enter_async_context(Addressed("v1"))
        v2 = await stack.enter_async_context(Addressed("v2"))
        await it.hold(
            {
                "orders": [
                    Instance("127.0.0.1", each.port, {"version": each.name}) for each in (v1, v2)
                ]
            }
        )
        bed = Bed(tmp_path, registry=it.options, publish={"ports": {"http": port}})
        await stack.enter_async_context(bed.bridge)
        await bed.ready()
        sources = [Source(bed.mcp), Source(f"fs://{rules}")]
        istiod = await stack.enter_async_context(Istiod(tmp_path, sources))
        envoy = await stack.enter_async_context(Envoy(tmp_path, sidecar(istiod)))
        await until(envoy.is_live, bool, within=WITHIN)

        async def share_of_v2() -> float:
            answers = await burst(port, HOST, 300)
            counts = Counter(each.instance for each in answers)
            assert set(counts) <= {v1.address, v2.address}, counts
            return counts[v2.address] / len(answers)

        assert 0.01 < await share_of_v2() < 0.19, "a tenth, five times its deviation on either side"

        async def kinds() -> Counter[str]:
            return Counter(each.kind for each in await istiod.stored())

        both = {"ServiceEntry": 1, "DestinationRule": 1, "VirtualService": 1}
        assert await kinds() == both
        await bed.bridge.process.kill()
        bed.bridge.process.start()
        await bed.ready()
        await all_in_step(bed)
        assert await kinds() == both
        write_rules(rules, {"v1": 0, "v2": 100})
        await until(share_of_v2, lambda seen: seen == 1, within=WITHIN)
        assert istiod.warnings() == []
