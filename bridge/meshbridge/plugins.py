"""Finds adapters and outlets among the installed packages, and loads only those configured."""

from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Literal, cast

from pydantic import BaseModel

from meshbridge.adapter import AdapterType
from meshbridge.errors import ConfigurationError
from meshbridge.outlet import OutletType
from meshbridge.settings.faults import nearest

Group = Literal["adapters", "outlets"]
Pluggable = AdapterType | OutletType
OWN = "meshbridge"
"""The distribution whose plug-ins are built in."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed adapter or outlet, by the name that users configure."""

    group: Group
    name: str
    distribution: str
    version: str
    entry: EntryPoint

    @property
    def builtin(self) -> bool:
        """Whether it came with the bridge."""
        return self.distribution == OWN

    @property
    def singular(self) -> str:
        """``adapter`` or ``outlet``."""
        return self.group.removesuffix("s")

    def __str__(self) -> str:
        """Return what messages call it."""
        return f'{self.singular} "{self.name}" of {self.distribution} {self.version}'


def installed(group: Group) -> tuple[Plugin, ...]:
    """Return all plug-ins of a group, by name, without loading one."""
    return tuple(
        sorted(
            (_plugin(group, entry) for entry in entry_points(group=f"meshbridge.{group}")),
            key=lambda plugin: (plugin.name, plugin.distribution),
        )
    )


def load_adapter(name: str) -> AdapterType:
    """Import the adapter that users configure as ``name``.

    Raises ConfigurationError when none or several have the name, or it cannot be used.
    """
    return cast("AdapterType", load(find("adapters", name)))


def load_outlet(name: str) -> OutletType:
    """Import the outlet that users configure as ``name``; raises like :func:`load_adapter`."""
    return cast("OutletType", load(find("outlets", name)))


def find(group: Group, name: str) -> Plugin:
    """Return the plug-in of that name, without loading it.

    Raises ConfigurationError when there is none, and when two distributions claim the name: which
    one would run must not depend on the order of a directory.
    """
    everything = installed(group)
    found = [plugin for plugin in everything if plugin.name == name]
    if not found:
        names = sorted({plugin.name for plugin in everything})
        raise ConfigurationError(
            f'found "{name}"; {nearest(name, names)}installed: {", ".join(names) or "none"}'
        )
    if len(found) > 1:
        owners = " and ".join(f"{plugin.distribution} {plugin.version}" for plugin in found)
        raise ConfigurationError(f'"{name}" is claimed by {owners}; uninstall one of them')
    return found[0]


def load(plugin: Plugin) -> Pluggable:
    """Import the plug-in and return what its entry point names.

    Raises ConfigurationError when it cannot be imported, or has no ``Options`` model.
    """
    remedy = f"reinstall or upgrade {plugin.distribution}"
    try:
        loaded: object = plugin.entry.load()
    except Exception as error:  # a stranger's code; the user must learn whose it is
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigurationError(f"{plugin} cannot be loaded: {reason}; {remedy}") from error
    options = getattr(loaded, "Options", None)
    if not callable(loaded) or not isinstance(options, type) or not issubclass(options, BaseModel):
        raise ConfigurationError(
            f"{plugin} is no {plugin.singular}: {plugin.entry.value} has no pydantic model named "
            f"Options; {remedy}"
        )
    return cast("Pluggable", loaded)


def _plugin(group: Group, entry: EntryPoint) -> Plugin:
    source: Distribution | None = entry.dist
    name = source.metadata["Name"] if source else "an unknown distribution"
    return Plugin(group, entry.name, name, source.version if source else "?", entry)
