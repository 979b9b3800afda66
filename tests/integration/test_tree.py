"""A large inventory is a tree of small instances that names every one of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator

from pydicom.dataset import Dataset

from . import archive
from .other_software import check_files
from .server import Server, object_uids

STORAGE_CLASS = "1.2.840.10008.5.1.4.1.1.201.1"


def references(instance: Dataset) -> Iterator[Dataset]:
    """Every reference below an instance or a reference, all levels."""
    for item in instance.get("IncorporatedInventoryInstanceSequence", []):
        yield item
        yield from references(item)


def record_count(instance: Dataset) -> int:
    return sum(
        1 + sum(1 + len(series.get("InventoriedInstancesSequence", [])) for series in study.get("InventoriedSeriesSequence", []))
        for study in instance.InventoriedStudiesSequence
    )


def test_leaves_hold_whole_studies_up_to_the_limit_below_one_root(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 13}).start()
    server.store(*archive.files(7, 1, 2, 2))  # 7 records a study
    server.store(*archive.files(10)[7:])  # 3 records a study
    summary = server.make(Description="Tree")
    assert summary["InventoryCompletionStatus"] == "COMPLETE"
    root_uid, *leaf_uids = summary["InstanceUIDs"]
    root = server.file(root_uid)
    assert root_uid == summary["SOPInstanceUID"] and len(leaf_uids) > 3
    assert Counter(summary["Incorporates"]) == Counter(leaf_uids) == Counter(
        item.ReferencedSOPInstanceUID for item in references(root)
    )
    leaves = [server.file(uid) for uid in leaf_uids]
    assert all(0 < record_count(leaf) <= 13 for leaf in leaves)
    # No two neighbours could have been one: the limit is made use of.
    assert root.NumberOfStudyRecordsInInstance + sum(leaf.NumberOfStudyRecordsInInstance for leaf in leaves) == 10
    assert root.TotalNumberOfStudyRecords == summary["TotalNumberOfStudyRecords"] == 10
    assert root.InventoryCompletionStatus == "COMPLETE"
    assert {leaf.InventoryCompletionStatus for leaf in leaves} == {"PARTIAL"}
    assert {leaf.TransactionUID for leaf in leaves} == {root.TransactionUID} == {summary["TransactionUID"]}
    assert {(leaf.ContentDate, leaf.ContentTime) for leaf in leaves} == {(root.ContentDate, root.ContentTime)}
    assert len(set(object_uids(server.studies(summary)))) == 7 * 4 + 3
    check_files(server, summary)


def test_a_reference_has_the_digest_of_what_it_refers_to(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 3, "FileAccess": {"BaseUri": "https://pacs.example.org/"}}).start()
    server.store(*archive.files(4))
    summary = server.make()
    for item in references(server.file(summary["SOPInstanceUID"])):
        file = server.request("GET", f"/inventories/{item.ReferencedSOPInstanceUID}/file").content
        assert item.ReferencedSOPClassUID == STORAGE_CLASS
        assert item.MACAlgorithm == "SHA256" and bytes(item.MAC) == hashlib.sha256(file).digest()
        assert item.FileAccessURI == f"./inventories/{item.ReferencedSOPInstanceUID}/file"


def test_no_node_has_more_than_a_thousand_children(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 1, "StoreIn": "Directory"}).start()
    server.store(*archive.files(1002))
    summary = server.make(Level="STUDY")
    root = server.file(summary["SOPInstanceUID"])
    assert len(summary["InstanceUIDs"]) == 1 + 2 + 1002 == len(set(summary["InstanceUIDs"]))
    children = root.IncorporatedInventoryInstanceSequence
    assert len(children) == 2 and root.NumberOfStudyRecordsInInstance == 0 and root.TotalNumberOfStudyRecords == 1002
    # The root names every instance below it, and so does each node between.
    assert {item.ReferencedSOPInstanceUID for item in references(root)} == set(summary["InstanceUIDs"][1:])
    for child in children:
        node = server.file(child.ReferencedSOPInstanceUID)
        assert 0 < len(node.IncorporatedInventoryInstanceSequence) <= 1000
        assert [item.ReferencedSOPInstanceUID for item in references(node)] == [
            item.ReferencedSOPInstanceUID for item in references(child)
        ]
        assert node.TotalNumberOfStudyRecords == len(list(references(node))) and node.NumberOfStudyRecordsInInstance == 0
    assert len({study.StudyInstanceUID for study in server.studies(summary)}) == 1002


def test_an_empty_archive_gives_a_complete_inventory_without_records(server: Server) -> None:
    summary = server.make()
    root = server.file(summary["SOPInstanceUID"])
    assert summary["InventoryCompletionStatus"] == root.InventoryCompletionStatus == "COMPLETE"
    assert (root.NumberOfStudyRecordsInInstance, root.TotalNumberOfStudyRecords) == (0, 0)
    assert root["InventoriedStudiesSequence"].value == [] and root["ScopeOfInventorySequence"].value == []
    check_files(server, summary)


def test_a_study_larger_than_the_limit_is_a_leaf_of_its_own(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 5}).start()
    server.store(*archive.files(3, 1, 1, 8))
    summary = server.make()
    leaves = [server.file(uid) for uid in summary["InstanceUIDs"][1:]]
    assert [leaf.NumberOfStudyRecordsInInstance for leaf in leaves] == [1, 1, 1]
    assert len(set(object_uids(server.studies(summary)))) == 24
