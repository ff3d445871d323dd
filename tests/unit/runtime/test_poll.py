"""A coroutine that reads a scope whole becomes a watch that keeps the laws."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from unit.runtime.examples import service, sid

from meshbridge import (
    Changed,
    Fetched,
    Listing,
    RegistryRejected,
    RegistryUnavailable,
    Removed,
    Stale,
    poll,
)
from meshbridge.adapter import Update
from meshbridge.testing import Clock, Recorder, context

Answer = Fetched | Exception


def polled(answers: dict[str, list[Answer]], rounds: int = 10) -> list[Update]:
    """Return what is said while each scope gives its answers, the last one again and again."""
    clock = Clock()

    async def fetch(scope: str) -> Fetched:
        left = answers[scope]
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def main() -> list[Update]:
        recorder = Recorder()
        watch = poll(
            fetch,
            every=timedelta(seconds=5),
            scopes=tuple(answers),
            context=context(recorder.report, clock),
        )
        try:
            async with asyncio.timeout(5 * rounds):
                await watch(recorder.emit)
        except TimeoutError:
            return recorder.updates
        raise AssertionError

    return clock.run(main())


def holds(*ports: int) -> Fetched:
    """Return orders with instances at these ports, and carts."""
    return Fetched((service("orders", *ports), service("carts", 1)))


def test_only_what_changed_is_said_after_the_first_listing() -> None:
    """The first is whole; then one update for each service that differs."""
    said = polled({"s": [holds(1), holds(1), holds(1, 2), Fetched((service("carts", 1),))]})
    assert said == [
        Listing("s", holds(1).services),
        Changed("s", service("orders", 1, 2)),
        Removed("s", sid("orders")),
    ]


def test_a_scope_that_fails_is_stale_and_listed_again_with_the_gap() -> None:
    """While the other one goes on."""
    said = polled({"s": [holds(1), OSError("reset"), OSError("reset"), holds(1)], "t": [holds(1)]})
    assert said == [
        Listing("s", holds(1).services),
        Listing("t", holds(1).services),
        Stale("s", "reset"),
        Listing("s", holds(1).services, after_gap=True),
    ]


@pytest.mark.parametrize(
    ("raised", "leaves"),
    [
        (OSError("reset"), RegistryUnavailable),
        (TimeoutError(), RegistryUnavailable),
        (RegistryUnavailable("503"), RegistryUnavailable),
        (RegistryRejected("401"), RegistryRejected),
    ],
)
def test_when_every_scope_fails_the_watch_raises_what_the_sdk_knows(
    raised: Exception, leaves: type[Exception]
) -> None:
    """Then the supervisor backs off."""
    with pytest.raises(leaves):
        polled({"s": [holds(1), raised]})


def test_a_call_that_never_ends_is_an_outage() -> None:
    """A server that accepts and is silent must not stop the polling for ever."""
    clock = Clock()

    async def fetch(_: str) -> Fetched:
        await asyncio.Event().wait()
        raise AssertionError

    async def main() -> None:
        recorder = Recorder()
        await poll(
            fetch,
            every=timedelta(seconds=5),
            scopes=("s",),
            context=context(recorder.report, clock),
            within=timedelta(seconds=7),
        )(recorder.emit)

    with pytest.raises(RegistryUnavailable, match="no answer within 7 s"):
        clock.run(main())
    assert clock() == pytest.approx(1_007)


def test_a_scope_that_hangs_does_not_hold_up_the_others() -> None:
    """Each is read at its interval and told as soon as it was read."""
    clock, told, begun = Clock(), dict[str, float](), list[float]()

    async def fetch(scope: str) -> Fetched:
        if scope == "quick":
            begun.append(clock())
        if scope == "slow":
            await asyncio.Event().wait()
        return holds(1)

    async def main() -> None:
        recorder = Recorder()

        def emit(update: Update) -> None:
            told.setdefault(update.scope, clock())
            recorder.emit(update)

        async with asyncio.timeout(20):
            await poll(
                fetch,
                every=timedelta(seconds=5),
                scopes=("slow", "quick"),
                context=context(recorder.report, clock),
                within=timedelta(seconds=7),
            )(emit)

    with pytest.raises(TimeoutError):
        clock.run(main())
    assert told == pytest.approx({"quick": 1_000, "slow": 1_007})
    assert begun[:4] == pytest.approx([1_000, 1_005, 1_010, 1_015])


def test_a_foreign_exception_ends_the_watch_as_it_is() -> None:
    """A bug of the adapter is no outage, nor is it wrapped in a group."""
    with pytest.raises(KeyError, match="a bug"):
        polled({"s": [KeyError("a bug")], "t": [holds(1)]})


@pytest.mark.parametrize(
    ("raised", "reason"),
    [(ConnectionResetError(), "ConnectionResetError"), (TimeoutError(), "TimeoutError")],
)
def test_an_error_without_a_text_is_named_by_its_type(raised: Exception, reason: str) -> None:
    """It is not taken for the end of our own patience."""
    with pytest.raises(RegistryUnavailable, match=f"^{reason}$"):
        polled({"s": [raised]})


def test_an_unreadable_record_is_said_with_everything_until_it_is_mended() -> None:
    """Also its mending, for then nothing is named any more."""
    spoilt = Fetched((service("carts", 1),), (sid("orders"),))
    said = polled({"s": [holds(1), spoilt, spoilt, holds(1)]})
    assert said == [
        Listing("s", holds(1).services),
        Listing("s", spoilt.services, spoilt.unreadable),
        Listing("s", holds(1).services),
    ]


def test_polls_begin_at_the_interval_however_long_one_takes() -> None:
    """The time a call takes is not added to the interval."""
    clock, begun = Clock(), list[float]()

    async def fetch(_: str) -> Fetched:
        begun.append(clock())
        await clock.sleep(2)
        return holds(1)

    async def main() -> None:
        recorder = Recorder()
        kit: Callable[[], float] = clock
        watch = poll(
            fetch,
            every=timedelta(seconds=5),
            scopes=("s",),
            context=context(recorder.report, kit),
        )
        async with asyncio.timeout(16):
            await watch(recorder.emit)

    with pytest.raises(TimeoutError):
        clock.run(main())
    assert begun == pytest.approx([1_000, 1_005, 1_010, 1_015])
