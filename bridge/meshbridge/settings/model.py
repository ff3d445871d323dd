"""The configuration as the bridge uses it: validated, with every plug-in's options in its type."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, model_validator
from pydantic_core import PydanticCustomError

from meshbridge.adapter import AdapterType
from meshbridge.admin.place import fault_of
from meshbridge.outlet import OutletType
from meshbridge.publish.registry import Registry
from meshbridge.settings.guard import GuardOptions
from meshbridge.settings.listen import Address, ListenAddress, refuse_open_listener
from meshbridge.settings.section import Section
from meshbridge.settings.values import ConfigPath, Share

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def _check_name(value: str) -> str:
    if not _LABEL.fullmatch(value):
        kind = "name"
        message = "must be lower-case letters, digits and hyphens between them, at most 63"
        raise PydanticCustomError(kind, message)
    return value


class RegistryHead(Section):
    """What every registry's entry has, beside its adapter's own options."""

    name: Annotated[str, AfterValidator(_check_name)]
    """Its label in every metric, log line, resource and message"""
    adapter: str
    """The adapter that reads it; see `meshbridge adapters`"""
    required: bool = True
    """Whether the first answer waits for it"""


class StatusOptions(Section):
    """The status server: probes, metrics and /api, read only."""

    listen: ListenAddress = Address("127.0.0.1", 15014)
    """Where to listen; beyond loopback it needs tls: none"""
    tls: Literal["none"] | None = None
    """none, to listen beyond loopback in the clear: nothing secret is served"""

    @model_validator(mode="after")
    def _in_the_clear_only_on_loopback(self) -> Self:
        refuse_open_listener(self.listen, tls=self.tls is not None)
        return self


def _check_socket(path: Path) -> Path:
    if (fault := fault_of(path)) is not None:
        kind = "socket"
        raise PydanticCustomError(kind, "{fault}", {"fault": fault})
    return path


def _or_nothing(value: object) -> object:
    """Take ``none`` for what it says, as ``status: none`` does, and not for a path."""
    return None if value == "none" else value


class KeepingOptions(Section):
    """What outlives one run of the bridge, and how a person reaches it."""

    admin: Annotated[
        Annotated[ConfigPath, AfterValidator(_check_socket)] | None, BeforeValidator(_or_nothing)
    ] = None
    """The Unix socket on which commands reach the running bridge; without it there is none"""
    state: Annotated[ConfigPath | None, BeforeValidator(_or_nothing)] = None
    """The directory of stored state; without it nothing is kept"""
    max_loss: Share = 0.5
    """The share of what is served that a change of this file may remove"""


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """One registry."""

    name: str
    adapter: str
    """The name of its adapter's entry point."""
    adapter_type: AdapterType
    options: BaseModel
    """An instance of ``adapter_type.Options``."""
    required: bool
    """Whether the first answer waits for it."""
    publish: Registry
    """What of it is published, and how."""
    guard: GuardOptions = field(default_factory=GuardOptions)
    """What it may lose without a person's word."""
    files: Mapping[Path, str] = field(default_factory=dict[Path, str])
    """The files that the options name, like certificates, each with a digest of its content."""


@dataclass(frozen=True, slots=True)
class OutletSettings:
    """One outlet."""

    name: str
    outlet_type: OutletType
    options: BaseModel
    """An instance of ``outlet_type.Options``."""
    files: Mapping[Path, str] = field(default_factory=dict[Path, str])
    """The files that the options name, each with a digest of its content."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole configuration file."""

    path: Path
    registries: tuple[RegistrySettings, ...]
    """In order of priority for a host that two of them claim."""
    outlets: tuple[OutletSettings, ...]
    status: StatusOptions | None
    """``None`` when it is switched off."""
    keeping: KeepingOptions = field(default_factory=KeepingOptions)
    """Stored state, the admin socket, and what a change of the file may remove."""
    files: frozenset[Path] = frozenset()
    """Every file that it was read from, beside its own: secrets and certificates."""
