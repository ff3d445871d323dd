"""A large estate in a real Nacos: what its services look like, and who holds them."""

import contextlib
import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Literal
from zlib import crc32

import psutil

from benchmarks.spoken import Spoken, spoken

Shape = Literal["spring", "dubbo"]
BIG = "big"
"""Stands for the one service that has thousands of instances."""
_PORT = 20880
_NICE = 10
_SPRING = {
    "gray": "false",
    "preserved.register.source": "SPRING_CLOUD",
    "version": "v1",
    "zone": "hz-1",
}
_DUBBO = {
    "application": "till",
    "category": "providers",
    "deprecated": "false",
    "dubbo": "2.0.2",
    "dynamic": "true",
    "generic": "false",
    "group": "g1",
    "logger": "slf4j",
    "metadata-type": "local",
    "methods": "cancel,find,list,place,refund,track",
    "prefer.serialization": "hessian2,fastjson2",
    "protocol": "dubbo",
    "region": "hz",
    "release": "3.3.6",
    "revision": "1.0.0",
    "side": "provider",
    "version": "1.0.0",
    "weight": "50",
    "zone": "z1",
}
"""As Dubbo 3.3.6 registers an instance of an interface, without what is its own."""


def name_of(shape: Shape, number: int | str) -> str:
    """Return what a service is called."""
    if shape == "spring":
        return f"shop-{number}"
    return f"providers:{_interface(number)}:1.0.0:g1"


def instance(
    shape: Shape, number: int | str, address: str, port: int = _PORT, weight: float = 1.0
) -> dict[str, object]:
    """Return a record as clients register it."""
    return {
        "ip": address,
        "port": port,
        "weight": weight,
        "healthy": True,
        "enabled": True,
        "ephemeral": True,
        "clusterName": "DEFAULT",
        "metadata": _pairs(shape, number, address),
    }


def address_of(number: int | str, place: int) -> str:
    """Return where the instance at a place of a service is; nobody answers there."""
    if isinstance(number, str):
        return f"10.200.{place // 250}.{1 + place % 250}"
    return f"10.{1 + place}.{number // 250}.{1 + number % 250}"


def _interface(number: int | str) -> str:
    return f"com.acme.shop.Service{number}"


def _pairs(shape: Shape, number: int | str, address: str) -> dict[str, str]:
    if shape == "spring":
        return _SPRING
    interface, started = _interface(number), 1_700_000_000_000 + crc32(address.encode())
    own = {"interface": interface, "path": interface, "timestamp": str(started)}
    return _DUBBO | own


class Estate:
    """Services that a process holds in a namespace as applications do: while it lives."""

    def __init__(self, holder: Spoken) -> None:
        """Have the process hold them; nothing is registered yet."""
        self._holder = holder

    async def fill(self, first: int, services: int, instances: int) -> float:
        """Register services by their numbers; return the seconds that took."""
        order = {"first": first, "services": services, "instances": instances}
        await self._holder.hears(json.dumps(order))
        return (await self._holder.says())["took"]

    async def swell(self, instances: int, weight: float) -> None:
        """Let the big service have so many instances; the weight is that of one of them."""
        await self._holder.hears(json.dumps({"big": instances, "weight": weight}))
        await self._holder.says()


@asynccontextmanager
async def holding(address: str, namespace: str, shape: Shape) -> AsyncGenerator[Estate]:
    """Give an estate in the namespace of a server, empty; it goes when the block is left."""
    async with spoken("nacos_holder", address, namespace, shape) as holder:
        yield Estate(holder)


def step_back(pid: int) -> None:
    """Let all threads of a process that runs have lower priority, and those that they start.

    On a machine of its own a server takes nothing of the time of who is measured.
    """
    for thread in psutil.Process(pid).threads():
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.setpriority(os.PRIO_PROCESS, thread.id, _NICE)
