"""Writes hosts and addresses in their one form, so that all that a history names can be compared.

``Endpoint.of`` does so already; an endpoint made from its two parts and the names in a request, a
change or a version are as somebody wrote them.
"""

from dataclasses import replace
from functools import lru_cache

from meshbridge.testing.history import Endpoint, Event, Request, Sample, View, Write

CACHED = 65536
"""Endpoints whose form is remembered: a history names the same ones again and again."""


def plain(event: Event) -> Event:
    """Return an event with all that it names in its one form."""
    match event:
        case Request():
            named = Endpoint(event.host, event.by)
            form = endpoint(named)
            return event if form == named else replace(event, host=form.host, by=form.address)
        case Write():
            return replace(
                event,
                added=_all(event.added),
                removed=_all(event.removed),
                changed=frozenset(map(str.lower, event.changed)),
            )
        case Sample():
            return replace(event, view=_view(event.view))
        case _:
            return event


@lru_cache(CACHED)
def endpoint(named: Endpoint) -> Endpoint:
    """Return an endpoint in its one form; what is no ``address:port`` stays as it is."""
    address, _, port = named.address.rpartition(":")
    if not port.isdecimal():
        return Endpoint(named.host.lower(), named.address)
    return Endpoint.of(named.host, address.removeprefix("[").removesuffix("]"), int(port))


def _all(endpoints: frozenset[Endpoint]) -> frozenset[Endpoint]:
    return frozenset(map(endpoint, endpoints))


def _view(view: View) -> View:
    versions = {host.lower(): version for host, version in view.versions.items()}
    return View(_all(view.endpoints), _all(view.resting), versions)
