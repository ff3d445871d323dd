"""The ``guard:`` block of a registry: how much it may lose at once, and what is waited for."""

from datetime import timedelta

from pydantic import Field

from meshbridge.guard import GuardRules
from meshbridge.settings.section import Section
from meshbridge.settings.values import Duration, Share

_HOLD_SERVICE = timedelta(seconds=30)


class GuardOptions(Section):
    """What may vanish from a registry without a person's word; see docs/guard.md."""

    max_loss: Share = 0.5
    """The share of its instances, or services, beyond which what vanishes is kept until released"""
    min_size: int = Field(default=10, ge=0, le=1_000_000)
    """Instances, or services, below which that share is not judged"""
    window: Duration = timedelta(minutes=5)
    """How long the most that was listed is remembered"""
    hold_service: Duration | None = None
    """How long a service's last instances are kept; 30s, or 0s if the adapter's settle is 0s"""
    settle: Duration | None = None
    """How long a registry must be quiet to count as refilled; the adapter's own if not set"""
    allow_empty: bool | None = None
    """Whether it may be empty at a first start; true if the adapter's settle is 0s"""
    hold: Duration | None = None
    """After how long a loss beyond max-loss passes by itself; never if not set"""

    def rules(self, settle: timedelta) -> GuardRules:
        """Return the rules in seconds; ``settle`` is the adapter's own.

        An adapter whose own is 0 reads something that is meant as it stands, like a file: nobody
        needs time to register again, so last instances go at once and empty may be true.
        """
        meant = not settle
        hold_service = timedelta(0) if meant else _HOLD_SERVICE
        return GuardRules(
            self.max_loss,
            self.min_size,
            self.window.total_seconds(),
            (hold_service if self.hold_service is None else self.hold_service).total_seconds(),
            (settle if self.settle is None else self.settle).total_seconds(),
            meant if self.allow_empty is None else self.allow_empty,
            None if self.hold is None else self.hold.total_seconds(),
        )
