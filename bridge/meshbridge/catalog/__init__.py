"""The catalog: merges what all registrations claim into one service per host, purely."""

from meshbridge.catalog.catalog import Catalog, Resolved

__all__ = ["Catalog", "Resolved"]
