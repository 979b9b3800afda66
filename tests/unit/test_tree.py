"""Trees: at most 1,000 children each, every reference there, whatever the number of leaves."""

from __future__ import annotations

from io import BytesIO

import pydicom
import pytest

from orthanc_inventory.dicom.elements import encode_attributes
from orthanc_inventory.dicom.inventory import Reference
from orthanc_inventory.dicom.tree import MAXIMUM_CHILDREN, MAXIMUM_DEPTH, incorporated, tiers


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


def chain(increments: int, leaves: int = 1) -> Reference:
    """The root after so many increments, each with leaves of its own (1.), a root (2.) and nodes (4.) above; the first base (3) has records."""
    base = Reference("3", "")
    number = 0

    def node(references: tuple[Reference, ...]) -> Reference:
        return Reference(f"4.{number}.{references[0].uid}", "", {}, references)

    for number in range(increments):
        own = [Reference(f"1.{number}.{leaf}", "") for leaf in range(leaves)]
        base = Reference(f"2.{number}", "", {}, tiers([*own, *incorporated(base)], node))
    return base


@pytest.mark.parametrize("increments", [1, 2, 31, 32, 33, 300, 2500])
def test_increments_nest_no_deeper_than_readers_follow_and_lose_nothing(increments: int) -> None:
    root = chain(increments)
    assert max(entry.depth for entry in root.incorporates) <= MAXIMUM_DEPTH and len(root.incorporates) <= MAXIMUM_CHILDREN
    uids = [uid for entry in root.incorporates for uid in entry.uids()]
    assert len(uids) == len(set(uids))
    assert {uid for uid in uids if uid.startswith(("1.", "3"))} == {"3"} | {f"1.{n}.0" for n in range(increments)}


def test_pydicom_reads_the_tree_of_many_increments_and_of_many_leaves() -> None:
    for root, count in ((chain(300), 301), (chain(1, leaves=5000), 5001)):
        references = [entry.item() for entry in root.incorporates]
        data_set = pydicom.dcmread(BytesIO(encode_attributes({"IncorporatedInventoryInstanceSequence": references})), force=True)
        stack = list(data_set.IncorporatedInventoryInstanceSequence)
        leaves = 0
        while stack:
            item = stack.pop()
            stack += item.get("IncorporatedInventoryInstanceSequence", ())
            leaves += item.ReferencedSOPInstanceUID.startswith(("1.", "3"))
        assert leaves == count
