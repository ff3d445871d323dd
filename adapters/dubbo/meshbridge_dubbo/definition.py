"""Reads of which group and version of an interface a service definition is; pure.

Dubbo 2.7 and 3 leave one of each interface that they export in their metadata report, whichever
way they register (``report-definition``, on unless it is turned off).
"""

from typing import NamedTuple

from meshbridge_dubbo.decoding import record, texts


class Variant(NamedTuple):
    """One way in which an interface is offered; empty where it has no group or no version."""

    group: str
    version: str


def read_definition(data: bytes) -> Variant:
    """Read a provider's FullServiceDefinition: its parameters are those of the exported URL.

    Raises BadData.
    """
    held = record(data, "the service definition")
    parameters = texts(held.get("parameters"), "its parameters")
    return Variant(parameters.get("group", ""), parameters.get("version", ""))
