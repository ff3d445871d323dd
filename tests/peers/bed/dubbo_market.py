"""A market of real Dubbo applications: who offers, who needs, and in which registry."""

from dataclasses import dataclass, replace
from pathlib import Path

from rig.application import start_all, stop_all
from rig.dubbo import Consumer, Need, Offer, Provider
from rig.zookeeper import ZooKeeper

BOTH = ("dubbo", "tri")
PATIENT = 5.0
"""Seconds that a call may take where its length proves nothing: the machine may be busy."""


@dataclass(frozen=True, slots=True)
class Market:
    """Providers in both registries, and consumers that look for one of them each."""

    host: str
    zookeeper: ZooKeeper
    providers: dict[str, Provider]
    consumers: dict[str, Consumer]

    @property
    def everyone(self) -> list[Provider | Consumer]:
        """All applications."""
        return [*self.providers.values(), *self.consumers.values()]

    async def open(self) -> None:
        """Start its ZooKeeper, then who offers, then who needs."""
        await self.zookeeper.start()
        await start_all(*self.providers.values())
        await start_all(*self.consumers.values())

    async def close(self) -> None:
        """Stop everything."""
        await stop_all(*self.everyone)
        await self.zookeeper.stop()


def offers(host: str, zookeeper: str, nacos: str) -> list[Offer]:
    """Return the providers; all offer the same interfaces."""
    here, there = (Offer(name="", host=host, registry=each) for each in (zookeeper, nacos))
    both = replace(here, name="both", mode="all", protocols=BOTH)
    return [
        replace(both, weight=70, region="hz", params={"env": "staging"}, labels={"cell": "c1"}),
        replace(here, name="remote", mode="instance", metadata="remote", group="remote"),
        replace(here, name="old", release=2, group="old", version="2.7", zone="z1"),
        replace(there, name="nacos", mode="all", protocols=BOTH, group="new"),
        replace(there, name="nacos-remote", mode="instance", metadata="remote", group="remote"),
        replace(there, name="nacos-old", release=2, group="old", tag="blue"),
    ]


def needs(host: str, zookeeper: str, nacos: str, both: Provider) -> list[Need]:
    """Return the consumers; ``both`` is called by its URL as well."""
    direct = Need(name="", host=host, timeout=2, tag="gray")
    here = Need(name="", host=host, timeout=PATIENT, registry=zookeeper)
    there = replace(here, registry=nacos)
    old = replace(here, mode="interface", group="old", version="2.7")
    return [
        replace(direct, name="by-dubbo", url=both.url("dubbo")),
        replace(direct, name="by-tri", url=both.url("tri")),
        replace(here, name="interface", mode="interface"),
        replace(here, name="instance", mode="instance", service="stock"),
        replace(here, name="instance-remote", mode="instance", group="remote"),
        replace(there, name="nacos-interface", mode="interface", group="new"),
        replace(there, name="nacos-instance", mode="instance", group="new"),
        replace(there, name="nacos-instance-remote", mode="instance", group="remote"),
        replace(old, name="old-to-old", release=2),
        replace(old, name="new-to-old"),
        replace(old, name="to-nobody", release=2, version="2.8"),
        replace(there, name="nacos-old-to-old", release=2, group="old", tag="blue"),
    ]


def set_up(folder: Path, host: str, nacos: str) -> Market:
    """Return the market, not open yet; ``nacos`` is the address of one that runs.

    Raises rig.bed.Missing or BuildFailed.
    """
    zookeeper = ZooKeeper(folder)
    where = (host, f"zookeeper://{zookeeper.address}", f"nacos://{nacos}")
    providers = {each.name: Provider(folder, each) for each in offers(*where)}
    wanted = needs(*where, providers["both"])
    consumers = {each.name: Consumer(folder, each) for each in wanted}
    return Market(host, zookeeper, providers, consumers)
