"""How each registry stands, as ``/api/registries`` shows it."""

from dataclasses import dataclass

from meshbridge.outage import Failure

WATCHING = "watching"
"""The state of a registry that is not failing."""


@dataclass(frozen=True, slots=True)
class ScopeState:
    """How one scope of a registry stands."""

    scope: str
    listed: bool
    """Whether it was ever read whole."""
    stale: str | None
    """Why it cannot be read now."""
    stale_seconds: float
    """For how long; 0 while it can be read."""
    updated_at: float | None
    """Unix time of the last word about its content; that it cannot be read is none."""
    services: int
    instances: int
    """Instances of them: listed ones, withdrawn ones too, and those that are held."""
    serving: int
    """Services with listed instances that are neither disabled nor draining nor of weight 0."""
    held: int
    """Instances that the registry no longer lists."""
    guard: str
    """How the guard sees it: ``settled``, ``settling`` or ``in loss``."""
    ready: bool
    """Whether the bridge's first answer need not wait for it: it waits for no scope but those that
    the options name."""


@dataclass(frozen=True, slots=True)
class Together:
    """What is known of all scopes of one registry together."""

    services: int
    instances: int
    serving: int
    read: bool
    """Whether each of them was read."""


@dataclass(frozen=True, slots=True)
class RegistryState:
    """How one registry stands."""

    name: str
    required: bool
    state: str
    """``watching``, or why it is not: ``unavailable``, ``rejected``, ``adapter-fault``."""
    reason: str
    seconds: float
    """For how long it has been in this state."""
    restarts: int
    updates: int
    scopes: tuple[ScopeState, ...]

    @property
    def failure(self) -> Failure | None:
        """Why it is not being watched; ``None`` while it is."""
        return None if self.state == WATCHING else Failure(self.state)

    @property
    def together(self) -> Together:
        """What is known of all its scopes together."""
        return Together(
            sum(each.services for each in self.scopes),
            sum(each.instances for each in self.scopes),
            sum(each.serving for each in self.scopes),
            all(each.listed for each in self.scopes),
        )

    @property
    def awaited(self) -> tuple[ScopeState, ...]:
        """The scopes for which the first answer waits."""
        return tuple(each for each in self.scopes if self.required and not each.ready)

    @property
    def missing(self) -> tuple[ScopeState, ...]:
        """The scopes that were never read whole."""
        return tuple(scope for scope in self.scopes if not scope.listed)
