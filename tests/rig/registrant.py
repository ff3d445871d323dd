"""An application that holds ephemeral instances in Nacos, in a process that can be killed."""

import sys
from collections.abc import Mapping
from pathlib import Path

from meshbridge.testing.process import Process
from rig.obedient import Obedient

MAIN = Path(__file__).with_name("registrant_main.py")


class Registrant(Obedient):
    """Registers over one gRPC connection; Nacos keeps one instance per service and connection."""

    def __init__(
        self, name: str, server: str, directory: Path, *, namespace: str = "public"
    ) -> None:
        """Describe it; ``server`` is ``host:port``."""
        process = Process(
            f"registrant-{name}",
            [sys.executable, MAIN, server, namespace, directory / name],
            directory=directory,
            input=True,
        )
        super().__init__(process, within=30)

    async def register(
        self,
        service: str,
        address: str,
        port: int,
        *,
        weight: float = 1.0,
        enabled: bool = True,
        metadata: Mapping[str, str] | None = None,
        cluster: str = "",
        group: str = "DEFAULT_GROUP",
    ) -> None:
        """Register the instance, or change it; it is gone when this process is."""
        await self.order(
            do="register",
            service_name=service,
            group_name=group,
            ip=address,
            port=port,
            weight=weight,
            enabled=enabled,
            metadata=dict(metadata or {}),
            cluster_name=cluster,
        )

    async def deregister(
        self, service: str, address: str, port: int, *, group: str = "DEFAULT_GROUP"
    ) -> None:
        """Take the instance back."""
        await self.order(
            do="deregister", service_name=service, group_name=group, ip=address, port=port
        )

    async def kill(self) -> None:
        """End it as a crash would: nothing is deregistered."""
        await self.process.kill()
