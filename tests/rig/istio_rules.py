"""What istiod takes, exactly, and what Kubernetes, Envoy and callers ask beyond that.

Written without a look at how meshbridge repairs: the scripted istiod and the property tests judge
by it. What it says of istiod is held against the real one (tests/peers/bed/test_istiod_rules.py).
"""

import ipaddress
import re

from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import ServiceEntry
from meshbridge.protos.gen.istio.networking.v1alpha3.workload_entry_pb2 import WorkloadEntry

_ISTIO_LABEL = re.compile(r"\A[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?\Z")
_WILDCARD_LABEL = re.compile(r"\A(\*|(\*-?)?[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)\Z")
_GO_INTEGER = re.compile(r"\A[-+]?[0-9]+\Z")
_QUALIFIED = re.compile(r"\A([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z")
SUBDOMAIN = re.compile(r"\A[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")

_HTTP = {"http", "http2", "http_proxy", "grpc", "grpc-web"}
_TLS = {"https", "tls"}
PROTOCOLS = _HTTP | _TLS | {"tcp", "udp", "mongo", "redis", "mysql"}
"""What istiod knows, in any case; none at all lets it guess."""
_UNIX = "unix://"
_TELLS_HOSTS_APART = {"HTTP", "HTTPS", "GRPC"}
"""Of the protocols that we send."""


def refused_by_istiod(entry: ServiceEntry) -> list[str]:
    """Return the rules of istio's validation that a ServiceEntry breaks.

    Those of the resolutions STATIC and DNS, and none of fields that we never send.
    """
    names = [port.name for port in entry.ports]
    numbers = [port.number for port in entry.ports]
    protocols = {port.protocol.lower() for port in entry.ports}
    rules = {
        "at least one host": bool(entry.hosts),
        "legal hosts": all(map(_istiod_takes_host, entry.hosts)),
        "addresses or networks": all(map(_istiod_takes_network, entry.addresses)),
        "port names that are labels": all(map(_is_istio_label, names)),
        "distinct ports": len({*names}) == len(names) and len({*numbers}) == len(numbers),
        "port numbers": all(map(_is_port, numbers)),
        "known protocols": protocols <= PROTOCOLS | {""},
        "one host unless all ports tell hosts apart": len(entry.hosts) <= 1
        or protocols <= _HTTP | _TLS,
        "legal endpoints": all(
            _istiod_reaches(each, entry) and _istiod_takes_endpoint(each, {*names})
            for each in entry.endpoints
        ),
        "hosts that can be resolved where no endpoint can": entry.resolution != entry.DNS
        or bool(entry.endpoints)
        or all(map(_is_fqdn, entry.hosts)),
        "endpoints or a selector": not (entry.endpoints and entry.HasField("workload_selector")),
    }
    return [rule for rule, kept in rules.items() if not kept]


def broken_rules(entry: ServiceEntry) -> list[str]:
    """Return the rules that a ServiceEntry breaks: istiod's, and all others that we must keep."""
    names = [port.name for port in entry.ports]
    stricter = {
        "hosts that callers can ask for": all(map(takes_host, entry.hosts)),
        "one host unless all ports tell hosts apart": len(entry.hosts) == 1
        or all(port.protocol in _TELLS_HOSTS_APART for port in entry.ports),
        "one IP address at most": len(entry.addresses) <= 1 and all(map(is_ip, entry.addresses)),
        "endpoints with addresses that callers can resolve": all(
            is_ip(each.address) or (entry.resolution == entry.DNS and takes_host(each.address))
            for each in entry.endpoints
        ),
        "endpoints with exactly the ports declared": all(
            set(each.ports) == set(names) for each in entry.endpoints
        ),
        "labels that Kubernetes takes": all(
            takes_label(*pair) for each in entry.endpoints for pair in each.labels.items()
        ),
        "weights that Envoy can add up": all(1 <= each.weight <= 2**24 for each in entry.endpoints),
        "localities of three parts": all(each.locality.count("/") <= 2 for each in entry.endpoints),
    }
    return refused_by_istiod(entry) + [rule for rule, kept in stricter.items() if not kept]


def is_ip(text: str) -> bool:
    """Whether Go's netip takes it as an address without a zone."""
    try:
        return ipaddress.ip_address(text).version in {4, 6} and "%" not in text
    except ValueError:
        return False


def takes_host(host: str) -> bool:
    """Whether it is a host that istiod takes and that a caller can ask for.

    That leaves out wildcards, a dot at the end, and what ends in a number: it reads as an address.
    """
    labels = host.split(".")
    return 0 < len(host) <= 255 and all(map(_is_istio_label, labels)) and not labels[-1].isdigit()


def is_namespace(name: str) -> bool:
    """Whether Kubernetes takes it as the name of a namespace: a DNS label."""
    return len(name) <= 63 and "." not in name and bool(SUBDOMAIN.match(name))


def takes_label(key: str, value: str) -> bool:
    """Whether both istiod and Kubernetes take the label."""
    prefix, _, name = key.rpartition("/")
    return bool(
        (not prefix or (len(prefix) <= 253 and SUBDOMAIN.match(prefix)))
        and not key.startswith("/")
        and len(name) <= 63
        and _QUALIFIED.match(name)
        and (not value or (len(value) <= 63 and _QUALIFIED.match(value)))
    )


def _istiod_takes_host(host: str) -> bool:
    """Whether it is a domain whose first label may be a wildcard, but not all of it."""
    if host == "*" or not 0 < len(host.encode(errors="replace")) <= 255:
        return False
    first, dot, rest = host.partition(".")
    if len(first) > 63 or not _WILDCARD_LABEL.match(first):
        return False
    return not dot or _istiod_takes_domain(rest)


def _istiod_takes_domain(domain: str) -> bool:
    labels = domain.split(".")
    # Go reads no number beyond 64 bits, so that such a last label is none to istiod.
    if _GO_INTEGER.match(labels[-1]) and -(2**63) <= int(labels[-1]) < 2**63:
        return False
    if labels[-1] == "":  # a dot at the end
        labels.pop()
    return all(map(_is_istio_label, labels))


def _istiod_takes_network(text: str) -> bool:
    """Whether it is an address, or a network in the form that Go reads."""
    if text.count("/") != 1:
        return _is_zoned_ip(text)
    address, _, bits = text.partition("/")
    decimal = bits.isascii() and bits.isdigit() and (bits == "0" or bits[0] != "0")
    if not decimal or not is_ip(address):
        return False
    return int(bits) <= ipaddress.ip_address(address).max_prefixlen


def _is_zoned_ip(text: str) -> bool:
    address, percent, zone = text.partition("%")
    if percent:
        return bool(zone) and ":" in address and is_ip(address)
    return is_ip(address)


def _istiod_reaches(endpoint: WorkloadEntry, entry: ServiceEntry) -> bool:
    """Whether the address suits the resolution."""
    address = endpoint.address
    if entry.resolution == entry.DNS:
        return _is_zoned_ip(address) or _is_fqdn(address)
    if not address.startswith(_UNIX):
        return _is_zoned_ip(address)
    path = address.removeprefix(_UNIX)
    is_file = path.startswith("/") and not path.endswith("/")
    legal = path.startswith("@") or is_file
    return legal and not endpoint.ports and len({port.name for port in entry.ports}) == 1


def _is_fqdn(name: str) -> bool:
    return 0 < len(name) <= 255 and _istiod_takes_domain(name)


def _istiod_takes_endpoint(endpoint: WorkloadEntry, ports: set[str]) -> bool:
    return (
        all(name in ports and _is_istio_label(name) for name in endpoint.ports)
        and all(map(_is_port, endpoint.ports.values()))
        and all(_istiod_takes_label(*pair) for pair in endpoint.labels.items())
    )


def _istiod_takes_label(key: str, value: str) -> bool:
    """Whether istiod takes the label of an endpoint; of the value it knows no longest."""
    prefix, slash, name = key.rpartition("/")
    if slash and not (len(prefix) <= 253 and all(map(_ISTIO_LABEL.match, prefix.split(".")))):
        return False
    return bool(
        len(name) <= 63 and _QUALIFIED.match(name) and (not value or _QUALIFIED.match(value))
    )


def _is_istio_label(text: str) -> bool:
    return len(text) <= 63 and bool(_ISTIO_LABEL.match(text))


def _is_port(number: int) -> bool:
    return 1 <= number <= 65535
