"""Reads discovery requests off the wire, bounded, and writes responses onto it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from google.protobuf.message import DecodeError

from meshbridge.protos.gen.envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DiscoveryRequest,
)
from meshbridge_xds import wire
from meshbridge_xds.exchange import DeltaRequest, RequestRefused, Response, StateRequest
from meshbridge_xds.refusal import printable
from meshbridge_xds.resources import Message, Resource

_LONGEST_NAME = 1024
_LONGEST_TYPE = 256
_LONGEST_NODE = 256


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request, with what it says about its sender."""

    type_url: str
    request: StateRequest | DeltaRequest
    node: str
    """The node's id, fit for printing; empty where the request does not repeat it."""
    user_agent: str = ""


def read_request(raw: bytes, *, delta: bool) -> Incoming:
    """Return what a request says.

    Raises RequestRefused for what is no request, and for names that no resource can have.
    """
    message = DeltaDiscoveryRequest() if delta else DiscoveryRequest()
    try:
        message.ParseFromString(raw)
    except DecodeError:
        raise RequestRefused("not a discovery request") from None
    if not message.type_url or len(message.type_url) > _LONGEST_TYPE:
        raise RequestRefused(f"a request needs a type_url of at most {_LONGEST_TYPE} letters")
    error = None
    if message.HasField("error_detail"):
        error = message.error_detail.message or f"code {message.error_detail.code}"
    request: StateRequest | DeltaRequest
    if isinstance(message, DeltaDiscoveryRequest):
        request = DeltaRequest(
            subscribe=_names(message.resource_names_subscribe),
            unsubscribe=tuple(message.resource_names_unsubscribe),
            known=dict(message.initial_resource_versions),
            nonce=message.response_nonce,
            error=error,
        )
    else:
        request = StateRequest(_names(message.resource_names), message.response_nonce, error)
    return Incoming(
        type_url=message.type_url,
        request=request,
        node=printable(message.node.id, _LONGEST_NODE),
        user_agent=printable(message.node.user_agent_name, _LONGEST_NODE),
    )


def _names(names: Iterable[str]) -> tuple[str, ...]:
    read = tuple(names)
    if max(map(len, read), default=0) > _LONGEST_NAME:
        raise RequestRefused(f"a resource name has more than {_LONGEST_NAME} letters")
    return read


def write_response(type_url: str, response: Response, *, delta: bool) -> Message:
    """Return the response as bytes, joined from resources that were encoded before."""
    compose = wire.delta_response if delta else wire.state_response
    make = partial(compose, type_url, response.version, response.nonce)
    everything = response.complete
    if everything is not None and response.resources is not everything.listed:
        everything = None
    if response.full is not None:
        names = response.resources if everything is None else everything.names
        return Message(make(_with_stubs(response.resources, names, response.full)))
    if response.run is not None:
        return response.run.of.message(
            type_url, response.nonce, make, delta=delta, run=response.run
        )
    if everything is not None and not (delta and response.removed):
        return everything.message(type_url, response.nonce, make, delta=delta)
    if not delta:
        bodies = (each.body for each in response.resources.values())
        return Message(make(b"".join(wire.message_field(2, body) for body in bodies)))
    parts = [
        wire.delta_resource(each.name, each.version, each.body)
        for each in response.resources.values()
    ]
    parts.extend(wire.delta_removed(name) for name in response.removed)
    return Message(make(b"".join(parts)))


def _with_stubs(
    resources: Mapping[str, Resource], names: Iterable[str], full: Mapping[str, Resource]
) -> bytes:
    """Return the ``resources`` of a response: some in full, then a stub of each other one."""
    fields = [wire.message_field(2, each.body) for each in full.values()]
    others = [resources[name] for name in names if name not in full]
    fields += [each.stub or wire.message_field(2, each.body) for each in others]
    return b"".join(fields)
