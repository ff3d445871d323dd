"""An application that holds ephemeral instances in Nacos, in a process that can be killed."""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from meshbridge.testing.process import Process, ProcessFailed

MAIN = Path(__file__).with_name("registrant_main.py")
ANSWER = re.compile(r"^(ready|done|failed: .*)$", re.MULTILINE)


class Registrant:
    """Registers over one gRPC connection; Nacos keeps one instance per service and connection."""

    def __init__(
        self, name: str, server: str, directory: Path, *, namespace: str = "public"
    ) -> None:
        """Describe it; ``server`` is ``host:port``."""
        self.process = Process(
            f"registrant-{name}",
            [sys.executable, MAIN, server, namespace, directory / name],
            directory=directory,
            input=True,
        )
        self._answers = 0

    async def __aenter__(self) -> Self:
        """Start it and wait until it is connected."""
        self.process.start()
        await self._answered(within=30)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        await self.process.stop()

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
        await self._order(
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
        await self._order(
            do="deregister", service_name=service, group_name=group, ip=address, port=port
        )

    async def kill(self) -> None:
        """End it as a crash would: nothing is deregistered."""
        await self.process.kill()

    async def _order(self, **order: object) -> None:
        self.process.write(json.dumps(order))
        answer = await self._answered(within=30)
        if answer != "done":
            message = f"{self.process.name}: {answer}"
            raise ProcessFailed(message)

    async def _answered(self, *, within: float) -> str:
        wanted = self._answers + 1
        answers: list[str] = []

        async def answered() -> bool:
            answers[:] = ANSWER.findall(self.process.log)
            return len(answers) >= wanted

        await self.process.ready(answered, within=within)
        self._answers = wanted
        return answers[wanted - 1]
