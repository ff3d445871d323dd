"""What an attempt had read of a ZooKeeper is let go of when the next one has read it again."""

import asyncio
import gc
from collections import Counter
from pathlib import Path

import pytest
from peers.conftest import make_zookeeper

from meshbridge import Adapter, Context
from meshbridge.testing import FaultProxy, Reset
from meshbridge_zookeeper_dubbo import Options, ZooKeeperDubbo
from meshbridge_zookeeper_dubbo.interface import Interface
from meshbridge_zookeeper_dubbo.reading_state import State
from rig.waiting import until
from rig.watching import watching
from rig.zookeeper_nodes import provider
from rig.zookeeper_session import Session

pytestmark = pytest.mark.asyncio

SERVICES, CUTS = 600, 5
"""So many services that what is loaded is put out of the collector's sight."""


def there() -> Counter[type]:
    """Count what is in memory, also of what was put out of the collector's sight."""
    gc.unfreeze()
    kinds = (Interface, State)
    return Counter(kind for each in gc.get_objects() for kind in kinds if isinstance(each, kind))


async def test_nothing_is_left_of_what_lost_connections_had_read(tmp_path: Path) -> None:
    """Not even what only a collector would find: it never looks at what was loaded."""
    server = make_zookeeper(tmp_path)
    gc.unfreeze()
    gc.collect()  # what other tests of this process have left
    before = there()
    async with server, Session(server.address) as session:
        for number in range(SERVICES):
            node = provider(f"com.acme.Service{number}", "dubbo", "10.0.0.1", 20880)
            await session.write(node.path)
        async with FaultProxy("127.0.0.1", server.port) as way:
            options = Options.model_validate({"servers": [way.address]})

            def adapter(context: Context) -> Adapter:
                return ZooKeeperDubbo("zookeeper", options, context)

            async with watching(adapter) as watched:
                await watched.listed("/dubbo /services")
                for cut in range(CUTS):
                    await way.inject(Reset())
                    await asyncio.sleep(0.2)
                    await way.mend()

                    async def listings() -> int:
                        return sum(type(each).__name__ == "Listing" for each in watched.said)

                    await until(listings, (cut + 2).__le__, within=20)
                kept = there() - before
                assert (kept[Interface], kept[State]) == (SERVICES, 1)
