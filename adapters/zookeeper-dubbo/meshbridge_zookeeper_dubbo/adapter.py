"""Watches the configured roots of a ZooKeeper cluster over one session, as one scope."""

from datetime import timedelta
from typing import ClassVar, Never

from pydantic import BaseModel

from meshbridge import Context, Emit, RegistryUnavailable
from meshbridge.settings import Section

REFILL = timedelta(seconds=15)
"""A provider that lost its session registers again within this time."""


class ZooKeeperDubbo:
    """What Dubbo and Spring Cloud have registered in one ZooKeeper cluster."""

    Options: ClassVar[type[BaseModel]] = Section
    domain = "zookeeper"
    settle = REFILL
    scopes: tuple[str, ...] = ("/dubbo /services",)

    def __init__(self, name: str, options: BaseModel, context: Context) -> None:
        self._name, self._options, self._context = name, options, context

    async def watch(self, emit: Emit) -> Never:
        """Tell what the roots hold until cancelled."""
        raise RegistryUnavailable(f"{self._name}: cannot be read yet")
