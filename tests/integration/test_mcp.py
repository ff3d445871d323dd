"""The outlet ``mcp`` against a client that speaks as istiod does, over real gRPC."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
import grpc.aio
import pytest
import structlog
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from meshbridge.errors import ConfigurationError
from meshbridge.outlet import OutletContext, Subscribed, Subscriber
from meshbridge.problems import Problems
from meshbridge.service import Endpoint, Labels, Port, Service, Source, versioned
from meshbridge.settings import Address
from meshbridge.snapshot import EMPTY, Snapshot, Snapshots
from meshbridge.testing.clock import Clock
from meshbridge_mcp import Mcp
from meshbridge_mcp.server import Options
from rig.certificates import Authority
from rig.ports import free_port
from rig.scripted_istiod import BEFORE_1_24, MESH_CONFIG, NOW, Event, ScriptedIstiod

pytestmark = pytest.mark.asyncio

HTTP = Port(80, "http", "http-80")
DUBBO = Port(20880, "dubbo", "dubbo-20880")
ENTRIES = "networking.istio.io/v1/ServiceEntry"
FROM_SERVICES = {
    f"networking.istio.io/v1/{kind}" for kind in ("ServiceEntry", "WorkloadEntry", "VirtualService")
}


def a_service(host: str, *addresses: str, labels: Labels = ()) -> Service:
    return versioned(
        Service(
            host=host,
            namespace="shop",
            ports=(HTTP,),
            endpoints=tuple(Endpoint(each, (("http-80", 8080),)) for each in addresses),
            labels=labels,
            sources=(Source("shop", host),),
        )
    )


def a_snapshot(*services: Service) -> Snapshot:
    return EMPTY.with_changes({each.host: each for each in services})


@dataclass
class Outlet:
    """A served outlet with what it is given."""

    mcp: Mcp
    snapshots: Snapshots
    bound: asyncio.Event = field(default_factory=asyncio.Event)
    address: str = ""
    problems: Problems = field(default_factory=Problems)
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    clock: Callable[[], float] = time.monotonic

    def istiod(self, types: tuple[str, ...] = NOW) -> ScriptedIstiod:
        return ScriptedIstiod(self.address, types)

    def context(self) -> OutletContext:
        def listening(_what: str, where: str) -> None:
            self.address = where
            self.bound.set()

        return OutletContext(
            clock=self.clock,
            logger=structlog.get_logger(),
            metrics=self.metrics,
            listening=listening,
            problems=self.problems.put,
        )

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.get_sample_value(name, labels) or 0.0

    def entries(self) -> Subscribed:
        """Return how the one subscriber stands with ServiceEntries."""
        return next(each for each in self.subscriber().types if each.type == ENTRIES)

    def subscriber(self) -> Subscriber:
        (found,) = self.mcp.subscribers()
        return found


@asynccontextmanager
async def serving(
    *services: Service,
    warm: bool = True,
    options: Options | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[Outlet]:
    """Serve these services until the block ends."""
    mcp = Mcp(options or Options(listen=Address("127.0.0.1", 0)))
    outlet = Outlet(mcp, Snapshots(), clock=clock)
    if warm:
        outlet.snapshots.publish(a_snapshot(*services))
    async with asyncio.TaskGroup() as tasks:
        served = tasks.create_task(outlet.mcp.serve(outlet.snapshots, outlet.context()))
        async with asyncio.timeout(5):
            await outlet.bound.wait()
        try:
            yield outlet
        finally:
            served.cancel()


def change(outlet: Outlet, **services: Service | None) -> None:
    """Publish the next snapshot; ``a_nacos=None`` takes the host ``a.nacos`` away."""
    newest = outlet.snapshots.newest
    assert newest is not None
    touched = {host.replace("_", "."): service for host, service in services.items()}
    outlet.snapshots.publish(newest.with_changes(touched))


def acknowledged(istiod: ScriptedIstiod, times: int = 1) -> Callable[[], bool]:
    """Return whether so many ServiceEntry responses were applied and acknowledged."""
    return lambda: sum(url.endswith("/ServiceEntry") for url, _ in istiod.acknowledged) >= times


async def test_istiod_gets_ready_and_knows_the_services() -> None:
    """All fifteen types are answered, MeshConfig too, and nothing is objectionable."""
    async with serving(a_service("a.nacos", "10.1.0.1"), a_service("b.nacos")) as outlet:
        istiod = outlet.istiod()
        async with istiod.connected():
            await istiod.until(lambda: len(istiod.acknowledged) == len(NOW) + 1)
    assert istiod.is_ready
    assert {url for url, _ in istiod.acknowledged} == {MESH_CONFIG, *NOW}
    assert istiod.endpoints("a.nacos") == {"http-80": {"10.1.0.1:8080"}}
    assert istiod.endpoints("b.nacos") == {"http-80": set()}
    assert istiod.warnings == []


async def test_before_the_registries_are_read_only_types_without_services_are_answered() -> None:
    """An empty ServiceEntry answer would delete all that istiod holds."""
    async with serving(warm=False) as outlet:
        istiod = outlet.istiod()
        async with istiod.connected():
            await istiod.until(lambda: istiod.synced == set(NOW) - FROM_SERVICES)
            await asyncio.sleep(0.2)
            assert istiod.synced == set(NOW) - FROM_SERVICES
            outlet.snapshots.publish(a_snapshot(a_service("a.nacos", "10.1.0.1")))
            await istiod.until(lambda: istiod.is_ready)
    assert istiod.hosts() == {"a.nacos"}
    assert all(
        not each.type_url.endswith("/ServiceEntry") or each.resources for each in istiod.responses
    )


async def test_changes_arrive_as_they_are() -> None:
    """A new service is created, a changed one updated, a removed one deleted."""
    async with serving(a_service("a.nacos", "10.1.0.1"), a_service("b.nacos")) as outlet:
        istiod = outlet.istiod()
        async with istiod.connected():
            await istiod.until(acknowledged(istiod))
            names = {name: stored.spec.hosts[0] for name, stored in istiod.store.items()}
            istiod.events.clear()
            change(outlet, a_nacos=a_service("a.nacos", "10.1.0.2"))
            await istiod.until(acknowledged(istiod, 2))
            change(outlet, c_nacos=a_service("c.nacos", "10.1.0.3"))
            await istiod.until(acknowledged(istiod, 3))
            names |= {name: stored.spec.hosts[0] for name, stored in istiod.store.items()}
            change(outlet, b_nacos=None)
            await istiod.until(acknowledged(istiod, 4))
    assert [(each.action, names[each.name]) for each in istiod.events] == [
        ("update", "a.nacos"),
        ("create", "c.nacos"),
        ("delete", "b.nacos"),
    ]
    assert istiod.endpoints("a.nacos") == {"http-80": {"10.1.0.2:8080"}}


async def test_a_host_that_loses_its_last_endpoint_stays() -> None:
    """Callers get 'no healthy upstream' from a known host, and the ports stay."""
    async with serving(a_service("a.nacos", "10.1.0.1")) as outlet:
        istiod = outlet.istiod()
        async with istiod.connected():
            await istiod.until(acknowledged(istiod))
            change(outlet, a_nacos=a_service("a.nacos"))
            await istiod.until(acknowledged(istiod, 2))
    assert istiod.endpoints("a.nacos") == {"http-80": set()}


async def test_endpoints_reach_istiod_with_their_own_ports_only() -> None:
    """Merged as istiod merges, no endpoint appears on a port that it does not have."""
    service = versioned(
        replace(
            a_service("a.nacos"),
            ports=(HTTP, DUBBO),
            endpoints=(
                Endpoint("10.1.0.1", (("dubbo-20880", 20881), ("http-80", 8080))),
                Endpoint("10.1.0.2", (("dubbo-20880", 20882),)),
            ),
        )
    )
    async with serving(service) as outlet:
        istiod = outlet.istiod()
        async with istiod.connected():
            await istiod.until(acknowledged(istiod))
    assert istiod.endpoints("a.nacos") == {
        "http-80": {"10.1.0.1:8080"},
        "dubbo-20880": {"10.1.0.1:20881", "10.1.0.2:20882"},
    }


async def test_a_restarted_bridge_with_the_same_services_changes_nothing_in_istiod() -> None:
    """Moving from one replica to another costs no store update and so no push."""
    services = [a_service("a.nacos", "10.1.0.1"), a_service("b.nacos", "10.1.0.1", "10.1.0.2")]
    async with serving(*services) as outlet:
        istiod = outlet.istiod()
        async with istiod.connected():
            await istiod.until(acknowledged(istiod))
    held, events = dict(istiod.store), len(istiod.events)
    async with serving(*reversed(services)) as outlet:
        istiod.target = outlet.address
        async with istiod.connected():
            await istiod.until(acknowledged(istiod, 2))
    assert istiod.store == held
    assert istiod.events[events:] == []


async def test_a_restarted_bridge_that_does_not_know_its_services_yet_deletes_nothing() -> None:
    """Stale over empty: istiod keeps what it has until the registries were read."""
    async with serving(a_service("a.nacos", "10.1.0.1")) as outlet:
        istiod = outlet.istiod()
        async with istiod.connected():
            await istiod.until(acknowledged(istiod))
    async with serving(warm=False) as outlet:
        istiod.target, answers = outlet.address, len(istiod.responses)
        async with istiod.connected():
            at_once = len(NOW) + 1 - len(FROM_SERVICES)
            await istiod.until(lambda: len(istiod.responses) == answers + at_once)
            await asyncio.sleep(0.2)
    assert istiod.hosts() == {"a.nacos"}
    assert [each.action for each in istiod.events] == ["create"]


async def test_what_went_away_while_the_stream_was_broken_is_deleted_afterwards() -> None:
    """The first answer on a stream is the whole truth."""
    async with serving(a_service("a.nacos"), a_service("b.nacos")) as outlet:
        istiod = outlet.istiod()
        async with istiod.connected():
            await istiod.until(acknowledged(istiod))
        change(outlet, b_nacos=None)
        async with istiod.connected():
            await istiod.until(acknowledged(istiod, 2))
    assert istiod.hosts() == {"a.nacos"}


async def test_an_older_istiod_is_answered_in_its_own_words() -> None:
    """Istio 1.23 asks for v1alpha3 and would not recognise an answer that says v1."""
    async with serving(a_service("a.nacos", "10.1.0.1")) as outlet:
        istiod = outlet.istiod(BEFORE_1_24)
        async with istiod.connected():
            await istiod.until(lambda: istiod.is_ready)
            change(outlet, a_nacos=a_service("a.nacos", "10.1.0.2"))
            await istiod.until(acknowledged(istiod, 2))
    assert istiod.endpoints("a.nacos") == {"http-80": {"10.1.0.2:8080"}}
    assert istiod.warnings == []


async def test_a_type_of_a_later_release_is_answered_and_so_is_a_later_version() -> None:
    """An istiod that asks for more must get ready too, and a v2 ServiceEntry must not be wiped."""
    later = ("networking.istio.io/v2/ServiceEntry", "ambient.istio.io/v1alpha1/WaypointPolicy")
    async with serving(a_service("a.nacos", "10.1.0.1")) as outlet:
        istiod = outlet.istiod(later)
        async with istiod.connected():
            await istiod.until(lambda: istiod.is_ready)
    assert istiod.hosts() == {"a.nacos"}


async def test_an_envoy_sent_to_the_wrong_port_is_not_told_that_it_has_nothing() -> None:
    """An empty answer would take away the clusters and listeners that it runs on."""
    clusters = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    async with serving(a_service("a.nacos")) as outlet:
        envoy = outlet.istiod((clusters, *NOW))
        async with envoy.connected():
            await envoy.until(lambda: envoy.synced == set(NOW))
            await asyncio.sleep(0.2)
            assert envoy.synced == set(NOW)


async def test_nothing_is_sent_of_a_type_that_was_not_asked_for() -> None:
    """A subscriber to one type gets one type, however the services change."""
    asked = ("networking.istio.io/v1/VirtualService",)
    async with serving(a_service("a.nacos")) as outlet:
        istiod = outlet.istiod(asked)
        async with istiod.connected():
            await istiod.until(lambda: len(istiod.acknowledged) == 2)
            change(outlet, a_nacos=a_service("a.nacos", "10.1.0.1"))
            await asyncio.sleep(0.2)
    assert {each.type_url for each in istiod.responses} == {MESH_CONFIG, *asked}
    assert len(istiod.responses) == 2


async def test_an_istiod_that_is_busy_gets_the_newest_state_and_no_queue() -> None:
    """While a response is unanswered none is made; what came in between is skipped."""
    async with serving(a_service("a.nacos", "10.1.0.1")) as outlet:
        istiod = outlet.istiod()
        async with istiod.connected():
            await istiod.until(acknowledged(istiod))
            await istiod.until(lambda: outlet.entries().accepted == outlet.entries().sent)
            async with istiod.busy():
                change(outlet, a_nacos=a_service("a.nacos", "10.1.0.2"))
                await istiod.until(lambda: outlet.entries().responses == 2)
                for number in range(3, 52):
                    change(outlet, a_nacos=a_service("a.nacos", f"10.1.0.{number}"))
                    await asyncio.sleep(0.002)
            await istiod.until(
                lambda: istiod.endpoints("a.nacos") == {"http-80": {"10.1.0.51:8080"}}
            )
    assert istiod.events == [
        Event(action, istiod.events[0].name) for action in ("create", "update", "update")
    ]


async def test_two_istiods_get_the_same_bytes_which_were_encoded_once() -> None:
    """Work is per resource and change, not per subscriber."""
    services = [a_service(f"s{number}.nacos", "10.1.0.1") for number in range(20)]
    async with serving(*services) as outlet:
        one, other = outlet.istiod(), outlet.istiod()
        async with one.connected(), other.connected():
            await one.until(acknowledged(one))
            await other.until(acknowledged(other))
        assert outlet.metric("meshbridge_mcp_encoded_resources_total") == 20
        assert outlet.metric("meshbridge_mcp_resources") == 20
    assert one.store == other.store
    assert len(one.store) == 20


async def test_a_response_beyond_the_default_limit_of_grpc_arrives() -> None:
    """Istiod takes messages of any size, and the state of the world is one message."""
    labels = (("a", "x" * 63), ("b", "y" * 63))
    endpoints = tuple(
        Endpoint(f"10.0.{number >> 8}.{number & 255}", (("http-80", 80),), labels=labels)
        for number in range(30_000)
    )
    async with serving(versioned(replace(a_service("a.nacos"), endpoints=endpoints))) as outlet:
        istiod = outlet.istiod()
        async with istiod.connected():
            await istiod.until(acknowledged(istiod), within=20)
    assert len(istiod.endpoints("a.nacos")["http-80"]) == 30_000
    assert max(each.ByteSize() for each in istiod.responses) > 4 * 1024 * 1024


async def test_who_is_connected_and_what_it_has_can_be_seen() -> None:
    """Node, types, and the version sent and acknowledged last."""
    async with serving(a_service("a.nacos")) as outlet:
        istiod = outlet.istiod()
        assert outlet.mcp.subscribers() == ()
        async with istiod.connected():
            await istiod.until(lambda: len(istiod.acknowledged) == len(NOW) + 1)
            await istiod.until(
                lambda: all(each.sent == each.accepted for each in outlet.subscriber().types)
            )
            seen = outlet.subscriber()
            assert outlet.metric("meshbridge_mcp_streams") == 1
    assert (seen.outlet, seen.node) == (
        "mcp",
        "sidecar~10.9.9.9~istiod-1.istio-system~istio-system.svc.cluster.local",
    )
    assert {each.type for each in seen.types} == {MESH_CONFIG, *NOW}
    assert outlet.mcp.subscribers() == ()


async def test_a_busy_istiod_shows_a_lag_that_grows_and_then_what_its_answer_took() -> None:
    """What is not answered gets older; time stands still but where the test lets it pass."""
    clock = Clock()
    async with serving(a_service("a.nacos"), clock=clock) as outlet:
        istiod, entries = outlet.istiod(), outlet.entries

        def lag() -> float:
            return outlet.metric("meshbridge_mcp_unanswered_seconds", type="ServiceEntry")

        async with istiod.connected():
            await istiod.until(acknowledged(istiod))
            await istiod.until(lambda: entries().ack_seconds == 0.0)
            assert (entries().responses, entries().unanswered_seconds, lag()) == (1, None, 0.0)
            async with istiod.busy():
                change(outlet, b_nacos=a_service("b.nacos"))
                await istiod.until(lambda: entries().responses == 2)
                clock.advance(3.0)
                assert (entries().unanswered_seconds, lag()) == (3.0, 3.0)
                clock.advance(4.0)
                assert (entries().unanswered_seconds, lag()) == (7.0, 7.0)
                assert entries().sent != entries().accepted
            await istiod.until(lambda: entries().ack_seconds == 7.0)
            assert (entries().unanswered_seconds, lag()) == (None, 0.0)
            assert entries().sent == entries().accepted

        def bucket(bound: str) -> float:
            return outlet.metric("meshbridge_mcp_ack_seconds_bucket", le=bound, type="ServiceEntry")

        assert [bucket(bound) for bound in ("0.001", "5.0", "10.0", "+Inf")] == [1, 1, 2, 2]
        assert outlet.metric("meshbridge_mcp_ack_seconds_sum", type="ServiceEntry") == 7.0


async def test_an_istiod_that_leaves_without_an_answer_owes_none() -> None:
    """A lag that nobody can end any more would look like an outage for ever."""
    async with serving(a_service("a.nacos")) as outlet:
        istiod = outlet.istiod()

        def unanswered() -> float:
            return outlet.metric("meshbridge_mcp_unanswered_responses", type="ServiceEntry")

        async with istiod.busy():
            async with istiod.connected():
                await istiod.until(lambda: unanswered() == 1)
            await istiod.until(lambda: outlet.mcp.subscribers() == ())
        assert unanswered() == 0


async def test_an_istiod_whose_store_cannot_be_read_is_served_all_the_same() -> None:
    """What it has taken over is not known, and that is said."""
    nobody = f"http://127.0.0.1:{free_port()}"
    options = Options(listen=Address("127.0.0.1", 0), debug=(nobody,))
    async with serving(a_service("a.nacos"), options=options) as outlet:
        istiod = outlet.istiod()
        async with istiod.connected():
            await istiod.until(lambda: istiod.hosts() == {"a.nacos"})
            await istiod.until(lambda: len(outlet.problems) == 1)
            (problem,) = outlet.problems
    assert problem.subject == f"istiod {nobody}"
    assert "it cannot be reached: Connection refused" in problem.reason


async def test_what_istiod_would_refuse_is_a_problem_and_the_rest_arrives() -> None:
    """The bad detail is left out and said by the registration's own name."""
    bad = a_service("b.nacos", "10.1.0.1", labels=(("a key", "x"),))
    async with serving(a_service("a.nacos"), bad) as outlet:
        istiod = outlet.istiod()
        async with istiod.connected():
            await istiod.until(acknowledged(istiod))
        assert [each.subject for each in outlet.problems] == ["b.nacos label 'a key'"]
        change(outlet, b_nacos=a_service("b.nacos", "10.1.0.1"))
        async with istiod.connected():
            await istiod.until(acknowledged(istiod, 2))
        assert list(outlet.problems) == []
    assert istiod.hosts() == {"a.nacos", "b.nacos"}
    assert istiod.warnings == []


def http2(kind: int, payload: bytes = b"", flags: int = 0) -> bytes:
    """Return an HTTP/2 frame of the connection itself (RFC 9113, section 4.1)."""
    return len(payload).to_bytes(3) + bytes((kind, flags)) + bytes(4) + payload


async def test_a_quiet_istiod_that_pings_is_not_cut_off() -> None:
    """Istiod pings each 30 s without data; grpc's default ends the connection at the third."""
    settings, ping, goaway = 4, 6, 7
    async with serving(a_service("a.nacos")) as outlet:
        host, _, port = outlet.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + http2(settings))
        answered = 0
        async with asyncio.timeout(10):
            writer.write(http2(ping, b"00000000"))
            while answered < 20:
                head = await reader.readexactly(9)
                await reader.readexactly(int.from_bytes(head[:3]))
                assert head[3] != goaway
                if head[3] == settings and not head[4]:
                    writer.write(http2(settings, flags=1))
                if head[3] == ping and head[4]:
                    answered += 1
                    writer.write(http2(ping, b"00000000"))
        writer.close()
        await writer.wait_closed()


async def test_a_second_bridge_on_the_same_port_is_refused() -> None:
    """Two would share the port silently and each would get half of the istiods."""
    async with serving(a_service("a.nacos")) as outlet:
        port = int(outlet.address.rpartition(":")[2])
        second = Outlet(Mcp(Options(listen=Address("127.0.0.1", port))), Snapshots())
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}.*port is in use"):
            await second.mcp.serve(second.snapshots, second.context())


async def test_a_listener_beyond_loopback_needs_tls_or_the_word_none() -> None:
    """Nothing leaves the machine in the clear by an oversight."""
    with pytest.raises(ValidationError, match="without TLS"):
        Options.model_validate({"listen": "0.0.0.0:15051"})
    open_on_purpose = Options.model_validate({"listen": "0.0.0.0:15051", "tls": "none"})
    assert not open_on_purpose.listen.is_loopback
    assert Options().listen == Address("127.0.0.1", 15051)


async def test_istiod_reads_over_tls_what_only_it_asked_to_trust(tmp_path: Path) -> None:
    """With tlsSettings SIMPLE and the authority inline, as istiod is configured."""
    authority = Authority()
    certificate, key = authority.issue(tmp_path, "mcp.example")
    options = Options.model_validate(
        {"listen": "127.0.0.1:0", "tls": {"certificate": certificate, "key": key}}
    )
    async with serving(a_service("a.nacos", "10.1.0.1"), options=options) as outlet:
        istiod = outlet.istiod()
        istiod.credentials = grpc.ssl_channel_credentials(authority.certificate)
        istiod.server_name = "mcp.example"
        async with istiod.connected():
            await istiod.until(lambda: istiod.is_ready)
        istiod.credentials = grpc.ssl_channel_credentials(Authority().certificate)
        with pytest.raises(ExceptionGroup) as refused:
            async with istiod.connected():
                await asyncio.sleep(5)
    assert refused.group_contains(grpc.aio.AioRpcError, match="SSL_ERROR_SSL")
    assert istiod.hosts() == {"a.nacos"}


async def test_a_missing_certificate_is_said_with_its_path(tmp_path: Path) -> None:
    """The file may go between reading the configuration and serving."""
    certificate, key = Authority().issue(tmp_path, "cert")
    options = Options.model_validate(
        {"listen": "127.0.0.1:0", "tls": {"certificate": certificate, "key": key}}
    )
    certificate.unlink()
    outlet = Outlet(Mcp(options), Snapshots())
    with pytest.raises(ConfigurationError, match=r"cert\.pem"):
        await outlet.mcp.serve(outlet.snapshots, outlet.context())
