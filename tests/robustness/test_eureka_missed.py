"""Bar 10 for Eureka: what no delta tells is found by the next reading of everything."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from robustness.bed import Bed
from robustness.eureka import options
from robustness.findings import Bar
from robustness.test_lost_watches import served

from rig import eureka_crowd
from rig.eureka import Eureka
from rig.eureka_crowd import EurekaCrowd
from rig.forgetting import Forgetting
from rig.waiting import until

pytestmark = pytest.mark.asyncio
SERVICES, CHANGES, LAST = 200, 400, 10
"""The last changes are swallowed one and all."""
SHARE = 0.1
INTERVAL, WHOLE = 1.0, 10.0
"""Seconds between two deltas, and two readings of everything: 5 and 300 by themselves."""


async def test_what_no_delta_tells_is_served_once_everything_is_read_again(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    """One instance in the place of another leaves Eureka's hash as it was."""
    with bar("10, swallowed deltas") as it:
        chance = it.chance()
        async with (
            Eureka(tmp_path) as server,
            EurekaCrowd(server.address, tmp_path) as crowd,
        ):
            ports = {f"service-{number}": 8000 for number in range(SERVICES)}
            await crowd.fill({name: [("10.1.0.1", port)] for name, port in ports.items()})
            between = Forgetting(server.port, SHARE, it.chance("swallowed"))
            async with between.listening():
                registry = {
                    **options(between.address, INTERVAL),
                    "full-interval": f"{WHOLE:g}s",
                    "guard": {"settle": "0s"},
                }
                bed = Bed(tmp_path, registry=registry)
                async with bed.bridge:
                    await bed.ready()
                    for number in range(1, CHANGES + 1):
                        if number == CHANGES - LAST:
                            await asyncio.sleep(3 * INTERVAL)
                            between.share = 1.0
                        name = chance.choice(list(ports))
                        ports[name] = 8000 + number
                        await crowd.set(name, [("10.1.0.1", ports[name])])
                        await asyncio.sleep(chance.uniform(0, 0.1))
                    wanted = {eureka_crowd.host(name): {port} for name, port in ports.items()}
                    begun = time.monotonic()
                    seen = await served(bed)
                    wrong = sum(seen.get(host) != ports for host, ports in wanted.items())
                    it.void_unless(between.swallowed, "nothing was swallowed")
                    it.void_unless(wrong, "nothing was missed")
                    it.say(f"{between.swallowed} of {between.told} swallowed: {wrong} are wrong")
                    await until(lambda: served(bed), wanted.__eq__, within=3 * WHOLE, every=0.2)
                    took = time.monotonic() - begun
                    it.at_most("until all is served as it is", took, WHOLE + 5, "s")
                    it.at_least("deltas that were asked for", between.deltas, 10)
                    it.at_least("readings of everything", between.whole, 2)
                    it.none("outages", bed.bridge.events("registry unavailable"))
                    it.none("complaints in the bridge's log", bed.complaints())
                    bed.must_run()
