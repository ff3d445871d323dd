"""An application that holds ephemeral instances in Nacos, in a process that can be killed."""

from collections.abc import Mapping
from pathlib import Path

from rig.obedient import Obedient


class Registrant(Obedient):
    """Registers over one gRPC connection; Nacos keeps one instance per service and connection."""

    def __init__(
        self, name: str, server: str, directory: Path, *, namespace: str = "public"
    ) -> None:
        """Describe it; ``server`` is ``host:port``."""
        super().__init__(
            f"registrant-{name}",
            directory,
            "registrant_main",
            server,
            namespace,
            directory / name,
            within=30,
        )

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
