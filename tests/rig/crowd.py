"""Thousands of services that one application holds in Nacos, and that come back slowly."""

from pathlib import Path

from rig.any_crowd import AnyCrowd


class Crowd(AnyCrowd):
    """Ephemeral instances of many services over one gRPC connection.

    Each reconnection registers all of them again, at the pace from then on; it is sought at most
    5 s after the server is back, as the SDK does. Not by the SDK's own redo, which brings all at
    once and at an unknown moment. Nacos lists services without instances for about a minute.
    """

    def __init__(self, server: str, directory: Path, *, name: str = "crowd") -> None:
        """Describe it; ``server`` is ``host:port``."""
        super().__init__(name, directory, "crowd_main", server, directory / name, within=60)
