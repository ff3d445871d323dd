"""How the configuration file stands: in force or refused, and how often it was read again."""

import enum
from collections import Counter
from dataclasses import dataclass, field


class Result(enum.StrEnum):
    """What came of reading the configuration again: the label of the metric."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    """It says what is in force."""
    INVALID = "invalid"
    """It has faults, or needs something that cannot be had or changed in a running bridge."""
    REFUSED = "refused"
    """It would take away more than ``max-loss``."""


@dataclass(slots=True)
class Configuration:
    """What is known of the configuration file of a running bridge."""

    admin: bool = True
    """Whether the bridge can be told anything: it has an admin socket."""
    socket: str = ""
    """Where commands must be told to look for it; empty: they look there anyway."""
    counts: Counter[Result] = field(default_factory=Counter[Result])
    """How often reading it again came to what."""
    refused: tuple[str, ...] = ()
    """Why the file as it stands is not in force, a line each; empty: it is."""
    withheld: tuple[str, ...] = ()
    """Why nothing is answered since the start, a line each; empty: that is not the reason."""
