"""The test kit for authors of adapters: the contract, a clock that jumps, real processes.

It needs pytest and nothing else. See :class:`AdapterContract` for how to use it.
"""

import pytest

# Before the import: then a failed assertion of the contract shows what it compared.
pytest.register_assert_rewrite(
    *(f"meshbridge.testing.{module}" for module in ("checks", "contract", "stage"))
)

from meshbridge.testing.clock import Clock  # noqa: E402 - see above
from meshbridge.testing.contract import AdapterContract  # noqa: E402
from meshbridge.testing.process import Process, ProcessFailed  # noqa: E402
from meshbridge.testing.recording import Recorder, context  # noqa: E402
from meshbridge.testing.registry import Ability, RegistryUnderTest  # noqa: E402

__all__ = [
    "Ability",
    "AdapterContract",
    "Clock",
    "Process",
    "ProcessFailed",
    "Recorder",
    "RegistryUnderTest",
    "context",
]
