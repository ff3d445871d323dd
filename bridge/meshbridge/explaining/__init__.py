"""Says of a host, an address or a name at which stage it is, or was lost: exactly, from the state.

Every stage is asked what it decided, and what it decides by is called again; no rule is stated a
second time here.
"""

from meshbridge.explaining.explain import explain
from meshbridge.explaining.values import Explanation, Stage

__all__ = ["Explanation", "Stage", "explain"]
