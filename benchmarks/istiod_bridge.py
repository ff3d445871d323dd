"""``meshbridge run`` with a probe in it: ``python -m benchmarks.istiod_bridge NOTES MODE run …``.

NOTES gets a line of JSON for each response about ServiceEntries and for each acknowledgement of
one. MODE is how ServiceEntries go out: ``stubs`` (as meshbridge sends them), ``full`` (all of them
whole each time), or ``rewriting`` (the same without versions, so that istiod writes all of them
anew, as the other bridges have it).
"""

import json
import sys
import time
import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TextIO
from unittest.mock import patch

from google.protobuf.message import Message as ProtoMessage

import meshbridge_mcp.ledger
import meshbridge_mcp.server
import meshbridge_xds.stream
from meshbridge.cli import main as command
from meshbridge.protos.gen.google.protobuf.any_pb2 import Any as AnyMessage
from meshbridge.protos.gen.istio.mcp.v1alpha1.resource_pb2 import Resource
from meshbridge_mcp.kinds import resource_type
from meshbridge_mcp.resource import Document, Encoded, encode
from meshbridge_xds.exchange import Answer, Response
from meshbridge_xds.requests import write_response
from meshbridge_xds.resources import Message, ResourceType
from meshbridge_xds.server import DiscoveryServer, GrpcWire
from meshbridge_xds.stream import Stream

_KIND = "ServiceEntry"


class Probe:
    """Notes what the discovery server does, and what it costs."""

    def __init__(self, notes: TextIO) -> None:
        """Put the probe where responses are made, sent and answered."""
        self._notes = notes
        self._joining = self._handing = 0.0
        self._sent, self._answered = DiscoveryServer.sent, DiscoveryServer.answered
        self._write: Callable[..., Message] = write_response
        self._hand: Callable[..., Coroutine[object, object, None]] = GrpcWire.write

    def joined(self, url: str, response: Response, *, delta: bool) -> Message:
        """Make a response, and note the processor time of that."""
        begun = time.thread_time()
        message = self._write(url, response, delta=delta)
        self._joining += time.thread_time() - begun
        return message

    @types.coroutine
    def handed(self, wire: GrpcWire, message: bytes) -> Generator[object, object, None]:
        """Hand a response to gRPC, and note the processor time of that, not what it waits."""
        handing = self._hand(wire, message)
        received: object = None
        while True:
            begun = time.thread_time()
            try:
                awaited = handing.send(received)
            except StopIteration:
                return
            finally:
                self._handing += time.thread_time() - begun
            received = yield awaited

    def sent(self, server: DiscoveryServer, stream: Stream, kind: ResourceType, size: int) -> None:
        """Note a response."""
        self._sent(server, stream, kind, size)
        if kind.label == _KIND:
            self._note(sent=size)

    def answered(
        self, server: DiscoveryServer, stream: Stream, kind: ResourceType, answer: Answer
    ) -> None:
        """Note an acknowledgement."""
        self._answered(server, stream, kind, answer)
        if kind.label == _KIND:
            self._note(sent=0)

    def _note(self, *, sent: int) -> None:
        line = {
            "at": time.monotonic(),
            "sent": sent,
            "cpu": time.process_time(),
            "joining": self._joining,
            "handing": self._handing,
        }
        self._notes.write(json.dumps(line) + "\n")


def _without_stubs(url: str, *, workloads_first: bool) -> ResourceType:
    return replace(resource_type(url, workloads_first=workloads_first), stubs=False)


def _without_version(document: Document[ProtoMessage]) -> Encoded:
    """Encode as a server does that leaves the versions empty."""
    encoded = encode(document)
    wrapped = AnyMessage.FromString(encoded.resource)
    resource = Resource.FromString(wrapped.value)
    resource.metadata.version = ""
    wrapped.value = resource.SerializeToString(deterministic=True)
    return replace(encoded, resource=wrapped.SerializeToString(deterministic=True))


def main() -> None:
    """Put the probe in, and be the command."""
    notes, mode, *arguments = sys.argv[1:]
    sys.argv = ["meshbridge", *arguments]
    with Path(notes).open("a", buffering=1) as file, ExitStack() as stack:
        probe = Probe(file)

        def put(where: object, name: str, what: Callable[..., object]) -> None:
            stack.enter_context(patch.object(where, name, what))

        put(meshbridge_xds.stream, "write_response", probe.joined)
        put(GrpcWire, "write", _method(probe.handed))
        put(DiscoveryServer, "sent", _method(probe.sent))
        put(DiscoveryServer, "answered", _method(probe.answered))
        if mode != "stubs":
            put(meshbridge_mcp.server, "resource_type", _without_stubs)
        if mode == "rewriting":
            put(meshbridge_mcp.ledger, "encode", _without_version)
        command()


def _method(probe: Callable[..., object]) -> Callable[..., object]:
    """Return a function, which unlike a bound method is given the object that it is called on."""

    def noting(*words: object) -> object:
        return probe(*words)

    return noting


if __name__ == "__main__":
    main()
