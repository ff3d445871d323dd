"""What istiod refuses in what a route does with headers: their names, and values for Envoy."""

import re
from collections.abc import Iterable, Iterator, Mapping

from meshbridge.protos.gen.istio.networking.v1alpha3.virtual_service_pb2 import (
    Headers,
    HTTPRewrite,
)
from meshbridge_mcp.faults import Fault, at, unless

_NAME = re.compile(r"[-!#$%&'*+.^_`|~A-Za-z0-9]+")
"""Without the comma, which istiod's pattern takes by accident."""
_PSEUDO = frozenset({":method", ":scheme", ":authority", ":path", ":status"})

_CHARACTERS = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_STRING = r'(?:[^\\)"]|\\.)*'
_VARIABLE = (
    r"%(?!%)[^%(]*(?:%|"
    rf'\( *(?:[^ \[]|\[ *"){_STRING}(?:" *, *"{_STRING})*(?:\)|" *\] *\)) *%)'
)
_VALUE = re.compile(rf"(?:[^%]|%%|{_VARIABLE})*", re.DOTALL)


def is_matched(name: str) -> bool:
    """Whether a header of that name can be matched (ValidateHTTPHeaderNameOrJwtClaimRoute).

    Claims of a token are for gateways, which no document of ours is for.
    """
    return name in _PSEUDO or _NAME.fullmatch(name) is not None


def headers(operations: Headers) -> Iterator[Fault]:
    """Check what is done with headers (validateHTTPRoute)."""
    request, response = operations.request, operations.response
    for field, pairs in (("set", request.set), ("add", request.add)):
        yield from at("headers.request", _values(field, pairs))
        for name in sorted(pairs):
            yield from unless(
                name and (_is_authority(name) or not name.startswith(":")),
                f"headers.request.{field}[{name}]",
                "a header's name is not empty, and of those with a `:` only :authority is set",
            )
    yield from at("headers.request", _names("remove", request.remove))
    for field, pairs in (("set", response.set), ("add", response.add)):
        yield from at("headers.response", _values(field, pairs))
        yield from at("headers.response", _names(field, sorted(pairs)))
    yield from at("headers.response", _names("remove", response.remove))


def authority(rewrite: HTTPRewrite, operations: Headers) -> Iterator[Fault]:
    """Check that one place says what the host becomes (validateAuthorityRewrite)."""
    request = operations.request
    said = [name for name in (*request.set, *request.add) if _is_authority(name)]
    yield from unless(
        len(said) + bool(rewrite.authority) <= 1,
        "headers.request",
        "the host is set more than once: by `rewrite.authority` or by one header",
    )


def _values(field: str, pairs: Mapping[str, str]) -> Iterator[Fault]:
    """Check values, in which ``%…%`` is Envoy's to fill in (ValidateHTTPHeaderValue)."""
    for name, value in sorted(pairs.items()):
        yield from unless(
            _CHARACTERS.fullmatch(value) and _VALUE.fullmatch(value),
            f"{field}[{name}]",
            "it has an unprintable character, or a `%` that is neither `%%` nor Envoy's `%…%`",
        )


def _names(field: str, names: Iterable[str]) -> Iterator[Fault]:
    """Check headers that are removed or of a response (ValidateHTTPHeaderOperationName)."""
    for name in names:
        yield from unless(
            name and not name.startswith(":") and name.casefold() != "host",
            f"{field}[{name}]",
            "a header's name is not empty, and neither Host nor one with a `:`",
        )


def _is_authority(name: str) -> bool:
    return name.casefold() in {":authority", "host"}
