"""Lets istiod route calls of a host's endpoints like calls of the host, by one VirtualService.

A sidecar looks for the called address among the domains of the called port's routes. Of several
addresses of a ServiceEntry istiod makes one such domain, and not always the same one; of the
``hosts`` of a VirtualService each becomes a domain, at every port of the host. Its routes name the
host as destination and no port, which means the called one.

In a moment in which istiod has the VirtualService and not yet the ServiceEntry, it serves the
``hosts`` at port 80 only, with a cluster that does not exist (503); without the VirtualService the
addresses are passed by. So the order in which the two arrive needs no care.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from meshbridge.problems import Problem, ProblemKind
from meshbridge.protos.gen.istio.networking.v1alpha3.virtual_service_pb2 import (
    Destination,
    HTTPRoute,
    HTTPRouteDestination,
    VirtualService,
)
from meshbridge.service import Service, first_source
from meshbridge_mcp.istio import annotations, labels, named
from meshbridge_mcp.legal import is_address
from meshbridge_mcp.resource import Document, late
from meshbridge_mcp.validate import repair

Rules: TypeAlias = Document[VirtualService]


@dataclass(frozen=True, slots=True)
class Routing:
    """What istiod is told of the ways to one host, and what it cannot be told."""

    documents: tuple[Rules, ...]
    """One at most: of two for one host istiod would follow one."""
    problems: tuple[Problem, ...]


def routing(service: Service, http: Sequence[HTTPRoute] = ()) -> Routing:
    """Return the VirtualService of a host that is called by addresses or has routes of its own.

    ``http`` are those routes, in their order; without any, all requests go to the host.
    """
    if not service.direct and not http:
        return Routing((), ())
    legal = repair(service).service
    problems = tuple(_untold(service))
    addresses = [each.address for each in service.direct if each.alone and is_address(each.address)]
    if legal is None or not (addresses or http):
        return Routing((), problems)
    identity = hashlib.sha256(f"VirtualService {legal.host}".encode()).digest()
    document = Document(
        namespace=legal.namespace,
        name=named(legal.host, "", identity),
        created_at=late(identity),
        labels=labels(legal),
        annotations=annotations(legal),
        spec=VirtualService(
            hosts=_distinct((legal.host, *_dotted(legal.aliases), *addresses)),
            http=http or [_to(legal.host)],
            # Who does not see the host must not be routed to it.
            export_to=legal.export_to,
        ),
    )
    return Routing((document,), problems)


def _to(host: str) -> HTTPRoute:
    return HTTPRoute(route=[HTTPRouteDestination(destination=Destination(host=host))])


def _dotted(aliases: Iterable[str]) -> Iterator[str]:
    """Yield those that istiod does not read as a name within the VirtualService's namespace."""
    return (alias for alias in aliases if "." in alias)


def _distinct(hosts: Iterable[str]) -> list[str]:
    """Return each once, whatever its case: istiod refuses the whole for one that is there twice."""
    return list({host.lower(): host for host in hosts}.values())


def _untold(service: Service) -> Iterator[Problem]:
    """Yield the addresses that another host claims too, if at other ports.

    That of one which another host claims at the same port is the catalog's to tell.
    """
    source = first_source(service, "mcp")
    for each in service.direct:
        if not each.alone:
            yield Problem(
                source.registry,
                source.name,
                ProblemKind.CONFLICT,
                f"istiod is not told that {service.host} is called at {each.address}, because "
                "another host has instances there too, and istiod looks at no port",
                "call it by its host, or give the instances addresses of their own",
            )
