"""For what istiod would refuse a DestinationRule, along its ValidateDestinationRule."""

from collections.abc import Iterator, Mapping, Sequence
from math import isqrt
from typing import TypeAlias, cast

from google.protobuf.message import Message

from meshbridge.protos.gen.istio.networking.v1alpha3.destination_rule_pb2 import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    DestinationRule,
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    OutlierDetection,
    Subset,
    TrafficPolicy,
    WarmupConfiguration,
)
from meshbridge_mcp.faults import (
    NO_DNS_LABEL,
    NO_PORT,
    Fault,
    at,
    durations,
    labels,
    unless,
    within,
)
from meshbridge_mcp.legal import is_dns_label, is_domain, is_port_number

_Http: TypeAlias = ConnectionPoolSettings.HTTPSettings
_Hash: TypeAlias = LoadBalancerSettings.ConsistentHashLB
_Distribute: TypeAlias = LocalityLoadBalancerSetting.Distribute
_Failover: TypeAlias = LocalityLoadBalancerSetting.Failover
_TOPOLOGY = frozenset(
    {"topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"}
)
_LARGEST_TABLE = 5_000_010
_HIGHEST = 2**31 - 1
_ALL = 100
_EMPTY = "at least one field is needed"


def destination_rule(spec: DestinationRule) -> Iterator[Fault]:
    """Yield for what istiod would refuse it."""
    yield from unless(is_domain(spec.host), "host", f"istiod takes no such host {spec.host!r}")
    if spec.HasField("traffic_policy"):
        yield from at("trafficPolicy", _policy(spec.traffic_policy))
    seen: set[str] = set()
    for number, subset in enumerate(spec.subsets):
        where = f"subsets[{number}]"
        yield from unless(
            subset.name not in seen, f"{where}.name", f"there are two subsets {subset.name!r}"
        )
        seen.add(subset.name)
        yield from at(where, _subset(subset))


def _subset(subset: Subset) -> Iterator[Fault]:
    """Check one subset (validateSubset, validateSubsetName)."""
    yield from unless(is_dns_label(subset.name), "name", NO_DNS_LABEL)
    yield from labels("labels", subset.labels)
    if subset.HasField("traffic_policy"):
        yield from at("trafficPolicy", _policy(subset.traffic_policy))


def _policy(policy: TrafficPolicy) -> Iterator[Fault]:
    """Check what is done with traffic (validateTrafficPolicy, validatePortTrafficPolicies)."""
    yield from unless(policy.ListFields(), "", _EMPTY)
    yield from _settings(policy)
    for number, port in enumerate(policy.port_level_settings):
        where = f"portLevelSettings[{number}]"
        yield from unless(is_port_number(port.port.number), f"{where}.port.number", NO_PORT)
        yield from unless(
            any(field.name != "port" for field, _ in port.ListFields()), where, _EMPTY
        )
        yield from at(where, _settings(port))


def _settings(policy: TrafficPolicy | TrafficPolicy.PortTrafficPolicy) -> Iterator[Fault]:
    if policy.HasField("outlier_detection"):
        yield from at("outlierDetection", _outliers(policy.outlier_detection))
    if policy.HasField("connection_pool"):
        yield from at("connectionPool", _pool(policy.connection_pool))
    if policy.HasField("load_balancer"):
        yield from at("loadBalancer", _balancer(policy.load_balancer))
    if policy.HasField("tls"):
        yield from at("tls", _tls(policy.tls))


def _outliers(outliers: OutlierDetection) -> Iterator[Fault]:
    """Check who is left out for errors (validateOutlierDetection)."""
    yield from durations(outliers, "interval", "base_ejection_time")
    yield from within(outliers, 0, _ALL, "max_ejection_percent", "min_health_percent")
    yield from unless(
        outliers.split_external_local_origin_errors
        or not outliers.consecutive_local_origin_failures.value,
        "consecutiveLocalOriginFailures",
        "`splitExternalLocalOriginErrors: true` is needed with it",
    )


def _pool(pool: ConnectionPoolSettings) -> Iterator[Fault]:
    """Check limits of connections (validateConnectionPool)."""
    yield from unless(pool.ListFields(), "", _EMPTY)
    tcp, http = pool.tcp, pool.http
    yield from at("tcp", within(tcp, 0, _HIGHEST, "max_connections"))
    yield from at("tcp", durations(tcp, "connect_timeout", "max_connection_duration"))
    if tcp.idle_timeout.ToMilliseconds():  # 0 switches it off
        yield from at("tcp", durations(tcp, "idle_timeout"))
    yield from at("tcp.tcpKeepalive", durations(tcp.tcp_keepalive, "time", "interval"))
    limits = (
        *("http1_max_pending_requests", "http2_max_requests", "max_requests_per_connection"),
        *("max_retries", "max_concurrent_streams"),
    )
    yield from at("http", within(http, 0, _HIGHEST, *limits))
    yield from at("http", durations(http, "idle_timeout"))
    yield from unless(
        not (http.use_client_protocol and http.h2_upgrade_policy == _Http.UPGRADE),
        "http.useClientProtocol",
        "it contradicts `h2UpgradePolicy: UPGRADE`",
    )
    if http.HasField("http2_keep_alive"):
        yield from at("http.http2KeepAlive", _all(http.http2_keep_alive, "interval", "timeout"))


def _all(message: Message, *fields: str) -> Iterator[Fault]:
    """Check durations of which none may be missing."""
    for field in fields:
        yield from unless(message.HasField(field), field, "it is needed")
    yield from durations(message, *fields)


def _balancer(balancer: LoadBalancerSettings) -> Iterator[Fault]:
    """Check how endpoints are chosen (validateLoadBalancer)."""
    yield from at("consistentHash", _hash(balancer.consistent_hash))
    yield from at("localityLbSetting", _locality(balancer.locality_lb_setting))
    yield from durations(balancer, "warmup_duration_secs")
    if balancer.HasField("warmup"):
        yield from at("warmup", _warmup(balancer.warmup))


def _hash(consistent: _Hash) -> Iterator[Fault]:
    cookie = consistent.http_cookie
    names = [attribute.name for attribute in cookie.attributes]
    yield from unless(
        cookie.name or not consistent.HasField("http_cookie"), "httpCookie.name", "it is needed"
    )
    yield from unless(
        all(names) and len({*names}) == len(names),
        "httpCookie.attributes",
        "each has a name, which no other has",
    )
    size = consistent.maglev.table_size
    yield from unless(
        not consistent.HasField("maglev") or (size <= _LARGEST_TABLE and _is_prime(size)),
        "maglev.tableSize",
        f"it is a prime number of at most {_LARGEST_TABLE}",
    )


def _is_prime(number: int) -> bool:
    return number > 0 and all(number % each for each in range(2, isqrt(number) + 1))


def _warmup(warmup: WarmupConfiguration) -> Iterator[Fault]:
    yield from _all(warmup, "duration")
    yield from unless(
        0 <= warmup.minimum_percent.value <= _ALL,
        "minimumPercent",
        f"it is between 0 and {_ALL}",
    )
    yield from unless(
        warmup.aggression.value > 0 or not warmup.HasField("aggression"),
        "aggression",
        "it is more than 0",
    )


def _locality(locality: LocalityLoadBalancerSetting) -> Iterator[Fault]:
    """Check which localities get what (agent.ValidateLocalityLbSetting)."""
    yield from unless(
        not (locality.distribute and locality.failover), "distribute", "there is `failover` as well"
    )
    yield from unless(
        not (locality.failover and _TOPOLOGY.intersection(locality.failover_priority)),
        "failoverPriority",
        "it has a label of the topology, and there is `failover` as well",
    )
    for number, share in enumerate(locality.distribute):
        yield from at(f"distribute[{number}].to", _shares(share.to))
    sources = [_from(share) for share in locality.distribute]
    yield from at("distribute", _distinct(sources))
    for number, failover in enumerate(locality.failover):
        regions = (_from(failover), failover.to)
        yield from unless(
            regions[0] != regions[1] and not any(set("/*").intersection(each) for each in regions),
            f"failover[{number}]",
            "it leads from one region to another, without `/` and `*`",
        )


def _from(pair: _Distribute | _Failover) -> str:
    return cast("str", getattr(pair, "from"))  # a word of Python's own


def _shares(shares: Mapping[str, int]) -> Iterator[Fault]:
    yield from unless(
        sum(shares.values()) == _ALL and all(shares.values()),
        "",
        f"shares are 1 or more and add up to {_ALL}",
    )
    # What a map holds has no order, so that no locality may be covered by any other.
    yield from _distinct(sorted(shares))
    yield from _distinct(sorted(shares, reverse=True))


def _distinct(localities: Sequence[str]) -> Iterator[Fault]:
    """Check that none is covered by one before it (validateLocalities).

    One that ends in ``/*`` may follow those that it covers.
    """
    for number, locality in enumerate(localities):
        yield from unless(
            all(locality.split("/")) and locality.find("*") in {-1, len(locality) - 1},
            "",
            f"{locality!r} is no region/zone/sub-zone with at most one `*`, at its end",
        )
        for before in localities[:number]:
            yield from unless(
                not _covers(before, locality)
                and (locality.endswith("*") or not _covers(locality, before)),
                "",
                f"{locality!r} overlaps {before!r}",
            )


def _covers(wide: str, narrow: str) -> bool:
    wanted, given = (f"/{each}".removesuffix("/*") for each in (wide, narrow))
    return f"{given}/".startswith(f"{wanted}/")


def _tls(tls: ClientTLSSettings) -> Iterator[Fault]:
    """Check how endpoints are spoken to (agent.ValidateTLS)."""
    if tls.mode == ClientTLSSettings.MUTUAL:
        yield from unless(tls.client_certificate, "clientCertificate", "MUTUAL needs it")
        yield from unless(tls.private_key, "privateKey", "MUTUAL needs it")
    yield from unless(
        tls.mode not in {ClientTLSSettings.SIMPLE, ClientTLSSettings.MUTUAL}
        or not tls.insecure_skip_verify.value
        or not (tls.ca_certificates or tls.subject_alt_names),
        "insecureSkipVerify",
        "there is `caCertificates` or `subjectAltNames` as well",
    )
