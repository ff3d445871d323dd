"""Real Dubbo applications: a provider that says who answered, and a consumer that calls when told.

Both come in Dubbo 2.7 and Dubbo 3. Dubbo registers no address of 127.*, so they live on another
address of the loopback interface, which their options carry as ``host``.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import ClassVar, Literal, cast

from pydantic import BaseModel, ConfigDict

from rig.application import Application
from rig.bed import build
from rig.java import java, on_loopback
from rig.ports import free_port

Mode = Literal["interface", "instance", "all"]
"""What is registered and looked up: each interface, the application with its ports, or both."""

OPENED = ("java.lang", "java.math")
"""Packages of the JDK where Dubbo defines classes and, in 2.7, reads the fields of numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a provider is; empty means that Dubbo's own default holds."""

    name: str
    """Its own name, which its answers carry."""
    host: str
    app: str = ""
    """The application that it is an instance of; empty for one of its own name."""
    release: Literal[2, 3] = 3
    registry: str = ""
    """``zookeeper://HOST:PORT`` or ``nacos://HOST:PORT``; without one it is called by its URL."""
    mode: Mode | None = None
    protocols: Sequence[str] = ("dubbo",)
    metadata: Literal["local", "remote"] | None = None
    """Where its interfaces are told under mode ``instance``: by itself, or by the registry."""
    group: str = ""
    version: str = ""
    zone: str = ""
    region: str = ""
    weight: int | None = None
    tag: str = ""
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    """What its URLs say besides; an application's instance has none of it."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    """What its URLs and its application's instance say besides, in Dubbo 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a consumer calls, and how; empty means that Dubbo's own default holds."""

    name: str
    host: str
    app: str = ""
    """The application that it is an instance of; empty for one of its own name."""
    release: Literal[2, 3] = 3
    url: str = ""
    """A provider's URL; without one it asks its registry."""
    registry: str = ""
    mode: Mode | None = None
    service: Literal["greeter", "stock"] = "greeter"
    group: str = ""
    version: str = ""
    timeout: float = 1.0
    """Seconds that a call may take."""
    retries: int = 0
    tag: str = ""
    """Sent along with each call: a tag router chooses providers by it."""
    attachments: Mapping[str, str] = field(default_factory=dict[str, str])
    params: Mapping[str, str] = field(default_factory=dict[str, str])


class Who(BaseModel):
    """Who answered a call, and what it saw of the call."""

    model_config = ConfigDict(frozen=True)

    name: str
    app: str
    release: str
    group: str
    version: str
    zone: str
    region: str
    tag: str
    service: str
    protocol: str
    port: int
    argument: str
    attachments: dict[str, str]
    headers: dict[str, str]
    """Of HTTP, if the call came by Triple."""


class Call(BaseModel):
    """What came of one call."""

    model_config = ConfigDict(frozen=True)

    order: Literal["call", "every"]
    """What it was made for: an order of its own, or the one to keep calling."""
    at: float
    """When it began, by time.monotonic()."""
    ms: float
    """Milliseconds until it was answered or had failed."""
    ok: bool
    answer: Who | None = None
    error: str = ""

    @property
    def ended(self) -> float:
        """When it was answered or had failed, by time.monotonic()."""
        return self.at + self.ms / 1000


class Provider(Application):
    """A Dubbo application that offers both services over each of its protocols."""

    kind: ClassVar[str] = "Dubbo provider"

    def __init__(self, directory: Path, offer: Offer) -> None:
        """Choose its ports; raises rig.bed.Missing or BuildFailed."""
        self.offer = offer
        self.ports = {protocol: free_port() for protocol in offer.protocols}
        protocols = ",".join(f"{protocol}:{port}" for protocol, port in self.ports.items())
        command, environment = _program(
            "Provider", directory, offer, protocols=protocols, labels=""
        )
        labels = ";".join(f"{name}={value}" for name, value in offer.labels.items())
        environment = {**environment, "DUBBO_LABELS": labels}
        super().__init__(offer.name, directory, command, environment=environment)

    def url(self, protocol: str) -> str:
        """Return where it is called by that protocol."""
        return f"{protocol}://{self.offer.host}:{self.ports[protocol]}"

    async def offline(self) -> None:
        """Let it take back all that it registered, and go on answering; of Dubbo 3 only."""
        await self.order("offline")


class Calling:
    """The calls that a consumer makes by itself for a while."""

    def __init__(self, consumer: Application) -> None:
        """Begin with what comes from now on."""
        self._consumer = consumer
        self._begun = len(consumer.log)

    @property
    def made(self) -> list[Call]:
        """What came of each call until now, in their order."""
        log = self._consumer.log[self._begun :]
        return [call for call in _calls(log) if call.order == "every"]


class Consumer(Application):
    """A Dubbo application that calls one service when it is told to."""

    kind: ClassVar[str] = "Dubbo consumer"

    def __init__(
        self,
        directory: Path,
        need: Need,
        *,
        hosts: Path | None = None,
        before: Sequence[str | Path] = (),
    ) -> None:
        """Describe it, and what runs it: ``before`` stands before its command.

        It looks names up in the file ``hosts``, and then nowhere else. Raises rig.bed.Missing or
        BuildFailed.
        """
        sent = {**need.attachments, **({"dubbo.tag": need.tag} if need.tag else {})}
        milliseconds = str(round(need.timeout * 1000))
        command, environment = _program(
            "Consumer", directory, need, attachments=_word(sent), timeout=milliseconds
        )
        if hosts is not None:
            command = [command[0], f"-Djdk.net.hosts.file={hosts}", *command[1:]]
        super().__init__(need.name, directory, [*before, *command], environment=environment)

    async def call(self, times: int = 1, *, within: float = 60.0) -> list[Call]:
        """Call so many times, one after the other; return what came of each."""
        written = await self.order(f"call {times}", within=within)
        return [call for call in _calls(written) if call.order == "call"]

    @asynccontextmanager
    async def calling(self, every: float) -> AsyncGenerator[Calling]:
        """Keep calling, ``every`` seconds after each answer, until the context ends."""
        calling = Calling(self)
        await self.order(f"every {round(every * 1000)}")
        try:
            yield calling
        finally:
            await self.order("every 0", within=60)


def _calls(log: str) -> list[Call]:
    """Read the calls out of what a consumer wrote; a last line that is not whole is left out."""
    lines = log[: log.rfind("\n") + 1].splitlines()
    return [Call.model_validate_json(line) for line in lines if line.startswith('{"order":')]


def _program(
    main: str, directory: Path, options: Offer | Need, **words: str
) -> tuple[Sequence[str], Mapping[str, str]]:
    """Return the command and the environment; ``words`` say what the options say in another way."""
    built = build(f"dubbo{options.release}")
    said = {each.name: _word(getattr(options, each.name)) for each in fields(options)}
    said |= {"app": options.app or options.name, **words}
    command = java(
        built,
        f"meshbridge.peers.{main}",
        [f"{name}={value}" for name, value in said.items() if value],
        home=directory / options.name,
        options=[
            "-Ddubbo.application.logger=slf4j",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            # Under Dubbo's end it tells a stack trace for each node that it watched.
            "-Dorg.slf4j.simpleLogger.log.org.apache.curator.framework.recipes.cache.NodeCache=off",
            *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED),
        ],
    )
    return command, on_loopback(built, options.host)


def _word(value: object) -> str:
    """Return an option's value as the command line has it; empty if nothing is said."""
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, str]", value)
        return ";".join(f"{name}:{each}" for name, each in pairs.items())
    return "" if value is None else str(value)
