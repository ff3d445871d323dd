"""Bar 10: what a watch did not tell is found all the same."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from robustness.bed import Bed
from robustness.findings import Bar

from meshbridge_zookeeper_dubbo.reading import CHECKED_WITHIN
from rig import zookeeper_crowd
from rig.swallowing import Swallowing
from rig.waiting import until
from rig.zookeeper import ZooKeeper
from rig.zookeeper_crowd import ZooKeeperCrowd

pytestmark = pytest.mark.asyncio
SERVICES, CHANGES = 200, 400
SHARE = 0.1
"""Of the notifications, that are swallowed."""


async def test_what_swallowed_notifications_did_not_tell_is_served_one_interval_later(
    tmp_path: Path, bar: Callable[[str], Bar]
) -> None:
    with bar("10, swallowed notifications") as it:
        chance = it.chance()
        async with (
            ZooKeeper(tmp_path) as server,
            ZooKeeperCrowd(server.address, tmp_path) as crowd,
        ):
            ports = {f"service-{number}": 8000 for number in range(SERVICES)}
            await crowd.fill({name: [("10.1.0.1", port)] for name, port in ports.items()})
            between = Swallowing(server.port, SHARE, it.chance("swallowed"))
            async with between.listening():
                registry = {"adapter": "zookeeper-dubbo", "servers": [between.address]}
                bed = Bed(tmp_path, registry={**registry, "guard": {"settle": "0s"}})
                async with bed.bridge:
                    await bed.ready()
                    for number in range(1, CHANGES + 1):
                        name = chance.choice(list(ports))
                        ports[name] = 8000 + number
                        await crowd.set(name, [("10.1.0.1", ports[name])])
                    wanted = {zookeeper_crowd.host(name): {port} for name, port in ports.items()}
                    wrong = _differing(await served(bed), wanted)
                    it.void_unless(between.swallowed, "nothing was swallowed")
                    it.void_unless(wrong, "nothing was missed")
                    it.say(f"{between.swallowed} of {between.told} swallowed: {wrong} are wrong")
                    begun = time.monotonic()
                    await until(
                        lambda: served(bed), wanted.__eq__, within=2 * CHECKED_WITHIN, every=0.2
                    )
                    took = time.monotonic() - begun
                    it.at_most("until all is served as it is", took, CHECKED_WITHIN + 5, "s")
                    it.none("sessions that were lost", bed.bridge.events("registry unavailable"))
                    it.none("complaints in the bridge's log", bed.complaints())
                    bed.must_run()


async def served(bed: Bed) -> dict[str, set[int]]:
    """Return the ports that each host is served with."""
    return {
        service["host"]: {port for each in service["endpoints"] for port in each["ports"].values()}
        for service in json.loads(await bed.get("/api/services"))
    }


def _differing(seen: dict[str, set[int]], wanted: dict[str, set[int]]) -> int:
    return sum(seen.get(host) != ports for host, ports in wanted.items())
