"""The operations of the bridge; whoever adds one does it here."""

from collections.abc import Mapping

import msgspec

from meshbridge.admin.explaining import EXPLAIN, explaining
from meshbridge.admin.operation import Operation, operation
from meshbridge.admin.releasing import RELEASE, releasing
from meshbridge.bridge import Bridge, RegistryState
from meshbridge.outlet import Outlet

STATE = "state"


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A question without details."""


def operations(
    bridge: Bridge, outlets: Mapping[str, Outlet] | None = None
) -> Mapping[str, Operation]:
    """Return what can be asked of a bridge that serves through these outlets."""

    async def state(_: Nothing) -> tuple[RegistryState, ...]:
        return bridge.registries()

    return {
        STATE: operation(Nothing, state),
        EXPLAIN: explaining(bridge, {} if outlets is None else outlets),
        RELEASE: releasing(bridge),
    }
