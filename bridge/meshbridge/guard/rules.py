"""What a guard goes by: the settings of one registry, in seconds and shares."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GuardRules:
    """How much a registry may lose at once, and how long what it lost is waited for."""

    max_loss: float = 0.5
    """The share of the peak, from 0 to 1, beyond which what vanishes waits for a person."""
    min_size: int = 10
    """Instances, or services, below which a peak is too small to tell an accident from a wish."""
    window: float = 300.0
    """Seconds for which the peak remembers, and a new instance may stand in for an older one."""
    hold_service: float = 30.0
    """Seconds for which the last instances of a service are kept after they vanished."""
    settle: float = 20.0
    """Seconds of quiet after which a registry that was away counts as refilled."""
    allow_empty: bool = False
    """Whether an empty registry may be the truth at a first start."""
    hold: float | None = None
    """Seconds after which a loss beyond ``max_loss`` passes by itself; ``None``: never."""
