"""The server of discovery streams: peers that refuse, misbehave, do not read or may not ask."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol, cast

import grpc
import grpc.aio
import pytest
import structlog
import structlog.testing
from prometheus_client import CollectorRegistry

from meshbridge.errors import ConfigurationError
from meshbridge.outlet import OutletContext, Subscriber
from meshbridge.problems import Problem, Problems
from meshbridge.protos.gen.envoy.config.cluster.v3.cluster_pb2 import Cluster
from meshbridge.protos.gen.envoy.config.core.v3.base_pb2 import Node
from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import (
    DiscoveryRequest,
    DiscoveryResponse,
)
from meshbridge.service import Port, Source
from meshbridge.settings import Address, Tls
from meshbridge_xds import Xds, XdsOptions
from meshbridge_xds.envoy.cluster import encode_cluster
from meshbridge_xds.envoy.endpoint import encode_endpoints
from meshbridge_xds.envoy.names import CDS, EDS, encoded, served_type
from meshbridge_xds.offers import Offer, Offers
from meshbridge_xds.options import TcpListenerOptions
from meshbridge_xds.resources import Resource, ResourceSet
from meshbridge_xds.server import DiscoveryServer
from rig.certificates import Authority
from rig.control_plane import LOOPBACK, ControlPlane, control_plane, endpoint, service
from rig.envoy import Api, Envoy, bootstrap
from rig.waiting import until

pytestmark = pytest.mark.asyncio
both = pytest.mark.parametrize("api", ["GRPC", "DELTA_GRPC"])
HTTP = Port(80, "http", "http-80")
STATE, DELTA = "StreamAggregatedResources", "DeltaAggregatedResources"
PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"


@dataclass
class Served:
    """A server with hand-made resources, and what it has said."""

    offers: Offers = field(default_factory=Offers)
    problems: Problems = field(default_factory=Problems)
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    address: str = ""
    sets: dict[str, ResourceSet] = field(default_factory=dict[str, ResourceSet])

    def offer(self, url: str, **resources: Resource | None) -> None:
        before = self.sets.get(url, ResourceSet())
        touched = {each.name if each else name: each for name, each in resources.items()}
        self.sets[url] = before.changed(touched)
        self.offers.publish(Offer(dict(self.sets)))

    def offer_service(self, name: str, port: int) -> None:
        """Offer a good cluster and its endpoint."""
        made = service(name, endpoint(port))
        self.offer(EDS, it=encode_endpoints(made, HTTP)[0])
        self.offer(CDS, it=encode_cluster(made, HTTP))

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def serving(tls: Tls | None = None) -> AsyncGenerator[tuple[Served, DiscoveryServer]]:
    served, listening = Served(), asyncio.Event()

    def bound(_what: str, where: str) -> None:
        served.address = where
        listening.set()

    context = OutletContext(
        clock=time.monotonic,
        logger=structlog.get_logger(),
        metrics=served.metrics,
        listening=bound,
        problems=served.problems.put,
    )
    server = DiscoveryServer("xds", served.offers, served_type, context)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(server.serve(Address(LOOPBACK.host, 0), tls))
        await listening.wait()
        try:
            yield served, server
        finally:
            task.cancel()


async def nobody_subscribes(server: DiscoveryServer) -> None:
    """Wait until the server has let go of a stream that the client knows to have ended."""

    async def subscribers() -> tuple[Subscriber, ...]:
        return server.subscribers()

    await until(subscribers, ().__eq__, within=20)


def bad_cluster(name: str, seconds: int = 0) -> Resource:
    """Return a cluster that Envoy refuses: EDS without saying where from."""
    cluster = Cluster(name=name, type=Cluster.EDS)
    cluster.connect_timeout.FromTimedelta(timedelta(seconds=1 + seconds))
    return Resource.of(name, encoded(cluster), refers=(name,))


@both
async def test_a_cluster_that_envoy_refuses_costs_nothing_but_itself(
    api: Api, tmp_path: Path
) -> None:
    """The others arrive, it is named with Envoy's words, and it is not sent again."""
    async with serving() as (served, server):
        served.offer_service("good.test", 1)
        served.offer(CDS, it=bad_cluster("bad.test"))
        async with Envoy(tmp_path, bootstrap(served.address, api=api)) as envoy:

            async def clusters() -> int:
                stats = await envoy.stats(r"^cluster_manager\.(active|warming)_clusters$")
                return (
                    stats["cluster_manager.active_clusters"]
                    - 1
                    + 100 * stats["cluster_manager.warming_clusters"]
                )

            async def told() -> list[Problem]:
                return list(served.problems)

            await until(clusters, lambda number: number == 1, within=20)
            (problem,), _ = await until(told, bool, within=20)
            assert problem.subject == "bad.test"
            assert "test refused it: " in problem.reason
            assert "eds" in problem.reason.lower()
            refused = served.metric("meshbridge_xds_nacks_total", type="cds")
            assert refused == 1
            for number in range(5):
                served.offer_service(f"more{number}.test", 1)
                await until(clusters, (number + 2).__eq__, within=20)
            assert served.metric("meshbridge_xds_nacks_total", type="cds") == 1
            (subscriber,) = server.subscribers()
            assert subscriber.rejections[0].startswith("bad.test: ")

            served.offer(CDS, it=bad_cluster("bad.test", 1))
            await until(
                lambda: asyncio.sleep(0, served.metric("meshbridge_xds_nacks_total", type="cds")),
                lambda got: got == 2,
                within=20,
            )
            served.offer(CDS, **{"bad.test": None})
            made = service("bad.test", endpoint(1))
            served.offer(EDS, it=encode_endpoints(made, HTTP)[0])
            served.offer(CDS, it=encode_cluster(made, HTTP))
            await until(clusters, lambda number: number == 7, within=20)
            await until(told, [].__eq__, within=20)


class Call(Protocol):
    """One stream of grpc.aio, in bytes."""

    async def write(self, request: bytes) -> None: ...
    async def read(self) -> object: ...
    async def code(self) -> grpc.StatusCode: ...
    async def details(self) -> str: ...
    def cancel(self) -> bool: ...


def stream(channel: grpc.aio.Channel, variant: str = STATE) -> Call:
    return cast("Call", channel.stream_stream(f"{PATH}{variant}")())


async def answer(call: Call) -> DiscoveryResponse:
    read = await call.read()
    assert isinstance(read, bytes)
    return DiscoveryResponse.FromString(read)


async def end(call: Call) -> tuple[grpc.StatusCode, str]:
    """Read until the server ends the stream; return how and why it did."""
    with contextlib.suppress(grpc.aio.AioRpcError):
        async with asyncio.timeout(5):
            while isinstance(await call.read(), bytes):
                pass
    return await call.code(), await call.details()


def request(url: str = CDS, *names: str, nonce: str = "") -> bytes:
    return DiscoveryRequest(
        type_url=url, node=Node(id="n1"), resource_names=names, response_nonce=nonce
    ).SerializeToString()


@pytest.mark.parametrize(
    ("variant", "raw", "words"),
    [
        (STATE, b"\xff\xff", "not a discovery request"),
        (DELTA, b"\xff\xff", "not a discovery request"),
        (STATE, request(""), "needs a type_url"),
        (STATE, request(CDS, "x" * 2000), "more than 1024 letters"),
    ],
)
async def test_a_request_that_is_none_ends_its_own_stream(
    variant: str, raw: bytes, words: str
) -> None:
    """Said with INVALID_ARGUMENT and the reason; the next stream is served."""
    async with serving() as (served, server), grpc.aio.insecure_channel(served.address) as channel:
        served.offer_service("a.test", 1)
        call = stream(channel, variant)
        await call.write(raw)
        code, details = await end(call)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert words in details
        assert served.metric("meshbridge_xds_aborted_streams_total") == 1
        await nobody_subscribes(server)
        good = stream(channel)
        await good.write(request())
        assert len((await answer(good)).resources) == 1
        good.cancel()


async def test_a_stream_of_ever_new_types_ends() -> None:
    """It is told why."""
    async with serving() as (served, _), grpc.aio.insecure_channel(served.address) as channel:
        served.offer_service("a.test", 1)
        call = stream(channel)
        for number in range(65):
            await call.write(request(f"type/{number}"))
        code, details = await end(call)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "more than 64 types" in details


async def test_who_does_not_read_holds_up_nobody_and_fills_no_memory() -> None:
    """It has one response on its way; what it has not read is replaced, not queued."""
    unlimited = [("grpc.max_receive_message_length", -1)]
    async with (
        serving() as (served, _),
        grpc.aio.insecure_channel(served.address) as one,
        grpc.aio.insecure_channel(served.address, unlimited) as other,
    ):
        big = Cluster(name="big", alt_stat_name="x" * 8_000_000)
        served.offer(CDS, it=Resource.of("big", encoded(big)))
        idle, busy = stream(one), stream(other)
        await idle.write(request())
        await busy.write(request())
        first = await answer(busy)
        for number in range(50):
            served.offer_service(f"s{number}.test", 1)
        await busy.write(request(nonce=first.nonce))
        assert len((await answer(busy)).resources) == 51
        sent = served.metric("meshbridge_xds_responses_total", type="cds")
        assert sent <= 3, "two to who reads, at most one to who does not"
        busy.cancel()
        idle.cancel()


async def test_only_those_whose_certificate_is_allowed_are_served(tmp_path: Path) -> None:
    """Without a certificate no connection; with another name a refusal, and nothing is told."""
    authority = Authority()
    files = {name: authority.issue(tmp_path, name) for name in ("server", "friend", "stranger")}
    roots = tmp_path / "ca.pem"
    roots.write_bytes(authority.certificate)
    certificate, key = files["server"]
    tls = Tls(certificate=certificate, key=key, client_ca=roots, allow=("friend",))
    async with serving(tls) as (served, server):
        served.offer_service("a.test", 1)

        async def ask(name: str) -> tuple[grpc.StatusCode | None, int]:
            shown = [file.read_bytes() for file in reversed(files.get(name, ()))]
            credentials = grpc.ssl_channel_credentials(authority.certificate, *shown)
            options = [("grpc.ssl_target_name_override", "server")]
            async with grpc.aio.secure_channel(served.address, credentials, options) as channel:
                call = stream(channel)
                try:
                    async with asyncio.timeout(5):
                        await call.write(request())
                        read = await call.read()
                except grpc.aio.AioRpcError as failure:
                    return failure.code(), 0
                if not isinstance(read, bytes):
                    return await call.code(), 0
                call.cancel()
                return None, len(DiscoveryResponse.FromString(read).resources)

        assert await ask("friend") == (None, 1)
        assert await ask("stranger") == (grpc.StatusCode.PERMISSION_DENIED, 0)
        assert await ask("nobody") == (grpc.StatusCode.UNAVAILABLE, 0)

        # A certificate that was renewed on the disk serves the next handshake.
        renewed = Authority()
        for old, new in zip(files["server"], renewed.issue(tmp_path, "new"), strict=True):
            old.write_bytes(new.read_bytes())
        assert await ask("friend") == (grpc.StatusCode.UNAVAILABLE, 0)
        await nobody_subscribes(server)


async def test_a_stream_is_refused_also_while_a_large_response_is_on_its_way() -> None:
    """The subscriber takes the response and then hears why its stream has ended."""
    large = Resource.of("large", encoded(Cluster(name="large", alt_stat_name="x" * 30_000_000)))
    async with serving() as (served, _):
        served.offer(CDS, it=large)
        async with grpc.aio.insecure_channel(
            served.address, [("grpc.max_receive_message_length", -1)]
        ) as channel:
            call = stream(channel)
            await call.write(request())
            await asyncio.sleep(0.2)  # until the response fills what the transport takes
            await call.write(b"\xff")
            async with asyncio.timeout(10):
                first = await call.read()
                assert await call.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert isinstance(first, bytes)
            assert len(first) > 30_000_000


async def test_a_compressed_request_is_refused_before_it_is_inflated() -> None:
    """Thirty kilobytes could become thirty megabytes of memory; no proxy compresses requests."""
    message = DiscoveryRequest(type_url=CDS, version_info="0" * 1_000_000).SerializeToString()
    async with serving() as (served, _):
        served.offer_service("orders.test", 1)
        async with grpc.aio.insecure_channel(served.address) as channel:
            plain = stream(channel)
            await plain.write(message)
            assert len((await answer(plain)).resources) == 1
            plain.cancel()
        gzip = grpc.Compression.Gzip
        async with grpc.aio.insecure_channel(served.address, compression=gzip) as channel:
            compressed = stream(channel)
            with contextlib.suppress(grpc.aio.AioRpcError):  # it may end while it is written to
                await compressed.write(message)
            async with asyncio.timeout(10):
                code = await compressed.code()
        # grpc's client calls it an internal error where the refusal meets a write of its own.
        assert code in {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL}
        assert served.metric("meshbridge_xds_responses_total", type="cds") == 1


async def test_what_is_left_out_is_told_in_the_registrys_own_words() -> None:
    """The host is the mesh's name; whoever mends the registration knows it by the registry's."""
    bad = endpoint(1, address="not-an-address")
    async with control_plane(XdsOptions(listen=LOOPBACK)) as plane:

        async def told() -> list[tuple[str, str]]:
            return sorted((each.registry, each.subject) for each in plane.problems)

        plane.publish(
            service("a.test", bad, sources=(Source("shop", "DEFAULT_GROUP@@A"),)),
            service("b.test", bad),
        )
        await until(
            told,
            [
                ("shop", "DEFAULT_GROUP@@A not-an-address:1"),
                ("xds", "b.test not-an-address:1"),
            ].__eq__,
            within=20,
        )
        plane.publish(service("a.test", endpoint(1)), without=("b.test",))
        await until(told, [].__eq__, within=20)


async def test_a_tcp_listener_that_leads_nowhere_is_a_problem_and_a_line_in_the_log() -> None:
    wrong = TcpListenerOptions(listen=Address("127.0.0.1", 15002), host="db.test")
    with structlog.testing.capture_logs() as log:
        async with control_plane(XdsOptions(listen=LOOPBACK, tcp=(wrong,))) as plane:
            plane.publish(service("other.test", endpoint(8081)))

            async def told() -> list[Problem]:
                return list(plane.problems)

            (problem,), _ = await until(told, bool, within=20)
            assert (problem.registry, problem.subject) == ("xds", "tcp 127.0.0.1:15002")
            assert problem.reason == "no service has the host db.test"
            assert "outlets.xds.tcp" in problem.remedy
            plane.publish(service("third.test", endpoint(8082)))
            plane.publish(service("db.test", endpoint(8083)))
            await until(told, [].__eq__, within=20)
    said = [(each["event"], each["listener"]) for each in log if "listener" in each]
    assert said == [
        ("listener not opened", "tcp 127.0.0.1:15002"),
        ("listener open", "tcp 127.0.0.1:15002"),
    ]


async def test_a_second_bridge_on_the_same_port_is_refused() -> None:
    """Two would share the port silently, and each would get half of the streams."""
    async with control_plane(XdsOptions(listen=LOOPBACK)) as first:
        second = ControlPlane(Xds(XdsOptions.model_validate({"listen": first.address})))
        with pytest.raises(ConfigurationError, match=f"{first.address}.*port is in use"):
            await second.serve()


async def test_a_missing_certificate_is_said_with_its_path(tmp_path: Path) -> None:
    """The file may go between reading the configuration and serving."""
    certificate, key = Authority().issue(tmp_path, "server")
    tls = Tls(certificate=certificate, key=key)
    plane = ControlPlane(Xds(XdsOptions(listen=LOOPBACK, tls=tls)))
    certificate.unlink()
    with pytest.raises(ConfigurationError, match=f"{certificate}: cannot be read"):
        await plane.serve()
