"""A directory for a store, and registrations with everything in them."""

from pathlib import Path
from typing import Final

from unit.runtime.examples import Log

from meshbridge import Instance, InstancePort, RegisteredService, ServiceId
from meshbridge.problems import Problems
from meshbridge.registration import Consumer, Health, Kind, metadata
from meshbridge.store import Store, Timing, open_store

NOW: Final = 1_700_000_000.0


class Bed:
    """A directory for a store, opened as often as a test likes; what it said is kept."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.problems = Problems()
        self.log = Log()
        self.logger = self.log.logger()
        self.now = NOW
        self.stores: list[Store] = []

    def open(self, timing: Timing | None = None, most_pages: int | None = None) -> Store:
        """Open it, as a start of the bridge does."""
        self.stores.append(self.opened(timing, most_pages))
        return self.stores[-1]

    def opened(self, timing: Timing | None = None, most_pages: int | None = None) -> Store:
        """Open it, and let the test close it."""
        return open_store(
            self.directory,
            self.logger,
            self.problems,
            lambda: self.now,
            timing=timing or Timing(),
            most_pages=most_pages,
        )

    def again(self) -> Store:
        """Open it in another process, after this one ended."""
        self.close()
        return self.open()

    def close(self) -> None:
        """End every process that had it open."""
        for store in self.stores:
            store.close()
        self.stores.clear()

    @property
    def events(self) -> list[str]:
        """What was logged."""
        return self.log.events()


FULL: Final = RegisteredService(
    ServiceId("prod", "blue", "注文", "2.0"),
    (
        Instance(
            "a",
            "10.0.0.1",
            (InstancePort(20880, "dubbo", secure=True), InstancePort(-7)),
            0.25,
            Health.DRAINING,
            metadata({"version": "v1", "": "\0"}),
            "hz",
            1.5,
        ),
        Instance("b", "not an address", ()),
    ),
    metadata({"owner": "shop"}),
    (Consumer("c", "10.0.0.9", "web", metadata({"x": "y"})),),
    Kind.DUBBO_INTERFACE,
)
PLAIN: Final = RegisteredService(ServiceId("", "", "orders"))


def put(store: Store, service: RegisteredService, scope: str = "all") -> None:
    """Let the registry ``shop`` have the service."""
    store.put("shop", scope, service.id, service)
