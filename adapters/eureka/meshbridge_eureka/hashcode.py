"""The hash code by which Eureka says how many instances of each status it holds; pure.

``DOWN_1_UP_2_``: statuses in their order, each with its number; empty for none
(Applications.getReconcileHashCode).
"""

import re
from collections import Counter
from typing import Final

_PART: Final = re.compile(r"([A-Za-z]\w*?)_([0-9]{1,9})_", re.ASCII)


def counted(hashcode: str) -> Counter[str] | None:
    """Return the numbers that it is made of, None if it is no such thing."""
    parts = _PART.findall(hashcode)
    if "".join(f"{status}_{number}_" for status, number in parts) != hashcode:
        return None
    return Counter({status: int(number) for status, number in parts})
