"""Keeps a registry's accident from emptying the mesh: see :mod:`meshbridge.guard.guard`."""

from meshbridge.guard.draft import Effective
from meshbridge.guard.entry import Entry, Held
from meshbridge.guard.guard import Guard
from meshbridge.guard.rules import GuardRules
from meshbridge.guard.scope import Scope, Size
from meshbridge.guard.selection import Selection
from meshbridge.guard.step import Release, Step

__all__ = [
    "Effective",
    "Entry",
    "Guard",
    "GuardRules",
    "Held",
    "Release",
    "Scope",
    "Selection",
    "Size",
    "Step",
]
