"""Thousands of services that applications hold in ZooKeeper, and that come back slowly."""

from collections.abc import Sequence
from pathlib import Path

from rig.any_crowd import AnyCrowd, Places
from rig.zookeeper_nodes import Node, provider, spring

LASTS = 20.0
"""Seconds that a session of the crowd lasts without a word; Dubbo asks for 60."""
MEMBERS = 8
"""Applications, each with a session of its own."""


def is_application(service: str) -> bool:
    """Whether a service is an application of Spring Cloud; the others are Dubbo interfaces."""
    return service.endswith("7")


def host(service: str) -> str:
    """Return the host of a service of the crowd."""
    return f"{service}.zookeeper" if is_application(service) else f"{service}.dubbo"


class ZooKeeperCrowd(AnyCrowd):
    """Ephemeral nodes of many services over a few sessions; without them a service stays, empty.

    It comes back as Dubbo does. A connection that was lost is sought, and the same session goes on
    where the server still knows it. A new session registers all again, spread over the seconds
    that :meth:`pace` said, and first deletes what the old one left. Who was not connected for as
    long as a session lasts begins a new one, as Curator does: only that goes to a server which
    knows less than the old one had seen. While it is paused nothing comes back.
    """

    def __init__(
        self, server: str, directory: Path, *, name: str = "crowd", lasts: float = LASTS
    ) -> None:
        """Describe it; ``server`` is ``host:port``."""
        super().__init__(
            name, directory, "zookeeper_crowd_main", server, lasts, MEMBERS, within=120
        )

    async def flap(self) -> None:
        """Let all sessions end without a word of farewell; new ones begin at once."""
        await self.order(do="flap")

    def told(self, service: str, places: Places) -> Sequence[tuple[str, object]]:
        """Return the nodes that are a service's instances."""
        made: list[Node] = [
            spring(service, address, port)
            if is_application(service)
            else provider(service, "rest", address, port)
            for address, port in places
        ]
        return [(each.path, each.data.decode()) for each in made]
