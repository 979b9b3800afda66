"""The tree of inventories (PS3.3 C.38.1.1.5): which instances a run needs above its leaves.

Every instance carries the complete tree of references below it, so a tree is built from the leaves upwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .inventory import Reference

# Direct children of one instance; above that a tier is put between.
MAXIMUM_CHILDREN = 1000


def tiers(references: Sequence[Reference], make_node: Callable[[tuple[Reference, ...]], Reference]) -> tuple[Reference, ...]:
    """At most 1,000 references for the root, with as many nodes between as that needs.

    ``make_node`` writes an instance that incorporates the given references, and answers the reference to it.
    """
    level = tuple(references)
    while len(level) > MAXIMUM_CHILDREN:
        level = tuple(
            make_node(level[start : start + MAXIMUM_CHILDREN]) for start in range(0, len(level), MAXIMUM_CHILDREN)
        )
    return level
