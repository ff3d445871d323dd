"""Looks again and again at what an istiod has taken over, and tells of what it has not.

It promises: an istiod is asked one thing at a time and never more than once in 10 s; what goes
wrong here harms nobody who is served; and an outage is said once, and once its end.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Never

from prometheus_client import CollectorRegistry, Gauge

from meshbridge.errors import BadData
from meshbridge.outlet import OutletContext
from meshbridge.problems import Problem, ProblemKind
from meshbridge.turns import Turns
from meshbridge_mcp.asking import Unreadable, ask
from meshbridge_mcp.configz import one_by_one
from meshbridge_mcp.taken_over import Lack, Look, compare
from meshbridge_xds.offers import Offer, Offers

EVERY = 30.0
"""Seconds between two looks where nothing changes."""
AFTER = 2.0
"""Seconds after a change until the next look: what istiod takes a change over in, and more."""
APART = 10.0
"""Seconds at least between two looks: ten thousand services cost istiod half a second each."""

Ask = Callable[[str], Awaitable[bytes | bytearray]]
"""Asks an istiod for all it holds, by where it answers; raises Unreadable."""


class FeedbackMetrics:
    """What is counted of each istiod; as many as the configuration names."""

    def __init__(self, outlet: str, registry: CollectorRegistry) -> None:
        """Register the metrics under the outlet's name."""
        self.outlet = outlet
        self.up = Gauge(
            f"meshbridge_{outlet}_istiod_up",
            "1 while what the istiod holds can be read.",
            ("istiod",),
            registry=registry,
        )
        self.lacking = Gauge(
            f"meshbridge_{outlet}_not_taken_over",
            "Resources that the istiod has not taken over in time, by what it holds instead.",
            ("istiod", "instead"),
            registry=registry,
        )


class Feedback:
    """Follows one istiod."""

    def __init__(
        self,
        origin: str,
        offers: Offers,
        context: OutletContext,
        metrics: FeedbackMetrics,
        asking: Ask = ask,
    ) -> None:
        """Begin before the first look; ``origin`` is where it answers."""
        self._origin, self._name = origin, f"istiod {origin}"
        self._offers = offers
        self._context = context
        self._logger = context.logger.bind(istiod=origin)
        self._metrics = metrics
        self._asking = asking
        self._turns = Turns()
        self._look: Look | None = None
        self._unreadable_since: float | None = None
        self._late_since: float | None = None
        self._fault = ""
        """What kind of fault of ours was logged last."""

    async def follow(self) -> Never:
        """Look until cancelled."""
        changed = asyncio.Event()
        changed.set()  # whether it can be read at all is to be known at once
        self._offers.watch(changed)
        try:
            while True:
                await self._wait(changed)
                await self._try()
                await asyncio.sleep(APART)
        finally:
            self._offers.unwatch(changed)

    async def _wait(self, changed: asyncio.Event) -> None:
        """Wait for a change and until istiod has had time for it, or for the rest of the time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EVERY - APART):
                await changed.wait()
            changed.clear()
            await asyncio.sleep(AFTER)

    async def _try(self) -> None:
        """Look once."""
        if (offer := self._offers.newest) is None:
            return
        try:
            self._look = await self._compare(offer, await self._asking(self._origin))
        except (Unreadable, BadData) as error:
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001 - a fault here must not end the serving of istiod
            self._fail(f"{type(error).__name__}: {error}", fault=error)
        else:
            self._succeed(self._look)

    async def _compare(self, offer: Offer, answer: bytes | bytearray) -> Look:
        """Compare in slices: there may be tens of megabytes."""
        look = Look(self._context.clock(), self._look)
        offered = {kind: each.listed for kind, each in offer.sets.items() if each is not None}
        async with self._turns.turn() as turn:
            for lacking in compare(offered, one_by_one(answer)):
                if lacking is not None:
                    look.take(lacking)
                await turn.breathe()
        return look

    def _fail(self, reason: str, fault: Exception | None = None) -> None:
        kind = type(fault).__name__ if fault else ""
        if self._unreadable_since is None or (kind and kind != self._fault):
            if self._unreadable_since is None:
                self._unreadable_since = self._context.clock()
            self._fault = kind
            self._logger.warning(
                "istiod unreadable",
                reason=reason,
                next=f"serving goes on; asking again every {EVERY:g} s",
                exc_info=fault,
            )
        self._metrics.up.labels(self._origin).set(0)
        self._show(
            Problem(
                registry=self._metrics.outlet,
                subject=self._name,
                kind=ProblemKind.OTHER,
                reason=f"what it has taken over is not known: {reason}",
                remedy="it is served on; let it be reached, or correct `outlets.mcp.debug`",
            )
        )

    def _succeed(self, look: Look) -> None:
        if self._unreadable_since is not None:
            self._logger.info("istiod readable", after_seconds=self._since(self._unreadable_since))
            self._unreadable_since = None
        self._metrics.up.labels(self._origin).set(1)
        for lack in Lack:
            self._metrics.lacking.labels(self._origin, lack.value).set(look.counts[lack])
        self._say_late(look)
        self._show()

    def _say_late(self, look: Look) -> None:
        if look.late and self._late_since is None:
            self._late_since = self._context.clock()
            self._logger.warning(
                "resources not taken over",
                resources=[str(each) for each in look.late[:10]],
                count=look.counts.total(),
                next="/api/problems says of each what istiod holds instead",
            )
        elif not look.late and self._late_since is not None:
            self._logger.info("resources taken over", after_seconds=self._since(self._late_since))
            self._late_since = None

    def _show(self, *more: Problem) -> None:
        """Show what the last look found, also while there can be no other one."""
        late = self._look.problems(self._metrics.outlet, self._name) if self._look else []
        self._context.problems(("feedback", self._origin), (*late, *more))

    def _since(self, when: float) -> float:
        return round(self._context.clock() - when, 3)
