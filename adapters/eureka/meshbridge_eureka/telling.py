"""Makes of what a registry holds, and of what is news, what the core is told; pure."""

from meshbridge import Changed, Listing, RegisteredService, Removed, ServiceId
from meshbridge.steps import Steps
from meshbridge_eureka.services import News
from meshbridge_eureka.view import SLICE, View


def listing(view: View, scope: str, *, after_gap: bool) -> Steps[Listing]:
    """Return all that there is."""
    services: list[RegisteredService] = []
    unreadable: list[ServiceId | tuple[ServiceId, str]] = []
    for number, made in enumerate(view.services(), 1):
        services.append(made.service)
        unreadable += made.unreadable
        if not number % (10 * SLICE):
            yield
    return Listing(scope, tuple(services), tuple(unreadable), after_gap)


def updates(news: News, scope: str) -> list[Changed | Removed]:
    """Return what has changed."""
    told: list[Changed | Removed] = [
        Changed(scope, service, news.unreadable.get(service.id, ())) for service in news.services
    ]
    told += (Removed(scope, identity) for identity in news.gone)
    return told
