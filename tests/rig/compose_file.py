"""Reads compose/compose.yaml as Compose does: its variables, its services, what each of them is.

A key that is not known here is refused: nobody could say that plain processes honour it.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, cast

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

FOLDER = Path(__file__).resolve().parents[2] / "compose"
FILE = FOLDER / "compose.yaml"
NETWORK = "mesh"

_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::-(?P<default>[^{}]*))?\}|)")
_DURATION = re.compile(r"(\d+)(ms|s|m)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


class ComposeRefused(Exception):  # noqa: N818 - it says what happened
    """The file holds what plain processes cannot follow; the message says where and what."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _seconds(value: object) -> object:
    """Read a duration with its unit."""
    found = _DURATION.fullmatch(str(value))
    if found is None:
        message = "must be a number with ms, s or m"
        raise ValueError(message)
    return int(found[1]) * _SECONDS[found[2]]


Seconds = Annotated[float, BeforeValidator(_seconds)]


class Health(_Part):
    """How it is found out whether a service is well, run inside it."""

    test: tuple[str, ...]
    """``CMD`` and a command."""
    interval: Seconds
    timeout: Seconds
    retries: int
    start_period: Seconds

    @property
    def patience(self) -> float:
        """Seconds after which Compose would call it unhealthy."""
        return self.start_period + self.retries * (self.interval + self.timeout)


class Build(_Part):
    """What its image is built from."""

    context: str
    dockerfile: str
    args: Mapping[str, str] = {}


class Place(_Part):
    """Where it is in the network."""

    ipv4_address: str
    aliases: tuple[str, ...] = ()


class Dependency(_Part):
    """What it waits for at another service before it starts."""

    condition: Literal["service_healthy", "service_started"]


class Service(_Part):
    """One service of the file, its variables replaced."""

    image: str
    build: Build | None = None
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}
    expose: tuple[int, ...] = ()
    """The ports that it listens on."""
    ports: tuple[str, ...] = ()
    """Those that the machine of the containers has, too: ``ADDRESS:PORT:PORT``."""
    volumes: tuple[str, ...] = ()
    healthcheck: Health | None = None
    depends_on: Mapping[str, Dependency] = {}
    networks: Mapping[str, Place]
    stdin_open: bool = False
    init: bool = False
    """Whether something else is its container's first process, which a process here never is."""
    logging: object = None
    """How long a container's log may be; a process' log goes with its folder."""

    @property
    def address(self) -> str:
        """Its address."""
        return self.networks[NETWORK].ipv4_address

    @property
    def aliases(self) -> tuple[str, ...]:
        """The names by which it is found besides its own."""
        return self.networks[NETWORK].aliases

    @property
    def peer(self) -> str:
        """Which folder of tests/peers/servers it is an application of; empty for none."""
        return self.build.args.get("PEER", "") if self.build else ""

    @property
    def files(self) -> Mapping[str, Path]:
        """The files that it gets, by where it finds them."""
        mounted = (each.split(":") for each in self.volumes)
        return {inside: (FOLDER / outside).resolve() for outside, inside, *_ in mounted}


class Compose(_Part):
    """The file."""

    name: str
    services: Mapping[str, Service]
    networks: Mapping[str, object]


def read(text: str, variables: Mapping[str, str]) -> Compose:
    """Return what it says with these variables.

    Raises ComposeRefused, also for a variable that has neither a value nor a default.
    """
    said = cast("Mapping[str, object]", yaml.safe_load(text))
    shown = {name: value for name, value in said.items() if not name.startswith("x-")}
    try:
        return Compose.model_validate(_replaced(shown, variables))
    except ValidationError as wrong:
        faults = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in wrong.errors())
        raise ComposeRefused("; ".join(faults)) from None


def _replaced(value: object, variables: Mapping[str, str]) -> object:
    """Replace the variables in all texts; keys have none."""
    match value:
        case str():
            return _VARIABLE.sub(partial(_replacement, variables), value)
        case list():
            return [_replaced(each, variables) for each in cast("list[object]", value)]
        case dict():
            pairs = cast("dict[str, object]", value)
            return {key: _replaced(each, variables) for key, each in pairs.items()}
        case _:
            return value


def _replacement(variables: Mapping[str, str], found: re.Match[str]) -> str:
    if found["dollar"]:
        return "$"
    # Compose takes an empty value for none where a default is given by ":-".
    value = variables.get(found["name"] or "") or found["default"]
    if value is None:
        message = f"${found['name'] or ''} has neither a value nor a default as in ${{NAME:-value}}"
        raise ComposeRefused(message)
    return value
