"""The operation ``reload``: the configuration is read again, and what came of it is answered."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from meshbridge.admin.operation import Operation, operation
from meshbridge.configuration import Result

RELOAD: Final = "reload"


class Reload(msgspec.Struct, forbid_unknown_fields=True):
    """Read the configuration again."""

    accept_loss: bool = False
    """Whether it may take away more than ``max-loss``."""


class Reloaded(msgspec.Struct):
    """What came of it."""

    result: Result
    lines: list[str]
    """What changed, what is wrong, or what would be lost; bounded."""


def reloading(reload: Callable[[bool], Awaitable[Reloaded]]) -> Operation:
    """Return the operation; ``reload`` goes on to its end even if whoever asked has gone."""

    async def work(asked: Reload) -> Reloaded:
        return await reload(asked.accept_loss)

    return operation(Reload, work)
