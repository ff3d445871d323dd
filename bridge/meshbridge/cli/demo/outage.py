"""The steps about the bridge itself: killed under load, back again, and what istiod would get."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from meshbridge.cli.demo import proxy
from meshbridge.cli.demo.child import Child
from meshbridge.cli.demo.figures import Glyphs, Outage, milliseconds, rate, time_line
from meshbridge.cli.demo.result import PATIENCE, Check, Result
from meshbridge.cli.demo.stage import Stage
from meshbridge.cli.demo.steps import first_answer, no_failure, took
from meshbridge.cli.demo.traffic import Load

LEAST_RATE = 200
"""Requests per second that must be answered before and after the kill for it to say anything."""
_BEFORE, _AFTER = 1.0, 2.0
_SETTLE = 0.5
"""Seconds that Envoy gets to act on what the returned bridge tells it, before it is looked at."""
_SHOWN = 16
"""Lines of what istiod would get."""


@dataclass(frozen=True, slots=True)
class Killed:
    """What the step of the return needs to know of the kill."""

    at: float
    view: proxy.View
    """What Envoy held just before."""
    cuts: int
    """How many of the load's connections had been cut by then."""


async def bridge_is_killed(stage: Stage, load: Load) -> tuple[Result, Killed]:
    """Kill the bridge with SIGKILL while requests go on."""
    view = await proxy.view(await stage.admin_port())
    await asyncio.sleep(_BEFORE)
    killed = Killed(time.monotonic(), view, load.cuts)
    stage.bridge.kill()
    await asyncio.sleep(_AFTER)
    status, _ = await proxy.fetch(stage.ports.status, "/livez")
    before = rate(load.answers, killed.at - _BEFORE, killed.at)
    after = rate(load.answers, killed.at, killed.at + _AFTER)
    answers = [a for a in load.answers if a.done >= killed.at - _BEFORE]
    least = f"at least {LEAST_RATE}/s"
    gone = stage.bridge.pid is None and status == 0
    result = Result(
        (
            Check("bridge", "gone" if gone else "still there", "gone", gone),
            Check("answered in the second before", f"{before:.0f}/s", least, before >= LEAST_RATE),
            Check("answered in the 2 s without it", f"{after:.0f}/s", least, after >= LEAST_RATE),
            no_failure(answers),
        )
    )
    return result, killed


async def bridge_returns(stage: Stage, load: Load, killed: Killed, glyphs: Glyphs) -> Result:
    """Start the bridge again on its ports, compare what Envoy holds, and change something."""
    begun = time.monotonic()
    stage.bridge.start()
    back = await stage.bridge_is_ready()
    subscribed = await stage.envoy_is_connected()
    await asyncio.sleep(_SETTLE)
    view = await proxy.view(await stage.admin_port())
    instance = await stage.add("orders-5", "v2", 2)
    changed = stage.register(instance)
    first = await first_answer(load, instance.name, changed)
    await asyncio.sleep(max(0.0, subscribed + 1.1 - time.monotonic()))
    cuts = load.cuts - killed.cuts
    return Result(
        (
            Check("from its start to bridge ready", milliseconds(back - begun), ""),
            Check("from there to Envoy's new stream", milliseconds(subscribed - back), ""),
            _same(
                f"Envoy's {len(view.held)} resources, versions and times",
                killed.view.held,
                view.held,
            ),
            _same(
                "Envoy's counts of changes and removals",
                killed.view.counters,
                view.counters,
            ),
            Check("connections of clients that were cut", str(cuts), "0", cuts == 0),
            took("a further instance: from change to first answer", first, changed),
            no_failure([a for a in load.answers if a.done >= killed.at - _BEFORE]),
        ),
        tuple(time_line(load.answers, Outage(killed.at, back, subscribed), glyphs)),
    )


async def towards_istiod(stage: Stage) -> Result:
    """Print the beginning of what the same services are for istiod."""
    output = stage.log("dump")
    dump = Child("meshbridge dump", stage.meshbridge("dump", "--format", "istio"), output)
    begun = time.monotonic()
    dump.start()
    code = await dump.ended(PATIENCE * 2)
    text = output.read_text()
    lines = text.splitlines()
    more = len(lines) - _SHOWN
    holds = code == 0 and "kind: ServiceEntry" in text
    missing = [each.name for each in stage.instances.values() if str(each.port) not in text]
    return Result(
        (
            Check("meshbridge dump --format istio", f"exit {code}", "ServiceEntries", holds),
            Check("instances missing in it", ", ".join(missing) or "none", "none", not missing),
            Check("took", milliseconds(time.monotonic() - begun), ""),
        ),
        (*lines[:_SHOWN], *([f"... {more} more lines"] if more > 0 else ())),
    )


def _same(what: str, before: Mapping[str, int | str], after: Mapping[str, int | str]) -> Check:
    """Check that nothing differs, and name what does."""
    differing = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    found = f"{', '.join(sorted(differing))} differ" if differing else "as before"
    return Check(what, found, "as before", bool(before) and not differing)
