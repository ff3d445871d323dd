"""Counts the WorkloadEntries of each namespace, and says where they are too many for istiod.

For each change istiod holds the selectors of a namespace against all its WorkloadEntries. Measured:
2,500 of them cost 1.7 s of processor at the start, 5,000 cost 7 s, 10,000 a minute, and 20,000 were
not taken in within nine.
"""

from collections import Counter
from collections.abc import Mapping

from meshbridge.problems import Problem, ProblemKind
from meshbridge_xds.resources import ResourceSet

MANY = 300
"""WorkloadEntries in one namespace, beyond which it is said."""


class Crowds:
    """How many resources each namespace has; not for two tasks at once."""

    def __init__(self) -> None:
        """Start with none."""
        self._seen = ResourceSet()
        self._counts: Counter[str] = Counter()

    def follow(self, resources: ResourceSet) -> Mapping[str, bool]:
        """Return the namespaces whose number changed, and whether it is too large now.

        Costs work in proportion to the change.
        """
        before, after = self._seen.listed, resources.listed
        touched = resources.touched(self._seen)
        if touched is None:
            touched = frozenset(before.keys() | after.keys())
        moved: set[str] = set()
        for name in touched:
            change = (name in after) - (name in before)
            if change:
                namespace = name.partition("/")[0]
                self._counts[namespace] += change
                moved.add(namespace)
        self._seen = resources
        return {namespace: self._counts[namespace] > MANY for namespace in sorted(moved)}


def crowd(outlet: str, namespace: str) -> Problem:
    """Return what people get to know of a namespace that has too many."""
    return Problem(
        outlet,
        f"namespace {namespace}",
        ProblemKind.OTHER,
        f"it has more than {MANY} WorkloadEntries, and istiod looks at all of them at each change",
        "set `endpoints: inline` of the outlet, or spread the registries by `publish.namespace`",
    )
