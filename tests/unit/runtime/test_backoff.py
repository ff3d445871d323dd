"""How long a registry is left alone: jittered, bounded, and never a hammering."""

import asyncio
import itertools
from typing import Never

from hypothesis import given
from hypothesis import strategies as st
from unit.runtime.examples import Log, Scripted, bridge, service

from meshbridge import Emit, Listing, RegistryUnavailable
from meshbridge.outage import STEADY, Backoff, Failure
from meshbridge.testing import Clock

attempts = st.lists(
    st.tuples(st.sampled_from(Failure), st.sampled_from((0.0, 1.0, 29.0, 31.0))),
    min_size=1,
    max_size=100,
)


@given(attempts)
def test_each_wait_is_within_its_bounds_and_grows_from_the_last_steady_watch(
    played: list[tuple[Failure, float]],
) -> None:
    """Up to 1 s, 2 s, 3 s; to 30 s for a fault; for a refusal from 5 s to 15 s ... 5 minutes."""
    backoff, failed = Backoff(), 0
    for failure, lasted in played:
        failed = 1 if lasted >= STEADY else failed + 1
        wait = backoff.next(failure, lasted)
        if failure is Failure.REJECTED:
            assert 5 <= wait <= min(300, 15 * 2 ** (failed - 1))
        else:
            longest = 3 if failure is Failure.UNAVAILABLE else 30
            assert 0.5 <= wait <= min(longest, 2 ** (failed - 1))


@given(st.lists(st.sampled_from((0.0, 0.2, 29.0, 31.0)), min_size=50, max_size=100))
def test_there_is_no_more_than_one_attempt_in_a_second_on_average(lasted: list[float]) -> None:
    """However its watches flap."""
    backoff = Backoff()
    seconds = sum(each + backoff.next(Failure.UNAVAILABLE, each) for each in lasted)
    assert seconds >= len(lasted)


def test_waits_are_drawn_from_the_whole_range() -> None:
    """Full jitter: replicas that lost a registry together do not come back together."""
    waits: list[float] = []
    for _ in range(300):
        backoff = Backoff()
        waits.append([backoff.next(Failure.UNAVAILABLE, 0) for _ in range(8)][-1])
    assert min(waits) < 1
    assert max(waits) > 2.5


def test_a_connection_that_is_waited_for_long_and_never_comes_is_no_steady_watch() -> None:
    """Each attempt takes 31 s to fail: the waits grow all the same."""
    assert _longest_wait(31, says=False) > 1.5


def test_a_watch_that_lasted_half_a_minute_begins_anew() -> None:
    """And one that lasted a second less does not."""
    assert _longest_wait(31, says=True) <= 1.001
    assert _longest_wait(29, says=True) > 1.5


def _longest_wait(lasts: float, *, says: bool) -> float:
    clock = Clock()
    begun: list[float] = []

    class Flaps(Scripted):
        async def watch(self, emit: Emit) -> Never:
            begun.append(clock())
            if says:
                emit(Listing("all", (service("orders", 80),)))
            await clock.sleep(lasts)
            raise RegistryUnavailable("down")

    async def scenario() -> None:
        made = bridge(clock, Log(), lambda context: Flaps(context, RegistryUnavailable("")))
        running = asyncio.create_task(made.run())
        await clock.sleep(3_600)
        running.cancel()
        await asyncio.wait([running])

    clock.run(scenario())
    return max(later - earlier for earlier, later in itertools.pairwise(begun)) - lasts
