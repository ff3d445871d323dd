"""The steps of the demo: each changes one thing and measures what became of it."""

import asyncio
import time
from collections.abc import Awaitable, Sequence

from meshbridge.cli.demo.figures import (
    Glyphs,
    bars,
    counts,
    deviation,
    expected,
    failures,
    milliseconds,
)
from meshbridge.cli.demo.result import PATIENCE, Check, Result
from meshbridge.cli.demo.stage import HOST, Stage
from meshbridge.cli.demo.traffic import Answer, Connection, Load, burst

REQUESTS = 1_000
TOLERANCE = 10
"""Requests of 1,000 by which an instance's count may differ from its share. Envoy's weighted round
robin is exact within a few; what is left is the random place in its order at which it starts."""
_QUIET = 0.3
"""Seconds without an answer by an instance after which it counts as out; at the demo's rate it
would have got dozens."""
_LOOK_EVERY = 0.005


async def services_appear(stage: Stage) -> Result:
    """Start the bridge and Envoy, and wait for the first answer through both."""
    begun = time.monotonic()
    stage.bridge.start()
    ready = await stage.bridge_is_ready()
    envoy = time.monotonic()
    stage.envoy.start()
    connection = Connection(stage.ports.http, HOST)

    async def answer() -> Answer | None:
        answer = await connection.ask()
        return None if answer.failure else answer

    first = await stage.envoy.until(answer, 15, "a request was answered through it")
    connection.close()
    return Result(
        (
            Check("from its start to bridge ready", milliseconds(ready - begun), ""),
            Check(
                "from Envoy's start to the first answer",
                milliseconds(first.done - envoy),
                f"within {PATIENCE:g} s",
                first.done - envoy <= PATIENCE,
            ),
        )
    )


async def spread_by_weight(stage: Stage, glyphs: Glyphs) -> Result:
    """Send a thousand requests and compare who answered with the registry's weights."""
    answers = await burst(stage.ports.http, HOST, REQUESTS)
    found, wanted = counts(answers), expected(stage.weights(), REQUESTS)
    off = deviation(found, wanted)
    return Result(
        (
            no_failure(answers),
            Check(
                "furthest from the share its weight gives",
                f"{off:.0f} of {REQUESTS}",
                f"at most {TOLERANCE}",
                off <= TOLERANCE,
            ),
        ),
        tuple(_bars(stage, answers, glyphs)),
    )


async def instance_joins(stage: Stage, load: Load, glyphs: Glyphs) -> Result:
    """Register a further instance while requests go on."""
    instance = await stage.add("orders-4", "v2", 2)
    begun = len(load.answers)
    changed = stage.register(instance)
    first = await first_answer(load, instance.name, changed)
    answers = await _all_of(load, burst(stage.ports.http, HOST, REQUESTS))
    found, share = counts(answers), expected(stage.weights(), len(answers))[instance.name]
    return Result(
        (
            took("from change to its first answer", first, changed),
            Check(
                f"its part of the next {len(answers)} requests",
                str(found[instance.name]),
                f"{share - TOLERANCE:.0f} to {share + TOLERANCE:.0f}",
                abs(found[instance.name] - share) <= TOLERANCE,
            ),
            no_failure([*answers, *load.answers[begun:]]),
        ),
        tuple(_bars(stage, answers, glyphs)),
    )


async def instance_turns_unhealthy(stage: Stage, load: Load) -> Result:
    """Let the registry call an instance unhealthy, and healthy again."""
    name = "orders-3"
    begun = len(load.answers)
    changed = stage.set_health(name, healthy=False)
    last = await last_answer(load, name, changed)
    answers = await burst(stage.ports.http, HOST, REQUESTS)
    again = stage.set_health(name, healthy=True)
    first = await first_answer(load, name, again)
    return Result(
        (
            took("from change to the last request to it", last, changed),
            none_to(name, answers),
            took("healthy again: from change to its first answer", first, again),
            no_failure([*answers, *load.answers[begun:]]),
        )
    )


async def instance_goes(stage: Stage, load: Load) -> Result:
    """Take an instance out of the registry, then kill its process, as an operator would."""
    name = "orders-1"
    begun = len(load.answers)
    changed = stage.deregister(name)
    last = await last_answer(load, name, changed)
    stage.kill_backend(name)
    answers = await burst(stage.ports.http, HOST, REQUESTS)
    return Result(
        (
            took("from change to the last request to it", last, changed),
            none_to(name, answers),
            no_failure([*answers, *load.answers[begun:]]),
        )
    )


async def _all_of(load: Load, requests: Awaitable[Sequence[Answer]]) -> Sequence[Answer]:
    """Return the answers of some requests with those of the load beside them.

    The proxy deals out both in one order: only together are they spread as it spreads them.
    """
    begun = time.monotonic()
    answers = await requests
    ended = time.monotonic()
    return [*answers, *(each for each in load.answers if begun <= each.sent < ended)]


async def first_answer(load: Load, name: str, since: float) -> float | None:
    """Wait for an answer by an instance; return its time, None if there was none in time."""
    seen = len(load.answers)
    while time.monotonic() < since + PATIENCE:
        for answer in load.answers[seen:]:
            if answer.instance == name and answer.done >= since:
                return answer.done
        seen = len(load.answers)
        await asyncio.sleep(_LOOK_EVERY)
    return None


async def last_answer(load: Load, name: str, since: float) -> float | None:
    """Wait until an instance gets nothing; return when the last request to it was sent.

    None if it still gets some, or if nobody was asked for long enough to tell. The time of the
    change itself if it got none since.
    """
    while time.monotonic() < since + PATIENCE + _QUIET:
        last = max((a.sent for a in load.answers if a.instance == name), default=since)
        # By the others' answers: where nobody was asked, that it was not proves nothing.
        newest = max((a.sent for a in load.answers), default=since)
        if newest - max(last, since) >= _QUIET:
            return max(last, since)
        await asyncio.sleep(_LOOK_EVERY)
    return None


def took(what: str, moment: float | None, since: float) -> Check:
    """Check the time from a change to its effect."""
    within = f"within {PATIENCE:g} s"
    if moment is None:
        return Check(what, "never", within, holds=False)
    return Check(what, milliseconds(moment - since), within, moment - since <= PATIENCE)


def none_to(name: str, answers: Sequence[Answer]) -> Check:
    """Check that an instance answered none of the requests."""
    found = counts(answers)[name]
    return Check(f"requests to it, of the next {len(answers)}", str(found), "0", found == 0)


def no_failure(answers: Sequence[Answer]) -> Check:
    """Check that every request was answered."""
    failed = failures(answers)
    reasons = "".join(f"; {count} times {reason}" for reason, count in failed.most_common(3))
    total = failed.total()
    return Check(
        f"failed requests of {len(answers)}", f"{total}{reasons}", "0", bool(answers) and not total
    )


def _bars(stage: Stage, answers: Sequence[Answer], glyphs: Glyphs) -> list[str]:
    wanted = expected(stage.weights(), len(answers))
    notes = {
        name: f"{each.version}, weight {each.weight}"
        for name, each in stage.instances.items()
        if name in wanted
    }
    return [
        f"{row}  (share {wanted[name]:.0f})"
        for name, row in zip(notes, bars(counts(answers), notes, glyphs), strict=True)
    ]
