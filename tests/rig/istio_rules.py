"""What istiod and Kubernetes take, as istio's validation.go and Kubernetes' names state it.

Written without a look at how meshbridge repairs: the scripted istiod and the property tests judge
by it.
"""

import ipaddress
import re

from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import ServiceEntry

_ISTIO_LABEL = re.compile(r"\A[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?\Z")
_QUALIFIED = re.compile(r"\A([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z")
SUBDOMAIN = re.compile(r"\A[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_PROTOCOLS = {"HTTP", "HTTPS", "GRPC", "HTTP2", "TCP", "TLS", "MONGO"}


def is_ip(text: str) -> bool:
    """Whether Go's netip takes it as an address without a zone."""
    try:
        return ipaddress.ip_address(text).version in {4, 6} and "%" not in text
    except ValueError:
        return False


def takes_host(host: str) -> bool:
    """Whether istiod takes it as a host; wildcards left aside."""
    labels = host.split(".")
    return (
        0 < len(host) <= 255
        and all(len(label) <= 63 and _ISTIO_LABEL.match(label) for label in labels)
        and not re.match(r"\A[0-9]+\Z", labels[-1])
    )


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


def broken_rules(entry: ServiceEntry) -> list[str]:
    """Return the rules of istio's validation that a ServiceEntry breaks."""
    names = [port.name for port in entry.ports]
    numbers = [port.number for port in entry.ports]
    rules = {
        "at least one host": bool(entry.hosts),
        "legal hosts": all(map(takes_host, entry.hosts)),
        "one host unless all ports tell hosts apart": len(entry.hosts) == 1
        or all(port.protocol in {"HTTP", "HTTPS", "GRPC"} for port in entry.ports),
        "legal port names": all(len(n) <= 63 and _ISTIO_LABEL.match(n) for n in names),
        "distinct ports": len({*names}) == len(names) and len({*numbers}) == len(numbers),
        "legal port numbers": all(1 <= number <= 65535 for number in numbers),
        "known protocols": all(port.protocol in _PROTOCOLS for port in entry.ports),
        "IP addresses": all(map(is_ip, entry.addresses)),
        "endpoints with IP addresses": all(is_ip(each.address) for each in entry.endpoints),
        "endpoints with exactly the ports declared": all(
            set(each.ports) == set(names) for each in entry.endpoints
        ),
        "endpoints with legal ports": all(
            1 <= number <= 65535 for each in entry.endpoints for number in each.ports.values()
        ),
        "legal endpoint labels": all(
            takes_label(*pair) for each in entry.endpoints for pair in each.labels.items()
        ),
        "weights that Envoy can add up": all(1 <= each.weight <= 2**24 for each in entry.endpoints),
        "localities of three parts": all(each.locality.count("/") <= 2 for each in entry.endpoints),
    }
    return [rule for rule, kept in rules.items() if not kept]
