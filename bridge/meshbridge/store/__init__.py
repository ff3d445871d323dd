"""Stored state: the last good registrations on disk, served at a start before any registry is."""

from meshbridge.store.record import Announcement
from meshbridge.store.store import Store, Stored, Timing, open_store

__all__ = ["Announcement", "Store", "Stored", "Timing", "open_store"]
