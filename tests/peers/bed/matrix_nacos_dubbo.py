"""A group of a Nacos that holds whole services, each an interface of Dubbo."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from peers.bed.matrix import Instance, NacosRegistry, Services, nacos

from rig.nacos import Nacos
from rig.registrant import Registrant

SCHEMES = {"": "rest"}
"""Dubbo's name of a protocol, where it is another one; what does not say speaks HTTP."""
SAID = {"application": "crowd", "release": "3.3.6"}
"""What each instance says, and becomes its labels."""


class NacosDubboRegistry(NacosRegistry):
    """A group of a real Nacos, filled as Dubbo's providers do it."""

    @property
    def domain(self) -> str:
        """The end of its hosts."""
        return "dubbo"

    def labels(self, instance: Instance) -> Mapping[str, str]:
        """Return its parameters; what it speaks is no label."""
        told = {key: value for key, value in instance.metadata.items() if key != "protocol"}
        return {**SAID, **told}

    async def hold(self, services: Services) -> None:
        """Register all, then take back what is too much."""
        await super().hold(
            {
                f"providers:{name}::": [_offered(name, each) for each in instances]
                for name, instances in services.items()
            }
        )


def _offered(interface: str, instance: Instance) -> Instance:
    """Return what Dubbo registers of an instance: Nacos' own weight stays 1."""
    speaks = instance.metadata.get("protocol", "")
    metadata = {
        **SAID,
        **instance.metadata,
        "category": "providers",
        "interface": interface,
        "methods": "greet",
        "path": interface,
        "protocol": SCHEMES.get(speaks, speaks),
        "side": "provider",
    }
    if instance.weight != 1:
        metadata["weight"] = str(round(100 * instance.weight))
    return Instance(instance.address, instance.port, metadata)


@asynccontextmanager
async def nacos_dubbo(
    server: Nacos, applications: Sequence[Registrant], directory: Path
) -> AsyncGenerator[NacosDubboRegistry]:
    """Take a group of one's own in a Nacos that runs, and two applications that do, too."""
    async with nacos(server, applications, directory) as plain:
        yield NacosDubboRegistry(server, plain.way, applications, plain.group, plain.options)
