"""What a FaultProxy did, so that a test can tell that a fault has really happened."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Flow:
    """What was done to the bytes of all connections that go one way."""

    forwarded: int = 0
    """Bytes handed on to the system, changed or not."""
    altered: int = 0
    """Bytes of them that differ from what was sent."""
    slowed: int = 0
    """Bytes of them that a Delay or a Throttle concerned."""
    dropped: int = 0
    """Bytes that came in and were never handed on."""
    hangs: int = 0
    """Times that a connection had something to say that way and a Hang held it back."""


@dataclass(slots=True)
class Counts:
    """What a proxy did since it was made."""

    taken: int = 0
    """Connections taken."""
    refusals: int = 0
    """Times that it began to refuse. What the system refuses meanwhile, nobody can count."""
    starved: int = 0
    """Times that a connection had to wait until the system had a file or memory for it again."""
    reset: int = 0
    """Connections that a Reset ended."""
    truncated: int = 0
    """Connections that a Truncate ended."""
    unreachable: int = 0
    """Connections whose target took none."""
    to_server: Flow = field(default_factory=Flow)
    to_client: Flow = field(default_factory=Flow)
