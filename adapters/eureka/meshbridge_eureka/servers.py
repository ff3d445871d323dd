"""Which server of a Eureka cluster to ask next; pure.

Its servers tell each other what is registered with them, each at its own pace. So whoever has
asked one goes on with it, until it fails.
"""

from collections.abc import Sequence

from meshbridge_eureka.options import Server


class Servers:
    """The servers of one cluster."""

    def __init__(self, servers: Sequence[Server], zone: str) -> None:
        """Prefer those of ``zone``, where it is not empty; else they are tried as written."""
        self._zone = zone
        self._all = tuple(sorted(servers, key=self._is_far))
        self.current: Server | None = None
        """The one that answered last."""

    def _is_far(self, server: Server) -> bool:
        return bool(self._zone) and server.zone != self._zone

    def order(self, *, home: bool) -> tuple[Server, ...]:
        """Return all of them in the order in which to try them.

        First the one that answered last, then those that follow it. Where that is one of another
        zone, those of our own are first again if ``home`` says so: now and then.
        """
        current = self.current
        if current is None or (home and self._is_far(current)):
            return self._all
        begin = self._all.index(current)
        return tuple(
            sorted(
                self._all[begin:] + self._all[:begin],
                key=lambda each: (each is not current, self._is_far(each)),
            )
        )
