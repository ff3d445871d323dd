"""What istiod refuses we do not send, and what it takes we do: as its own validation judged.

The documents and their verdicts stand in ``istio/verdicts/verdicts.jsonl``, and how istio was asked
in the ``main.go`` beside it. A line without ``where`` is to be taken; ``ours`` says why we refuse
what istiod takes.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from meshbridge.protos import message_class, private_pool
from meshbridge.protos.gen.istio.networking.v1alpha3.service_entry_pb2 import ServiceEntry
from meshbridge.protos.gen.istio.networking.v1alpha3.virtual_service_pb2 import VirtualService
from meshbridge.protos.gen.istio.networking.v1alpha3.workload_entry_pb2 import WorkloadEntry
from meshbridge.service import Direct
from meshbridge_mcp.document_faults import UNSENT, document_faults
from meshbridge_mcp.faults import Fault
from meshbridge_mcp.istio import Shape, entries
from meshbridge_mcp.resource import Document, late
from meshbridge_mcp.virtual_service import routing
from rig.messages import within
from rig.odd_services import odd_services, with_names

VERDICTS = Path(__file__).with_name("istio") / "verdicts" / "verdicts.jsonl"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One document, and what istio said of it."""

    name: str
    spec: Message
    where: str
    """The path of what is wrong, empty where nothing is."""
    ours: str
    """Why we are stricter, empty where we are not."""
    refused: bool
    """Whether istio refuses it."""


def read() -> Iterator[Verdict]:
    for line in VERDICTS.read_text(encoding="utf-8").splitlines():
        found = cast("dict[str, str]", json.loads(line))
        spec = message_class(f"istio.networking.v1alpha3.{found['kind']}")()
        json_format.ParseDict(cast("dict[str, object]", found["spec"]), spec)
        where, ours = found.get("where", ""), found.get("ours", "")
        yield Verdict(found["name"], spec, where, ours, bool(found["refused"]))


ALL = tuple(read())
ENDPOINT: Document[Message] = Document(
    "shop", "a", late(b"orders.."), (), (), WorkloadEntry(address="::1")
)


def faults(spec: Message) -> tuple[Fault, ...]:
    return document_faults(replace(ENDPOINT, spec=spec))


@pytest.mark.parametrize("verdict", ALL, ids=[each.name for each in ALL])
def test_we_say_of_a_document_what_istio_says(verdict: Verdict) -> None:
    """And name what is wrong by the path that it has in YAML."""
    found = faults(verdict.spec)
    assert bool(found) == (verdict.refused or bool(verdict.ours)), found
    assert (verdict.where in {each.where for each in found}) == bool(found)


def test_where_we_are_stricter_istio_takes_it() -> None:
    """Else the reason would be a wrong one."""
    assert [each.name for each in ALL if each.ours and each.refused] == []


def sendable(kind: Descriptor, seen: set[str]) -> Iterator[str]:
    """Yield the full names of all fields that a document of ours can have."""
    if kind.full_name in seen or not kind.full_name.startswith("istio."):
        return
    seen.add(kind.full_name)
    for field in kind.fields:
        if field.full_name not in UNSENT:
            yield field.full_name
            held = field.message_type
            if held is not None and held.GetOptions().map_entry:
                held = held.fields_by_name["value"].message_type
            if held is not None:
                yield from sendable(held, seen)


@pytest.mark.parametrize("kind", ["DestinationRule", "VirtualService"])
def test_each_field_is_in_a_document_that_istio_took_or_is_never_sent(kind: str) -> None:
    """A field that nobody thought of would go out unseen, and istiod might refuse it in silence."""
    taken = {
        field.full_name
        for verdict in ALL
        if not verdict.where
        for message in within(verdict.spec)
        for field, _ in message.ListFields()
    }
    found = private_pool().FindMessageTypeByName(f"istio.networking.v1alpha3.{kind}")
    assert {*sendable(found, set())} - taken == set()


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (ENDPOINT, ""),
        (replace(ENDPOINT, namespace="a.b"), "metadata.namespace"),
        (replace(ENDPOINT, namespace=""), "metadata.namespace"),
        (replace(ENDPOINT, name="a/b"), "metadata.name"),
        (replace(ENDPOINT, name=""), "metadata.name"),
        (replace(ENDPOINT, name="A"), "metadata.name"),
        (replace(ENDPOINT, name="a..b"), "metadata.name"),
        (replace(ENDPOINT, name="a-"), "metadata.name"),
        (replace(ENDPOINT, name="a" * 253), ""),
        (replace(ENDPOINT, name="a" * 254), "metadata.name"),
        (replace(ENDPOINT, labels=(("a", "b c"),)), "metadata.labels[a]"),
        (replace(ENDPOINT, labels=(("a b", "c"),)), "metadata.labels[a b]"),
        (replace(ENDPOINT, labels=(("istio.io/rev", "x"),)), "metadata.labels[istio.io/rev]"),
        (replace(ENDPOINT, labels=(("app", "x"),), annotations=(("any thing", "é"),)), ""),
        (
            replace(ENDPOINT, annotations=(("istio.io/dry-run", "true"),)),
            "metadata.annotations[istio.io/dry-run]",
        ),
        (replace(ENDPOINT, name="a_b", spec=ServiceEntry()), "metadata.name"),
        (replace(ENDPOINT, spec=ServiceEntry()), ""),
    ],
)
def test_a_document_is_refused_for_its_name_labels_and_annotations(
    document: Document[Message], where: str
) -> None:
    """Of any kind; of a ServiceEntry for nothing else, since it was mended before."""
    assert [each.where for each in document_faults(document)] == ([where] if where else [])


def test_a_fault_reads_as_a_line() -> None:
    """It becomes the reason of a problem."""
    (fault,) = faults(WorkloadEntry(address="10.1.2.300"))
    assert str(fault) == "address: '10.1.2.300' is neither an IP address nor a host's name"


def test_what_is_never_sent_is_found_however_deep() -> None:
    """In a list as well, and in a message of its own."""
    spec = VirtualService(hosts=["a.b"])
    route = spec.http.add()
    route.route.add().destination.host = "a.b"
    route.fault.delay.exponential_delay.seconds = 5
    route.match.add().gateways.append("mesh")
    assert [str(each) for each in faults(spec)] == [
        "http[0].match[0].gateways: it is never sent",
        "http[0].fault.delay.exponentialDelay: it is never sent",
    ]


def test_thousands_of_hosts_are_looked_at_in_a_moment() -> None:
    """A host of the mesh may be called by each of its addresses; each with each would take long."""
    spec = VirtualService(hosts=[f"10.1.{number // 250}.{number % 250}" for number in range(5_000)])
    spec.http.add().route.add().destination.host = "a.b"
    assert faults(spec) == ()


@pytest.mark.parametrize("names", [False, True], ids=["addresses", "names"])
@pytest.mark.parametrize("inline", [False, True], ids=["workloads", "inline"])
def test_whatever_is_made_of_odd_services_is_taken(inline: bool, names: bool) -> None:  # noqa: FBT001 - parameters
    """What is left wrong in a service would cost its documents: this net is to stay empty."""
    for service in with_names(odd_services(1, 200)):
        addresses = sorted({*(each.address for each in service.endpoints)})
        direct = tuple(Direct(each, (80,), alone=True) for each in addresses)
        called = replace(service, direct=direct)
        for document in (
            *entries(called, Shape(inline, names)).documents,
            *routing(called).documents,
        ):
            assert document_faults(document) == (), called
