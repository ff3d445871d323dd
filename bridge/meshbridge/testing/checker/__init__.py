"""Judges a history: ``check`` and ``assert_holds`` in a test, ``python -m`` on a kept file.

``python -m meshbridge.testing.checker FILE`` prints the verdict on a history that a run has kept
and a picture of it: one row of text for each observer, with the faults, writes and requests above.
"""

from meshbridge.testing.checker.check import assert_holds, check
from meshbridge.testing.checker.picture import picture
from meshbridge.testing.checker.verdict import (
    Convergence,
    Difference,
    Disagreement,
    Load,
    Loss,
    Restless,
    Verdict,
)

__all__ = [
    "Convergence",
    "Difference",
    "Disagreement",
    "Load",
    "Loss",
    "Restless",
    "Verdict",
    "assert_holds",
    "check",
    "picture",
]
