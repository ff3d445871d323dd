"""The operations of the bridge; whoever adds one does it here."""

from collections.abc import Mapping

import msgspec

from meshbridge.admin.operation import Operation, operation
from meshbridge.bridge import Bridge, RegistryState

STATE = "state"


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A question without details."""


def operations(bridge: Bridge) -> Mapping[str, Operation]:
    """Return what can be asked of a bridge."""

    async def state(_: Nothing) -> tuple[RegistryState, ...]:
        return bridge.registries()

    return {STATE: operation(Nothing, state)}
