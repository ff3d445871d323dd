"""The small parts of the runtime: reports, turns, logs, and the clock that tests are given."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from unit.runtime.examples import service, sid

from meshbridge import Changed, Gone, Listing, RegistryRejected, RegistryUnavailable, Removed, Stale
from meshbridge.logs import configure, listening
from meshbridge.outage import STEADY, Backoff, Failure, failure_of, reason_of
from meshbridge.problems import ProblemKind, Problems
from meshbridge.reporting import Reports, Troubles
from meshbridge.testing import Clock
from meshbridge.turns import SLICE, Turns


@pytest.fixture
def untouched_logging() -> Iterator[None]:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def reasons(problems: Problems) -> list[str]:
    """Return the reasons of all problems."""
    return [each.reason for each in problems]


def test_a_report_holds_until_an_update_of_its_service_no_longer_names_it() -> None:
    """Whatever other services say meanwhile."""
    problems = Problems()
    reports = Reports("r", problems)
    spoilt = (sid("a"), "x:1")
    reports.report("s", spoilt, "not a number", "register it again")
    assert reasons(problems) == []
    reports.settle(Changed("s", service("a", 2), (spoilt,)))
    reports.settle(Changed("s", service("b", 2)))
    reports.settle(Removed("s", sid("b")))
    reports.settle(Listing("t", ()))
    reports.settle(Stale("s", "away"))
    assert reasons(problems) == ["not a number"]
    reports.settle(Listing("s", (service("a", 2),), (spoilt,)))
    assert reasons(problems) == ["not a number"]
    reports.settle(Changed("s", service("a", 1, 2)))
    assert reasons(problems) == []


@pytest.mark.parametrize("last", [Listing("s", ()), Removed("s", sid("a")), Gone("s")])
def test_a_report_goes_with_its_service(last: Listing | Removed | Gone) -> None:
    """Nobody needs to take it back."""
    problems = Problems()
    reports = Reports("r", problems)
    reports.report("s", sid("a"), "not JSON", "register it again")
    reports.settle(Listing("s", (), (sid("a"),)))
    assert reasons(problems) == ["not JSON"]
    reports.settle(last)
    assert reasons(problems) == []


def test_a_record_that_nobody_explained_is_shown_all_the_same() -> None:
    """Every drop is shown, and a hundred of one service are twenty and a number."""
    problems = Problems()
    reports = Reports("r", problems)
    named = tuple((sid("a"), f"x:{port}") for port in range(100))
    reports.settle(Listing("s", (), named))
    assert len(problems) == 21
    assert "80 more records cannot be read" in reasons(problems)
    assert any("did not say why" in reason for reason in reasons(problems))


def test_a_trouble_holds_until_it_is_taken_back() -> None:
    """Whatever is said of others."""
    problems = Problems()
    troubles = Troubles("shop", problems)
    troubles.show()
    troubles.say("server one", "it is closed", "open it")
    troubles.say("server two", "it is away")
    troubles.say("server three", "")
    troubles.say("server one", "it is locked", "unlock it")
    assert [str(each) for each in problems] == [
        "shop: server one: it is locked; unlock it",
        "shop: server two: it is away",
    ]
    assert {each.kind for each in problems} == {ProblemKind.OTHER}
    troubles.say("server one", "")
    assert reasons(problems) == ["it is away"]


@pytest.mark.parametrize(
    ("said", "told"), [(100, "80 more"), (2_000, "at least 980 more"), (21, "1 more")]
)
def test_a_hundred_troubles_are_twenty_and_a_number(said: int, told: str) -> None:
    """And the longest text is cut."""
    problems = Problems()
    troubles = Troubles("shop", problems)
    troubles.show()
    for number in range(said):
        troubles.say(f"server {number}", "x" * 1_000, "y" * 1_000)
    assert len(problems) == 21
    assert f"{told} are in trouble" in reasons(problems)
    assert max(len(each.reason) + len(each.remedy) for each in problems) == 1_000
    for number in range(said):
        troubles.say(f"server {number}", "")
    assert len(problems) == 0


def test_an_adapter_that_was_replaced_is_heard_no_more() -> None:
    """What it said goes when another one is there."""
    problems = Problems()
    replaced, troubles = Troubles("shop", problems), Troubles("shop", problems)
    replaced.show()
    replaced.say("server one", "it is closed")
    replaced.end()
    troubles.show()
    assert reasons(problems) == []
    replaced.say("server one", "it is closed")
    assert reasons(problems) == []


def test_an_adapter_that_is_only_made_takes_nothing_from_the_one_that_watches() -> None:
    """As at a reload, which may be refused; what it said is shown if it is to watch."""
    problems = Problems()
    watching, made = Troubles("shop", problems), Troubles("shop", problems)
    watching.show()
    watching.say("server one", "it is closed")
    made.say("server one", "it has moved")
    assert reasons(problems) == ["it is closed"]
    watching.end()
    made.show()
    assert reasons(problems) == ["it has moved"]


def test_a_trouble_is_to_be_told_in_the_loops_thread() -> None:
    troubles = Troubles("shop", Problems())
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="event loop's thread"):
        pool.submit(troubles.say, "server one", "it is closed").result()


def test_a_steady_watch_makes_the_next_failure_the_first_again() -> None:
    """In a long outage the wait may be 3 s; after a day of health it is a second."""
    backoff = Backoff()
    worn = [backoff.next(Failure.UNAVAILABLE, 0) for _ in range(200)]
    assert max(worn[20:]) > 2
    assert all(0.5 <= wait <= 3 for wait in worn)
    assert backoff.next(Failure.UNAVAILABLE, STEADY) <= 1
    assert 5 <= backoff.next(Failure.REJECTED, 0) <= 300


def test_errors_are_told_apart_by_what_can_be_done() -> None:
    """And a foreign one is named with its type, in one bounded line."""
    assert failure_of(RegistryUnavailable()) is Failure.UNAVAILABLE
    assert failure_of(RegistryRejected()) is Failure.REJECTED
    assert failure_of(KeyError()) is Failure.FAULT
    assert reason_of(RegistryUnavailable("down")) == "down"
    assert reason_of(RegistryUnavailable()) == "RegistryUnavailable"
    assert reason_of(ValueError("a\nb")) == "ValueError: a b"
    assert len(reason_of(ValueError("x" * 10_000))) == 500


def test_no_turn_of_the_loop_computes_longer_than_a_slice() -> None:
    """Two tasks with much to do share each turn, and a third with little gets in between."""
    now = 0.0
    order: list[str] = []

    def clock() -> float:
        return now

    async def work(name: str, steps: int, turns: Turns) -> None:
        nonlocal now
        async with turns.turn() as turn:
            for _ in range(steps):
                now += SLICE / 2
                order.append(name)
                await turn.breathe()

    async def main() -> list[float]:
        turns, slices = Turns(clock), list[float]()
        tasks = [asyncio.create_task(work(name, 20, turns)) for name in "ab"]
        tasks.append(asyncio.create_task(work("c", 1, turns)))
        while not all(task.done() for task in tasks):
            before = now
            await asyncio.sleep(0)
            slices.append(now - before)
        return slices

    slices = asyncio.run(main())
    assert sum(slices) == pytest.approx(41 * SLICE / 2)
    assert max(slices) <= SLICE * 1.5 + 1e-9
    assert order.index("c") < 10
    assert order.index("b") < 10


def test_a_turn_that_is_cancelled_is_given_up() -> None:
    """The next one gets it."""

    async def main() -> bool:
        turns = Turns(lambda: 0.0)
        async with turns.turn():
            waiting = asyncio.create_task(hold(turns))
            await asyncio.sleep(0)
            waiting.cancel()
        await asyncio.wait([waiting])
        async with asyncio.timeout(1), turns.turn():
            return True

    async def hold(turns: Turns) -> None:
        async with turns.turn():
            await asyncio.Event().wait()

    assert asyncio.run(main())


@pytest.mark.usefixtures("untouched_logging")
def test_logs_are_json_lines_where_nobody_watches() -> None:
    """Also what libraries say; and an open port is an event with its name and address."""
    stream = io.StringIO()
    logger = configure(stream)
    logger.debug("too much")
    listening(logger.bind(outlet="xds"))("xds", "127.0.0.1:15010")
    logging.getLogger("grpc").warning("odd %s", "thing")
    logging.getLogger("grpc").info("too much")
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (first["event"], first["name"], first["address"]) == (
        "listening",
        "xds",
        "127.0.0.1:15010",
    )
    assert (second["event"], second["level"], second["logger"]) == ("odd thing", "warning", "grpc")


@pytest.mark.usefixtures("untouched_logging")
def test_logs_are_for_reading_at_a_terminal() -> None:
    """Key=value, not JSON."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    configure(stream).info("registry available", after_seconds=3)
    assert "registry available" in stream.getvalue()
    with pytest.raises(json.JSONDecodeError):
        json.loads(stream.getvalue())


def test_the_clock_jumps_over_what_nobody_needs_to_wait_for() -> None:
    """A day passes in no time, in order, and timeouts follow."""
    clock = Clock(0.0)
    woke: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woke.append(f"{name} at {clock():.0f}")

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(sleeper("late", 86_400))
            group.create_task(sleeper("early", 60))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await asyncio.Event().wait()
        clock.advance(5)

    clock.run(main())
    assert woke == ["early at 60", "late at 86400"]
    assert clock() == pytest.approx(86_415)
