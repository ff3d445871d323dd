"""How quickly one subscriber answers the responses of one type."""


class Pace:
    """Times the responses of one stream and type, of which at most one is unanswered."""

    __slots__ = ("responses", "seconds", "since")

    def __init__(self) -> None:
        """Start before the first response."""
        self.responses = 0
        """How many were handed to the transport."""
        self.since: float | None = None
        """When the one that is unanswered was, on a monotonic clock; ``None``: none is."""
        self.seconds: float | None = None
        """How long the one that was accepted last took."""

    def begin(self, now: float) -> None:
        """Note that a response is handed over; who never takes it never answers it either."""
        self.responses += 1
        self.since = now

    def end(self, now: float, *, accepted: bool) -> float | None:
        """Note the answer; return what an acceptance took, in seconds."""
        since, self.since = self.since, None
        if since is None or not accepted:
            return None
        self.seconds = now - since
        return self.seconds

    def lag(self, now: float) -> float | None:
        """Return for how many seconds a response has been unanswered; ``None``: none is."""
        return None if self.since is None else now - self.since
