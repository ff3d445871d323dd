"""The test kit for authors of adapters: the contract, a clock that jumps, real processes.

It needs pytest and nothing else. See :class:`AdapterContract` for how to use it, and
:mod:`meshbridge.testing.history` for runs in which something is broken while requests flow.
"""

import pytest

# Before the import: then a failed assertion of the contract shows what it compared.
pytest.register_assert_rewrite(
    *(f"meshbridge.testing.{module}" for module in ("checks", "contract", "stage"))
)

from meshbridge.testing.checker import Verdict, assert_holds, check, picture  # noqa: E402
from meshbridge.testing.clock import Clock  # noqa: E402 - see above
from meshbridge.testing.contract import AdapterContract  # noqa: E402
from meshbridge.testing.fault_proxy import FaultProxy  # noqa: E402
from meshbridge.testing.faults import (  # noqa: E402
    Corrupt,
    Delay,
    Direction,
    Fault,
    Flip,
    Hang,
    Refuse,
    Reset,
    Throttle,
    Truncate,
)
from meshbridge.testing.history import Endpoint, History, Request, Rules, View  # noqa: E402
from meshbridge.testing.history_lines import Unreadable, from_lines, to_lines  # noqa: E402
from meshbridge.testing.process import Process, ProcessFailed  # noqa: E402
from meshbridge.testing.recording import Recorder, context  # noqa: E402
from meshbridge.testing.registry import Ability, RegistryUnderTest  # noqa: E402

__all__ = [
    "Ability",
    "AdapterContract",
    "Clock",
    "Corrupt",
    "Delay",
    "Direction",
    "Endpoint",
    "Fault",
    "FaultProxy",
    "Flip",
    "Hang",
    "History",
    "Process",
    "ProcessFailed",
    "Recorder",
    "Refuse",
    "RegistryUnderTest",
    "Request",
    "Reset",
    "Rules",
    "Throttle",
    "Truncate",
    "Unreadable",
    "Verdict",
    "View",
    "assert_holds",
    "check",
    "context",
    "from_lines",
    "picture",
    "to_lines",
]
