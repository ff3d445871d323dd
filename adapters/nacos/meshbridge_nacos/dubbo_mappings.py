"""Reads in reverse what Nacos' configuration says of who serves Dubbo's interfaces; pure.

Dubbo 3 names the applications in the text of ``<interface>`` in the group ``mapping``. Dubbo 2.7
makes a configuration of each instead: ``<application>`` in the group ``mapping-<interface>``
(NacosDynamicConfiguration.java turns the slash of its own name into a hyphen). Both leave service
definitions named ``<interface>:<version>:<group>:provider:<application>`` in the group ``dubbo``.
Nobody takes any of these back.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple, cast

from meshbridge import BadData
from meshbridge_dubbo import Variant
from meshbridge_nacos.parse import Record

MAPPING: Final = "mapping"
DEFINITIONS: Final = "dubbo"
_LEGACY: Final = f"{MAPPING}-"
_PROVIDER: Final = "provider"
_PARTS: Final = 5
"""Of a definition's name."""

Mapped = Mapping[str, Mapping[str, Collection[Variant]]]
"""The interfaces that each application serves; their groups and versions, where they are known."""


class Name(NamedTuple):
    """Names one configuration."""

    group: str
    data_id: str


def names_on(page: Record) -> list[Name]:
    """Return the configurations on a page of their list, of Nacos 2 or 3. Raises BadData."""
    data = page.get("data", page)
    items = cast("Record", data).get("pageItems") if isinstance(data, dict) else None
    if not isinstance(items, list):
        raise BadData("it lists no configurations")
    return list(_names(cast("list[object]", items)))


def to_read(names: Iterable[Name]) -> frozenset[str]:
    """Return the interfaces whose mapping must be read."""
    return frozenset(each.data_id for each in names if each.group == MAPPING)


def mapped(
    names: Iterable[Name], read: Mapping[str, Iterable[str]], definitions: Iterable[str]
) -> Mapped:
    """Return what all of it says together.

    ``names`` are those in the groups that begin with ``mapping``, ``read`` is what mappings say,
    ``definitions`` are names in the group ``dubbo``.
    """
    serves: dict[str, dict[str, set[Variant]]] = {}
    for interface, applications in read.items():
        for application in applications:
            serves.setdefault(application, {}).setdefault(interface, set())
    for group, application in names:
        if group.startswith(_LEGACY):
            interface = group.removeprefix(_LEGACY)
            serves.setdefault(application, {}).setdefault(interface, set())
    for definition in definitions:
        parts = definition.split(":")
        if len(parts) == _PARTS and parts[3] == _PROVIDER:
            interface, version, group, _, application = parts
            if interface in serves.get(application, ()):
                serves[application][interface].add(Variant(group, version))
    return serves


def _names(items: Iterable[object]) -> Iterator[Name]:
    for each in items:
        if isinstance(each, dict):
            item = cast("Record", each)
            group, data_id = item.get("group") or item.get("groupName"), item.get("dataId")
            if isinstance(group, str) and isinstance(data_id, str) and data_id:
                yield Name(group, data_id)
