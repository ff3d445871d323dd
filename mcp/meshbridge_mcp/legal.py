"""What istiod and Kubernetes take as a host, a label, an address, a port: their stricter rule.

The rules are those of istio's own validation (pkg/config/validation/validation.go,
ValidateServiceEntry and validateWorkloadEntry), narrowed where ``kubectl apply`` takes less, so
that a dump can be applied as well.
"""

import functools
import ipaddress
import re

PROTOCOLS = {"http": "HTTP", "https": "HTTPS", "grpc": "GRPC", "dubbo": "TCP", "tcp": "TCP"}
"""Our protocols in istiod's words.

HTTPS is passed through by its server name, which is right where the endpoint itself speaks TLS.
DUBBO would be refused, and the whole ServiceEntry with it.
"""

SEVERAL_HOSTS = frozenset({"http", "https", "grpc"})
"""Where istiod can tell the hosts of one ServiceEntry apart; any other port forbids a second."""

LOWEST_WEIGHT, HIGHEST_WEIGHT = 1, 10_000_000
"""istiod reads 0 as 1; Envoy refuses a locality whose weights add up to more than 32 bits."""

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_LONGEST_LABEL = 63
_ANY_CASE_LABEL = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_FIRST_LABEL = re.compile(rf"\*|(?:\*-?)?{_ANY_CASE_LABEL.pattern}")
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_VALUE = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
LONGEST_NAME = 253
_LONGEST_HOST = 255
HIGHEST_PORT = 65_535
REVISION = "istio.io/rev"


def is_host(name: str) -> bool:
    """Whether istiod takes the name as a ServiceEntry's host; wildcards are never ours to send."""
    labels = name.split(".")
    return (
        len(name) <= _LONGEST_HOST
        and all(_ANY_CASE_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdigit()
    )


def is_dns_label(name: str) -> bool:
    """Whether the name is a DNS label in any case (labels.IsDNS1123Label)."""
    return _ANY_CASE_LABEL.fullmatch(name) is not None


def is_fqdn(name: str) -> bool:
    """Whether istiod takes the name where it asks for a host's own (agent.ValidateFQDN)."""
    return 0 < len(name) <= _LONGEST_HOST and _are_labels(name)


def is_domain(name: str) -> bool:
    """Whether istiod takes the name as the host of a rule (agent.ValidateWildcardDomain).

    Other than for a host of ours, the first label may be ``*`` or begin with it, and a dot may end
    the name.
    """
    first, dot, rest = name.partition(".")
    return (
        len(name) <= _LONGEST_HOST
        and len(first) <= _LONGEST_LABEL
        and _FIRST_LABEL.fullmatch(first) is not None
        and (not dot or _are_labels(rest))
    )


def _are_labels(name: str) -> bool:
    """Whether DNS labels make up the name, the last one no number (agent.ValidateDNS1123Labels)."""
    *labels, last = name.split(".")
    return all(map(is_dns_label, labels)) and (
        not last or (is_dns_label(last) and not last.isdigit())
    )


def is_name(name: str) -> bool:
    """Whether Kubernetes takes the name as a resource's: labels of any length, in lower case."""
    return len(name) <= LONGEST_NAME and _NAME.fullmatch(name) is not None


def is_subnet(text: str) -> bool:
    """Whether the text is an address or a CIDR (agent.ValidateIPSubnet), without a zone."""
    address, slash, bits = text.partition("/")
    if not is_address(address) or not slash:
        return is_address(text)
    lengths = range(ipaddress.ip_address(address).max_prefixlen + 1)
    return bits in map(str, lengths)


def is_namespace(name: str) -> bool:
    """Whether the name is a DNS label, which Kubernetes asks of a namespace."""
    return _LABEL.fullmatch(name) is not None


@functools.lru_cache(maxsize=4096)
def is_label_key(key: str) -> bool:
    """Whether the key is ``[prefix/]name`` as Kubernetes and istiod ask; their stricter rule."""
    prefix, slash, name = key.rpartition("/")
    if slash and not (
        len(prefix) <= LONGEST_NAME and all(map(_LABEL.fullmatch, prefix.split(".")))
    ):
        return False
    return _VALUE.fullmatch(name) is not None


@functools.lru_cache(maxsize=65_536)
def is_label_value(value: str) -> bool:
    """Whether the value is empty or what Kubernetes and istiod ask; their stricter rule."""
    return not value or _VALUE.fullmatch(value) is not None


@functools.lru_cache(maxsize=65_536)
def is_address(text: str) -> bool:
    """Whether the text is an IP address without a zone: STATIC resolution takes nothing else."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def is_port_name(name: str) -> bool:
    """Whether the name is a DNS label in lower case."""
    return _LABEL.fullmatch(name) is not None


def is_port_number(number: int) -> bool:
    """Whether the number can be a port's."""
    return 1 <= number <= HIGHEST_PORT
