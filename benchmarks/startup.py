"""How long commands take to come up, and what the bridge weighs once it has."""

import asyncio
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import psutil

from benchmarks.samples import Figure
from meshbridge.cli.demo.child import ChildFailed
from meshbridge.cli.demo.stage import Stage
from meshbridge.protos.gen.envoy.config.core.v3.base_pb2 import Node
from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import (
    DiscoveryRequest,
    DiscoveryResponse,
)

_METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
_CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
_REST = 2.0
_WITHIN = 20.0


def help_text(runs: int, say: Callable[[str], None]) -> Figure:
    """Measure ``meshbridge --help``."""
    program = str(Path(sys.executable).with_name("meshbridge"))
    samples: list[float] = []
    cpu: list[float] = []
    for number in range(runs):
        begun, used = time.perf_counter(), _used_by_children()
        subprocess.run([program, "--help"], stdout=subprocess.DEVNULL, check=True)  # noqa: S603
        samples.append(time.perf_counter() - begun)
        cpu.append(_used_by_children() - used)
        say(f"meshbridge --help {number + 1}/{runs}: {samples[-1]:.2f} s")
    return Figure("`meshbridge --help`", "s", samples, 0.5, cpu)


async def start(bed: Stage, runs: int, say: Callable[[str], None]) -> tuple[Figure, Figure]:
    """Start ``meshbridge run`` again and again; return the time to an answer and the memory."""
    times: list[float] = []
    cpu: list[float] = []
    weights: list[float] = []
    for number in range(runs):
        begun = time.perf_counter()
        bed.bridge.start()
        await _first_answer(bed.ports.xds)
        times.append(time.perf_counter() - begun)
        spent = _process(bed).cpu_times()
        cpu.append(spent.user + spent.system)
        await asyncio.sleep(_REST)
        weights.append(_process(bed).memory_info().rss / 1e6)
        await bed.bridge.stop()
        say(f"start {number + 1}/{runs}: {times[-1]:.2f} s to an answer, {weights[-1]:.1f} MB")
    return (
        Figure("start of `run` → first xDS answer", "s", times, 1.5, cpu),
        Figure("memory at rest", "MB", weights, 90),
    )


def _process(bed: Stage) -> psutil.Process:
    if bed.bridge.pid is None:
        raise ChildFailed(f"{bed.bridge.name} has ended.{bed.bridge.last_lines()}")
    return psutil.Process(bed.bridge.pid)


def _used_by_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def _first_answer(port: int) -> None:
    """Wait until the port is open, subscribe to all clusters and wait for the response."""
    async with asyncio.timeout(_WITHIN):
        while not await _is_open(port):  # noqa: ASYNC110 - a process has no event
            await asyncio.sleep(0.002)
        request = DiscoveryRequest(node=Node(id="benchmark"), type_url=_CLUSTER)
        options = [("grpc.enable_http_proxy", 0)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
            stream = channel.stream_stream(
                _METHOD,
                request_serializer=DiscoveryRequest.SerializeToString,
                response_deserializer=DiscoveryResponse.FromString,
            )(wait_for_ready=True)
            await stream.write(request)
            await stream.read()
            stream.cancel()


async def _is_open(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
