"""Real Spring Cloud applications: each says who it is, calls others, and is a link of a chain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import ClassVar, Literal, cast

import aiohttp
from pydantic import BaseModel, ConfigDict

from rig.application import Application
from rig.bed import build
from rig.java import LOOPBACK, java
from rig.ports import free_port

SPARE = 5.0
"""Seconds that it may take to answer besides those that its own calls may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What an application is and where it registers; empty means Spring Cloud's own default."""

    kind: Literal["nacos", "eureka", "zookeeper"]
    """Of its registry."""
    registry: str
    """``HOST:PORT``."""
    name: str
    """Its own name, which its answers carry."""
    service: str
    """What it registers as; others of that name are further instances."""
    host: str = LOOPBACK
    """Where it listens, and the address that it registers."""
    port: int = 0
    """Its port there; 0 for one that is free."""
    version: str = ""
    """In its metadata."""
    zone: str = ""
    """In its metadata; in Nacos it is its cluster."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    weight: float | None = None
    """Nacos only, as are group and namespace."""
    group: str = ""
    namespace: str = ""
    next: str = ""
    """The service that it calls for a chain; without one it is the last link."""
    forward: str = "x-lane"
    """The header that its own calls take over from the request they are made for."""
    heartbeat: int | None = None
    """Seconds between two renewals of its lease; Eureka only."""
    lease: int | None = None
    """Seconds that Eureka keeps it without a renewal, or that its session with ZooKeeper lasts."""
    fetch: int | None = None
    """Seconds between two looks at the instances of others; Eureka only."""
    timeout: float = 10.0
    """Seconds that its calls may take to connect, and to be answered."""


class Who(BaseModel):
    """Who answered, and the headers that it saw, by their names in small letters."""

    model_config = ConfigDict(frozen=True)

    name: str
    service: str
    version: str
    zone: str
    port: int
    registry: str
    headers: dict[str, str]


class Answer(BaseModel):
    """What came of a request: those who answered, or the error instead.

    The status is 500 where the application was told to fail, and 502 where one that it called did
    not answer, or answered with an error.
    """

    model_config = ConfigDict(frozen=True)

    status: int
    links: tuple[Who, ...] = ()
    """One, or those of a chain in its order."""
    error: str = ""

    @property
    def who(self) -> Who:
        """The first who answered; raises AssertionError with the error where nobody did."""
        assert self.links, f"{self.status}: {self.error}"
        return self.links[0]


class SpringService(Application):
    """A Spring Cloud application; ready when it is registered, and SIGTERM takes it back.

    It takes 3 to 6 s to start. A request that does not reach it raises aiohttp.ClientError, and
    one that it does not answer TimeoutError.
    """

    kind: ClassVar[str] = "Spring Cloud service"

    def __init__(
        self, directory: Path, member: Member, *, before: Sequence[str | Path] = ()
    ) -> None:
        """Choose its port, and say what runs it: ``before`` stands before its command.

        Raises rig.bed.Missing or BuildFailed.
        """
        self.member = member
        self.port = member.port or free_port()
        self.address = f"{member.host}:{self.port}"
        said = {each.name: _word(getattr(member, each.name)) for each in fields(member)}
        said |= {"port": str(self.port), "timeout": str(round(member.timeout * 1000))}
        command = java(
            build(f"spring-{said.pop('kind')}"),
            "meshbridge.peers.Application",
            [f"{name}={value}" for name, value in said.items() if value],
            home=directory / member.name,
            heap="96m",
        )
        super().__init__(member.name, directory, [*before, *command])

    async def who(self, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask it who it is."""
        return await self._get("/who", headers=headers)

    async def call(
        self, service: str, path: str = "/who", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Let it ask that service of its registry, by its load balancer."""
        return await self._get(f"/call/{service}", {"path": path}, headers)

    async def chain(self, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask it and every service that comes after it."""
        return await self._get("/chain", headers=headers)

    async def _get(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        url = f"http://{self.address}{path}"
        # As long as a call of its own may take, and a little for itself.
        within = 2 * self.member.timeout + SPARE
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=within)) as session:
            try:
                async with session.get(url, params=query, headers=headers) as answer:
                    body: object = await answer.json()
            except TimeoutError as late:
                message = f"{self.member.name} did not answer {path} within {within:g} s"
                raise TimeoutError(message) from late
        match body:
            case {"error": str(error)}:
                return Answer(status=answer.status, error=error)
            case list():
                links = cast("list[object]", body)
            case _:
                links = [body]
        return Answer.model_validate({"status": answer.status, "links": links})


def _word(value: object) -> str:
    """Return what the command line says of it; empty if nothing."""
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, str]", value)
        return ";".join(f"{name}:{each}" for name, each in pairs.items())
    return "" if value is None else str(value)
