"""What an attempt had read of a ZooKeeper is let go of when the next one has read it again."""

import asyncio
import gc
import time
from collections import Counter
from pathlib import Path

import pytest
import structlog
from peers.conftest import make_zookeeper

from meshbridge import Adapter, Context
from meshbridge.bridge import Bridge, RegistryRuntime
from meshbridge.publish import Registry
from meshbridge.testing import FaultProxy, Reset
from meshbridge_zookeeper_dubbo import Options, ZooKeeperDubbo, session
from meshbridge_zookeeper_dubbo.interface import Interface
from meshbridge_zookeeper_dubbo.reading_state import State
from meshbridge_zookeeper_dubbo.session_client import Client
from meshbridge_zookeeper_dubbo.telling import Telling
from rig.waiting import until
from rig.zookeeper_nodes import provider
from rig.zookeeper_session import Session

pytestmark = pytest.mark.asyncio

SERVICES, CUTS = 600, 5
"""So many services that what is loaded is put out of the collector's sight."""
ONCE = (State, Telling, session.Session, Client)
"""What a connection has one of."""


async def alive() -> dict[str, int]:
    """Return how many there are of each, those included that only a collector would find."""
    gc.disable()
    gc.unfreeze()
    found = Counter[type](map(type, gc.get_objects()))
    gc.freeze()
    gc.enable()
    return {each.__name__: found[each] for each in (Interface, *ONCE)}


async def test_nothing_is_left_of_what_lost_connections_had_read(tmp_path: Path) -> None:
    """Not even what only a collector would find: it never looks at what was loaded."""
    server = make_zookeeper(tmp_path)
    gc.unfreeze()
    gc.collect()
    before = await alive()  # what tests in the same process have left
    async with server, Session(server.address) as writing:
        for number in range(SERVICES):
            node = provider(f"com.acme.Service{number}", "dubbo", "10.0.0.1", 20880)
            await writing.write(node.path)
        async with FaultProxy("127.0.0.1", server.port) as way:
            options = Options.model_validate({"servers": [way.address]})

            def adapter(context: Context) -> Adapter:
                return ZooKeeperDubbo("zookeeper", options, context)

            registry = RegistryRuntime(Registry("zookeeper", 0), adapter)
            bridge = Bridge([registry], time.monotonic, asyncio.sleep, structlog.get_logger())

            async def again() -> int:
                (state,) = bridge.registries()
                listed = state.state == "watching" and all(each.listed for each in state.scopes)
                return state.restarts if listed else -1

            running = asyncio.create_task(bridge.run())
            for cut in range(CUTS):
                await until(again, cut.__le__, within=20)
                await way.inject(Reset())
                await asyncio.sleep(0.2)
                await way.mend()
            await until(again, CUTS.__le__, within=20)
            one = {Interface.__name__: SERVICES, **{each.__name__: 1 for each in ONCE}}

            def let_go(found: dict[str, int]) -> bool:
                return all(found[name] <= before[name] + one[name] for name in one)

            try:
                await until(alive, let_go, within=5)
            finally:
                running.cancel()
                await asyncio.wait([running])
                gc.unfreeze()
