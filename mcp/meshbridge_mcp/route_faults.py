"""For what istiod would refuse a VirtualService, along its ValidateVirtualService."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus

from meshbridge.protos.gen.istio.networking.v1alpha3.virtual_service_pb2 import (
    Destination,
    HTTPFaultInjection,
    HTTPMatchRequest,
    HTTPMirrorPolicy,
    HTTPRetry,
    HTTPRewrite,
    HTTPRoute,
    L4MatchAttributes,
    Percent,
    StringMatch,
    TCPRoute,
    VirtualService,
)
from meshbridge_mcp import re2
from meshbridge_mcp.faults import (
    NO_DNS_LABEL,
    NO_PORT,
    Fault,
    at,
    destination,
    durations,
    labels,
    percentage,
    unless,
)
from meshbridge_mcp.header_faults import authority, headers, is_matched
from meshbridge_mcp.legal import is_address, is_dns_label, is_domain, is_port_number, is_subnet

_RETRY_ON = frozenset(
    (
        *("5xx", "gateway-error", "reset", "reset-before-request", "connect-failure"),
        *("retriable-4xx", "refused-stream", "retriable-status-codes", "retriable-headers"),
        *("envoy-ratelimited", "http3-post-connect-failure"),
        *("cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"),
        *(str(status.value) for status in HTTPStatus),
    )
)
_GRPC_STATUS = frozenset(
    (
        *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"),
        *("ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"),
        *("ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
        "UNAUTHENTICATED",
    )
)
_LOWEST_STATUS, _HIGHEST_STATUS = 200, 599
"""istiod takes 600 too, which Envoy refuses."""
_HIGHEST_WEIGHT = 2**32 - 1
"""What the weights of a route may add up to in Envoy, which istiod does not ask."""


def virtual_service(spec: VirtualService) -> Iterator[Fault]:
    """Yield for what istiod would refuse it."""
    yield from _hosts(spec.hosts)
    yield from unless(
        spec.http or spec.tcp, "http", "it has no route: one of `http` or `tcp` is needed"
    )
    for number, http in enumerate(spec.http):
        yield from at(f"http[{number}]", _http(http))
    for number, tcp in enumerate(spec.tcp):
        yield from at(f"tcp[{number}]", _tcp(tcp))


def _hosts(hosts: Sequence[str]) -> Iterator[Fault]:
    """Check that hosts are names or addresses, and do not overlap (host.Name.Matches)."""
    seen: set[str] = set()
    wild: list[str] = []
    yield from unless(hosts, "hosts", "a host is needed; a delegate is not sent")
    for number, host in enumerate(hosts):
        where = f"hosts[{number}]"
        yield from unless(
            is_address(host) or (host != "*" and is_domain(host)),
            where,
            f"istiod takes no such host {host!r}: a name, or an address without a port",
        )
        yield from unless(host not in seen, where, f"{host!r} is there twice")
        seen.add(host)
        if host.startswith("*") and host != "*":
            wild.append(host)
    for pattern in wild:
        for host in sorted(seen - {pattern}):
            if host.endswith(pattern[1:]):
                yield Fault("hosts", f"{pattern!r} covers {host!r}")


def _http(route: HTTPRoute) -> Iterator[Fault]:
    """Check one route (validateHTTPRoute, validateHTTPRouteConflict)."""
    yield from unless(route.route, "route", "a destination is needed")
    yield from unless(
        not (route.HasField("mirror") and route.mirrors), "mirror", "there is `mirrors` as well"
    )
    for number, match in enumerate(route.match):
        yield from at(f"match[{number}]", _match(match))
    yield from headers(route.headers)
    yield from authority(route.rewrite, route.headers)
    if route.HasField("fault"):
        yield from at("fault", _fault(route.fault))
    if route.HasField("mirror"):
        yield from at("mirror", destination(route.mirror))
    yield from _mirrored("mirrorPercentage", route.mirror_percentage)
    for number, mirror in enumerate(route.mirrors):
        yield from at(f"mirrors[{number}]", _mirror(mirror))
    if route.HasField("retries"):
        yield from at("retries", _retries(route.retries))
    if route.HasField("rewrite"):
        yield from at("rewrite", _rewrite(route.rewrite))
    for number, target in enumerate(route.route):
        yield from at(f"route[{number}]", headers(target.headers))
    yield from _weighted([(each.destination, each.weight) for each in route.route])
    yield from durations(route, "timeout")


def _match(match: HTTPMatchRequest) -> Iterator[Fault]:
    """Check what a request must be like (validateHTTPRouteMatchRequest)."""
    for field, texts in (("headers", match.headers), ("withoutHeaders", match.without_headers)):
        for name in sorted(texts):
            yield from unless(
                is_matched(name), f"{field}[{name}]", "istiod takes no such name of a header"
            )
    yield from _texts("headers", match.headers)
    # There a lone `*` is no regular expression, but says that the header is there at all.
    others = {name: each for name, each in match.without_headers.items() if each.regex != "*"}
    yield from _texts("withoutHeaders", others)
    yield from _texts("queryParams", match.query_params)
    named = {"scheme": match.scheme, "method": match.method, "authority": match.authority}
    for field, text in named.items():
        yield from at(field, _text(text))
    if match.uri.WhichOneof("match_type") == "regex":
        yield from at("uri", _text(match.uri))
    yield from unless(not match.port or is_port_number(match.port), "port", NO_PORT)
    yield from labels("sourceLabels", match.source_labels)
    yield from unless(
        not match.source_namespace or is_dns_label(match.source_namespace),
        "sourceNamespace",
        NO_DNS_LABEL,
    )


def _texts(field: str, texts: Mapping[str, StringMatch]) -> Iterator[Fault]:
    for name, text in sorted(texts.items(), key=lambda pair: pair[0]):
        yield from at(f"{field}[{name}]", _text(text))


def _text(text: StringMatch) -> Iterator[Fault]:
    """Check what a text must be like (validateStringMatch)."""
    kind = text.WhichOneof("match_type")
    if kind == "prefix":
        yield from unless(text.prefix, kind, "a prefix is not empty")
    elif kind == "regex":
        yield from _regex(kind, text.regex)


def _regex(where: str, pattern: str) -> Iterator[Fault]:
    reason = re2.fault(pattern)
    yield from unless(not reason, where, reason)


def _mirrored(where: str, share: Percent) -> Iterator[Fault]:
    yield from unless(
        0 <= share.value <= 100,  # noqa: PLR2004 - percent
        where,
        "a percentage is between 0 and 100",
    )


def _mirror(mirror: HTTPMirrorPolicy) -> Iterator[Fault]:
    """Check where else requests go (validateHTTPMirrors)."""
    yield from at("destination", destination(mirror.destination))
    yield from _mirrored("percentage", mirror.percentage)


def _fault(fault: HTTPFaultInjection) -> Iterator[Fault]:
    """Check faults that are put in on purpose (validateHTTPFaultInjection)."""
    delay, abort = fault.delay, fault.abort
    yield from unless(
        fault.HasField("delay") or fault.HasField("abort"), "", "a `delay` or an `abort` is needed"
    )
    yield from at("delay", percentage(delay.percentage))
    yield from at("delay", durations(delay, "fixed_delay"))
    yield from at("abort", percentage(abort.percentage))
    kind = abort.WhichOneof("error_type")
    if kind == "http_status":
        yield from unless(
            _LOWEST_STATUS <= abort.http_status <= _HIGHEST_STATUS,
            "abort.httpStatus",
            f"a status is between {_LOWEST_STATUS} and {_HIGHEST_STATUS}",
        )
    elif kind == "grpc_status":
        yield from unless(
            abort.grpc_status in _GRPC_STATUS,
            "abort.grpcStatus",
            f"gRPC has no status {abort.grpc_status!r}; one is 'NOT_FOUND'",
        )


def _retries(retries: HTTPRetry) -> Iterator[Fault]:
    """Check when a request is tried again (validateHTTPRetry)."""
    further = (
        retries.HasField("per_try_timeout")
        or retries.retry_on
        or retries.HasField("retry_remote_localities")
    )
    yield from unless(
        retries.attempts > 0 or (retries.attempts == 0 and not further),
        "attempts",
        "it is 1 or more, or 0 and stands alone",
    )
    yield from durations(retries, "per_try_timeout", "backoff")
    policies = retries.retry_on.split(",") if retries.retry_on else []
    unknown = [repr(policy) for policy in policies if policy not in _RETRY_ON]
    yield from unless(not unknown, "retryOn", f"istiod does not know {', '.join(unknown)}")


def _rewrite(rewrite: HTTPRewrite) -> Iterator[Fault]:
    """Check what a request becomes (validateHTTPRewrite, validateURIRegexRewrite)."""
    regex = rewrite.uri_regex_rewrite
    matched = rewrite.HasField("uri_regex_rewrite")
    yield from unless(not (rewrite.uri and matched), "uri", "there is `uriRegexRewrite` as well")
    yield from unless(
        rewrite.uri or matched or rewrite.authority,
        "",
        "one of `uri`, `uriRegexRewrite` or `authority` is needed",
    )
    if matched:
        yield from _regex("uriRegexRewrite.match", regex.match)
        yield from unless(regex.rewrite, "uriRegexRewrite.rewrite", "it is not empty")


def _weighted(route: Sequence[tuple[Destination, int]]) -> Iterator[Fault]:
    """Check where requests go (validateHTTPRouteDestinations, validateRouteDestinations)."""
    for number, (target, weight) in enumerate(route):
        yield from at(f"route[{number}].destination", destination(target))
        yield from unless(weight >= 0, f"route[{number}].weight", "a weight is 0 or more")
    total = sum(weight for _, weight in route)
    yield from unless(
        len(route) < 2 or 0 < total <= _HIGHEST_WEIGHT,  # noqa: PLR2004 - one needs no weight
        "route",
        f"the weights add up to {total}, and not to 1 to {_HIGHEST_WEIGHT}",
    )


def _tcp(route: TCPRoute) -> Iterator[Fault]:
    """Check one route of connections (validateTCPRoute)."""
    yield from unless(route.route, "route", "a destination is needed")
    for number, match in enumerate(route.match):
        yield from at(f"match[{number}]", _connection(match))
    yield from _weighted([(each.destination, each.weight) for each in route.route])


def _connection(match: L4MatchAttributes) -> Iterator[Fault]:
    """Check what a connection must be like (validateTCPMatch)."""
    for number, subnet in enumerate(match.destination_subnets):
        yield from unless(
            is_subnet(subnet), f"destinationSubnets[{number}]", f"{subnet!r} is no subnet"
        )
    yield from unless(not match.port or is_port_number(match.port), "port", NO_PORT)
    yield from labels("sourceLabels", match.source_labels)
