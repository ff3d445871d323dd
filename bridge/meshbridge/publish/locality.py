"""Finds where an instance runs: in its metadata, its registry's zone, or its address."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from meshbridge.publish.addresses import Network, parse
from meshbridge.registration import Metadata
from meshbridge.service import Locality

LocalitySource = Literal["metadata", "cluster", "cidr"]

_KEYS: Final = (
    ("region", "topology.kubernetes.io/region"),
    ("zone", "topology.kubernetes.io/zone"),
    ("sub-zone", "subzone", "topology.istio.io/subzone"),
)
_TELLING: Final = frozenset(key for keys in _KEYS for key in keys)
_DEPTH: Final = 3
_LONGEST: Final = 63

NOWHERE: Final = Locality()


class UnreadableLocality(ValueError):  # noqa: N818 - says what it is
    """A zone that cannot be carried: too many parts, too long, or not printable."""


@dataclass(frozen=True, slots=True)
class LocalityTable:
    """Localities by network, the most specific network first."""

    rows: tuple[tuple[Network, Locality], ...] = ()

    def find(self, address: str) -> Locality:
        """Return the locality of the most specific network that holds this address; names: none."""
        parsed = parse(address) if self.rows else None
        for network, locality in self.rows:
            if parsed is not None and parsed in network:
                return locality
        return NOWHERE


@lru_cache(maxsize=4_096)
def read_locality(text: str) -> Locality:
    """Read ``region/zone/sub-zone``, of which the last parts may be missing.

    Raises :class:`UnreadableLocality`.
    """
    parts = [part.strip() for part in text.split("/")]
    if len(parts) > _DEPTH:
        message = "it has more than the three parts region/zone/sub-zone"
        raise UnreadableLocality(message)
    if any(len(part) > _LONGEST or not part.isprintable() for part in parts):
        message = "a part is longer than 63 characters or not printable"
        raise UnreadableLocality(message)
    return Locality(*parts)


def _read_zone(text: str) -> Locality:
    """Read what a registry calls a zone: a single word, or a path like any other.

    Raises :class:`UnreadableLocality`.
    """
    return read_locality(text if "/" in text else f"/{text}")


@lru_cache(maxsize=4_096)
def _from_metadata(pairs: Metadata) -> Locality:
    """Read the locality of the pairs whose keys tell one.

    Raises :class:`UnreadableLocality`.
    """
    found = {key: value for key, value in pairs if value}
    region, zone, sub_zone = (
        next((found[key] for key in keys if key in found), "") for keys in _KEYS
    )
    if "/" in zone and not region and not sub_zone:
        return read_locality(zone)
    return read_locality(f"{region}/{zone}/{sub_zone}")


def locate(
    metadata: Metadata,
    zone: str,
    address: str,
    sources: Sequence[LocalitySource],
    table: LocalityTable,
) -> Locality:
    """Return the locality that the first of the sources knows which knows any.

    Raises :class:`UnreadableLocality` where that source holds what cannot be carried.
    """
    for source in sources:
        if source == "metadata":
            pairs = [pair for pair in metadata if pair[0] in _TELLING]
            found = _from_metadata(tuple(pairs)) if pairs else NOWHERE
        elif source == "cluster":
            found = _read_zone(zone) if zone else NOWHERE
        else:
            found = table.find(address)
        if found != NOWHERE:
            return found
    return NOWHERE
