"""Every exception that crosses a seam of the bridge, told apart by what can be done about it."""

from collections.abc import Iterator
from typing import cast


class MeshbridgeError(Exception):
    """The base of all errors the bridge raises on purpose."""


class RegistryUnavailable(MeshbridgeError):  # noqa: N818 - the names are the SDK's contract
    """The registry cannot be read now; trying again may help."""


class RegistryRejected(MeshbridgeError):  # noqa: N818 - the names are the SDK's contract
    """The registry answered and refused: credentials or version; only a person can help."""


class BadData(MeshbridgeError):  # noqa: N818 - the names are the SDK's contract
    """One record cannot be read; it spoils itself only and its previous value stays."""


class ConfigurationError(MeshbridgeError):
    """The configuration cannot be used; holds one line for each fault.

    Each line names the place, what was found, what is allowed and, for a misspelt name, the
    nearest known one. The process ends with 2 at a start; at a reload the old one stays.
    """

    def __init__(self, *faults: str) -> None:
        """Keep the faults as separate lines."""
        super().__init__("\n".join(faults))
        self.faults = faults


def foremost(failed: ExceptionGroup[Exception]) -> Exception:
    """Return what the user should hear of several failures: a bug, else a refusal, else an outage.

    For adapters whose tasks end together: one error leaves ``watch``.
    """

    def rank(leaf: Exception) -> int:
        if isinstance(leaf, RegistryUnavailable):
            return 2
        return int(isinstance(leaf, RegistryRejected))

    return min(leaves(failed), key=rank)


def leaves(failed: ExceptionGroup[Exception]) -> Iterator[Exception]:
    """Yield each failure of a group, and of the groups in it."""
    for each in failed.exceptions:
        if isinstance(each, ExceptionGroup):
            yield from leaves(cast("ExceptionGroup[Exception]", each))
        else:
            yield each
