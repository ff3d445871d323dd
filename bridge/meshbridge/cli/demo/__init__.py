"""``meshbridge demo``: the product's main job, shown and measured on real processes.

Nothing here is part of the bridge: it starts ``meshbridge run`` as anyone else would.
"""

from meshbridge.cli.demo.entry import demo

__all__ = ["demo"]
