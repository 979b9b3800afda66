"""Trees: at most 1,000 children each, every reference there, whatever the number of leaves."""

from __future__ import annotations

import pytest

from orthanc_inventory.dicom.inventory import Reference
from orthanc_inventory.dicom.tree import MAXIMUM_CHILDREN, tiers


@pytest.mark.parametrize(
    ("leaves", "nodes"), [(0, 0), (1, 0), (1000, 0), (1001, 2), (2500, 3), (1_000_000, 1000), (1_000_001, 1001 + 2)]
)
def test_a_root_has_few_children_and_all_leaves(leaves: int, nodes: int) -> None:
    made: list[Reference] = []

    def node(references: tuple[Reference, ...]) -> Reference:
        assert 0 < len(references) <= MAXIMUM_CHILDREN
        made.append(Reference(f"node{len(made)}", "", {}, references))
        return made[-1]

    top = tiers([Reference(str(number), "") for number in range(leaves)], node)
    assert len(top) <= MAXIMUM_CHILDREN and len(made) == nodes

    def below(references: tuple[Reference, ...]) -> list[str]:
        return [uid for entry in references for uid in (below(entry.incorporates) if entry.incorporates else [entry.uid])]

    assert below(top) == [str(number) for number in range(leaves)]
