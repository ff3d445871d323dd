"""The operation that explains one host, address or name."""

from collections.abc import Mapping
from typing import Final

import msgspec

from meshbridge.admin.operation import AdminRefusal, Operation, operation
from meshbridge.bridge import Bridge
from meshbridge.explaining import Explanation, explain
from meshbridge.outlet import Outlet

EXPLAIN: Final = "explain"
_LONGEST: Final = 1024


class What(msgspec.Struct, forbid_unknown_fields=True):
    """What to explain."""

    text: str


def explaining(bridge: Bridge, outlets: Mapping[str, Outlet]) -> Operation:
    """Return the operation."""

    async def work(what: What) -> Explanation:
        if not what.text or len(what.text) > _LONGEST:
            reason = f"explain takes a host, an address or a name of at most {_LONGEST} characters"
            raise AdminRefusal(reason, 2)
        return await explain(bridge, outlets, what.text)

    return operation(What, work)
