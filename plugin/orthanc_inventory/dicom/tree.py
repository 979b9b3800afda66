"""The tree of inventories (PS3.3 C.38.1.1.5): which instances a run needs above its leaves.

Every instance carries the complete tree of references below it, so a tree is built from the leaves upwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .inventory import Reference

# Direct children of one instance; above that a tier is put between.
MAXIMUM_CHILDREN = 1000
# Levels of references in one instance. Readers descend into each, and some of them not far.
MAXIMUM_DEPTH = 32


def incorporated(base: Reference) -> tuple[Reference, ...]:
    """What an increment refers to for all of its base: the base, or its children where that would nest too deep.

    The base of an increment that nests is an increment itself, and so has no records of its own that would be lost.
    """
    return (base,) if base.depth < MAXIMUM_DEPTH else base.incorporates


def tiers(references: Sequence[Reference], make_node: Callable[[tuple[Reference, ...]], Reference]) -> tuple[Reference, ...]:
    """At most 1,000 references for the root, with as many nodes between as that needs.

    ``make_node`` writes an instance that incorporates the given references, and answers the reference to it.
    """
    level = tuple(references)
    while len(level) > MAXIMUM_CHILDREN:
        deep = tuple(reference for reference in level if reference.depth >= MAXIMUM_DEPTH)
        others = [reference for reference in level if reference.depth < MAXIMUM_DEPTH]
        level = deep + tuple(
            make_node(tuple(others[start : start + MAXIMUM_CHILDREN])) for start in range(0, len(others), MAXIMUM_CHILDREN)
        )
    return level
