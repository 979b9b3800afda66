"""Inventories from elsewhere are checked, kept exactly as they came, and served like our own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from . import archive, foreign
from .server import Server
from .test_archive import check, download
from .waiting import wait_until

PATH = "/inventories/import"


def take(server: Server, file: bytes) -> dict[str, Any]:
    """Imports a file and answers the summary of the inventory."""
    answer = server.request("POST", PATH, data=file)
    assert answer.status_code == 200, answer.text
    assert answer.json()["Path"] == f"/inventories/{answer.json()['ID']}"
    return server.get(answer.json()["Path"])


def kept_files(server: Server) -> list[str]:
    return sorted(path.name for path in server.state_directory.rglob("*") if path.suffix in (".dcm", ".part"))


@pytest.mark.parametrize("store", ["Orthanc", "Directory"])
@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, foreign.DEFLATED])
def test_an_inventory_is_kept_as_it_came(
    make_server: Callable[..., Server], transfer_syntax: str, store: str, tmp_path: Path
) -> None:
    server = make_server(inventory={"StoreIn": store}).start()
    before = server.get("/statistics")
    studies = [foreign.study(number, 2, 3) for number in range(1, 5)]
    data = foreign.inventory("1.9.99", studies, TransactionUID="1.9.98", InventoryInstanceDescription="All of it")
    file = foreign.encode(data, transfer_syntax)
    summary = take(server, file)
    assert server.request("GET", "/inventories/1.9.99/file").content == file
    assert server.get("/inventories") == ["1.9.99"] == summary["InstanceUIDs"]
    expected = {
        "SOPInstanceUID": "1.9.99", "TransactionUID": "1.9.98", "ContentDate": "20260102", "ContentTime": "030405",
        "InventoryLevel": "INSTANCE", "InventoryCompletionStatus": "COMPLETE", "InventoryPurpose": "Umzug nach Köln",
        "InventoryInstanceDescription": "All of it", "Scope": {}, "NumberOfStudyRecordsInInstance": 4,
        "TotalNumberOfStudyRecords": 4, "Studies": 4, "Series": 8, "Instances": 24, "Base": None, "Incorporates": [],
        "Missing": [], "Size": len(file), "SHA256": {"1.9.99": hashlib.sha256(file).hexdigest()}, "Expiration": None,
        "OrthancID": None, "Origin": "Import",
    }
    assert {key: summary[key] for key in expected} == expected
    # Whatever StoreIn says, Orthanc gets nothing of it.
    assert server.get("/statistics") == before and kept_files(server) == ["1.9.99.dcm"]
    check(server, summary, download(server, "1.9.99", tmp_path))
    server.delete("/inventories/1.9.99")
    assert server.get("/inventories") == [] and kept_files(server) == []


def test_an_inventory_of_another_orthanc_is_taken(make_server: Callable[..., Server]) -> None:
    there, here = make_server(inventory={"MaxRecordsPerInstance": 6}).start(), make_server().start()
    there.store(*archive.files(5))
    summary = there.make(Scope={"PatientID": "P*", "StudyDate": "20000101-"})
    for uid in summary["InstanceUIDs"]:
        take(here, there.request("GET", f"/inventories/{uid}/file").content)
    copy = here.get(f"/inventories/{summary['SOPInstanceUID']}")
    assert here.get("/inventories") == [summary["SOPInstanceUID"]] and copy["Missing"] == []
    assert sorted(copy["InstanceUIDs"]) == sorted(summary["InstanceUIDs"]) and copy["SHA256"] == summary["SHA256"]
    for key in ("Studies", "Series", "Instances", "TotalNumberOfStudyRecords", "Size", "TransactionUID"):
        assert copy[key] == summary[key], key


def test_leaves_may_come_later(server: Server, tmp_path: Path) -> None:
    references = [foreign.reference("1.9.2", foreign.reference("1.9.3")), foreign.reference("1.9.4")]
    root = foreign.inventory("1.9.1", [], references, TotalNumberOfStudyRecords=2)
    node = foreign.inventory("1.9.2", [], [foreign.reference("1.9.3")], TotalNumberOfStudyRecords=1)
    summary = take(server, foreign.encode(root))
    assert summary["InstanceUIDs"] == ["1.9.1", "1.9.2", "1.9.3", "1.9.4"] and summary["Incorporates"] == ["1.9.2", "1.9.4"]
    assert summary["Missing"] == ["1.9.2", "1.9.3", "1.9.4"] and summary["Studies"] == 0
    assert "3 instances" in server.error("GET", "/inventories/1.9.1/archive", 409)
    take(server, foreign.encode(foreign.inventory("1.9.3", [foreign.study(3)], InventoryCompletionStatus="PARTIAL")))
    take(server, foreign.encode(node))
    assert server.get("/inventories/1.9.1")["Missing"] == ["1.9.4"]
    take(server, foreign.encode(foreign.inventory("1.9.4", [foreign.study(4)], InventoryCompletionStatus="PARTIAL")))
    summary = server.get("/inventories/1.9.1")
    assert summary["Missing"] == [] and (summary["Studies"], summary["Instances"]) == (2, 4)
    assert server.get("/inventories") == ["1.9.1"]
    assert "incorporates" in server.error("DELETE", "/inventories/1.9.3", 409)
    check(server, summary, download(server, "1.9.1", tmp_path))
    server.delete("/inventories/1.9.1")
    assert server.get("/inventories") == [] and kept_files(server) == []


def test_leaves_may_come_first(server: Server) -> None:
    for number in (2, 3):
        take(server, foreign.encode(foreign.inventory(f"1.9.{number}", [foreign.study(number)])))
    assert server.get("/inventories") == ["1.9.2", "1.9.3"]
    for root in ("1.9.1", "1.9.5"):
        take(server, foreign.encode(foreign.inventory(root, [], [foreign.reference("1.9.2")], TotalNumberOfStudyRecords=1)))
    assert server.get("/inventories") == ["1.9.3", "1.9.1", "1.9.5"]
    server.delete("/inventories/1.9.1")
    # The other root needs it still.
    assert server.get("/inventories/1.9.5")["Missing"] == []
    server.delete("/inventories/1.9.5")
    assert server.get("/inventories") == ["1.9.3"] and kept_files(server) == ["1.9.3.dcm"]


def test_an_own_inventory_that_an_import_incorporates_stays(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"Retention": {"Keep": 1}}).start()
    server.store(*archive.files(2))
    own = server.make()["SOPInstanceUID"]
    take(server, foreign.encode(foreign.inventory("1.9.1", [], [foreign.reference(own)], TotalNumberOfStudyRecords=2)))
    assert server.get("/inventories/1.9.1")["Missing"] == []
    assert "incorporates" in server.error("DELETE", f"/inventories/{own}", 409)
    newer = server.make()["SOPInstanceUID"]
    newest = server.make()["SOPInstanceUID"]
    wait_until(lambda: newer not in server.get("/inventories"))
    assert server.get("/inventories") == [own, "1.9.1", newest]
    server.delete("/inventories/1.9.1")
    # Retention may look once more and be the first.
    assert server.request("DELETE", f"/inventories/{own}").status_code in (200, 404)
    assert server.get("/inventories") == [newest]


def test_a_uid_that_exists_is_never_taken(server: Server) -> None:
    server.store(*archive.files(2))
    own = server.make()["SOPInstanceUID"]
    before = server.request("GET", f"/inventories/{own}/file").content
    assert "exists" in server.error("POST", PATH, 409, data=foreign.encode(foreign.inventory(own)))
    assert server.request("GET", f"/inventories/{own}/file").content == before
    first = foreign.encode(foreign.inventory("1.9.1"))
    take(server, first)
    assert "exists" in server.error("POST", PATH, 409, data=foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)])))
    assert server.request("GET", "/inventories/1.9.1/file").content == first
    assert server.get("/inventories") == [own, "1.9.1"] and kept_files(server) == ["1.9.1.dcm"]


def test_an_import_is_never_the_base_of_an_increment(server: Server) -> None:
    """By "latest" it is passed over, though it is newer, COMPLETE and of the same level and scope; by its UID it is refused."""
    server.store(*archive.files(2))
    take(server, foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)])))
    assert "Base" in server.error("POST", "/inventories", 404, json={"Base": "latest"})
    own = server.make()["SOPInstanceUID"]
    imported = take(server, foreign.encode(foreign.inventory("1.9.2", [foreign.study(1)], ContentDate="20991231")))
    assert (imported["InventoryCompletionStatus"], imported["InventoryLevel"]) == ("COMPLETE", "INSTANCE")
    assert imported["Scope"] == {} and server.get("/inventories") == ["1.9.1", own, "1.9.2"]
    assert "made itself" in server.error("POST", "/inventories", 400, json={"Base": "1.9.2"})
    increment = server.make(Base="latest")
    assert increment["Base"] == own and {"1.9.1", "1.9.2"}.isdisjoint(increment["InstanceUIDs"])
    assert (increment["Studies"], increment["InventoryCompletionStatus"]) == (2, "COMPLETE")


def deep(levels: int) -> Any:
    result = foreign.reference("1.9.1000")
    for level in range(levels):
        result = foreign.reference(f"1.9.{1001 + level}", result)
    return foreign.inventory("1.9.1", [], [result])


def without(keyword: str) -> bytes:
    return foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)], **{keyword: None}))


def spoiled_study(**attributes: Any) -> bytes:
    study = foreign.study(1)
    for keyword, value in attributes.items():
        setattr(study, keyword, value)
    return foreign.encode(foreign.inventory("1.9.1", [study]))


GOOD = foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)]))
BAD: dict[str, tuple[Callable[[], bytes], list[str]]] = {
    "nothing": (lambda: b"", ["DICOM"]),
    "JSON": (lambda: b'{"Level": "STUDY"}', ["DICOM"]),
    "no preamble": (lambda: GOOD[132:], ["DICOM"]),
    "a CT": (lambda: archive.file(1, 1), ["SOP class", "Inventory Storage"]),
    "big endian": (lambda: GOOD.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"), ["1.2.840.10008.1.2.2"]),
    "cut off in a header": (lambda: GOOD[:-3], []),
    "cut off in the middle": (lambda: GOOD[: len(GOOD) // 2], []),
    "cut off at the beginning": (lambda: GOOD[:140], []),
    "too deep": (lambda: foreign.encode(deep(80)), []),
    "itself below": (
        lambda: foreign.encode(foreign.inventory("1.9.1", [], [foreign.reference("1.9.1")])), ["incorporates itself"]
    ),
    "no level": (lambda: without("InventoryLevel"), ["Inventory Level"]),
    "no UID": (lambda: without("SOPInstanceUID"), ["00080018"]),
    "no date": (lambda: without("ContentDate"), ["ContentDate"]),
    "no time": (lambda: without("ContentTime"), ["ContentTime"]),
    "no completion status": (lambda: without("InventoryCompletionStatus"), ["Inventory Completion Status"]),
    "no number": (lambda: without("NumberOfStudyRecordsInInstance"), ["Number of Study Records"]),
    "no total": (lambda: without("TotalNumberOfStudyRecords"), ["Total Number of Study Records"]),
    "a level that there is not": (
        lambda: foreign.encode(foreign.inventory("1.9.1", InventoryLevel="IMAGE")),
        ["Inventory Level", "STUDY, SERIES, INSTANCE"],
    ),
    "another number of records": (
        lambda: foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)], NumberOfStudyRecordsInInstance=2)),
        ["1 study records, and not 2"],
    ),
    "a path for a UID": (
        lambda: GOOD.replace(b"1.9.1\0", b"../../"), ["UID"],
    ),
    "a study without a UID": (lambda: spoiled_study(StudyInstanceUID=""), ["StudyInstanceUID"]),
    "a study without a moment": (lambda: spoiled_study(ItemInventoryDateTime=""), ["Item Inventory DateTime"]),
    "a series without a modality": (lambda: GOOD.replace(b"\x08\0\x60\0CS\x02\0CT", b"\x08\0\x60\0CS\x02\0  "), ["Modality"]),
    "an instance without a class": (lambda: GOOD.replace(b"1.2.840.10008.5.1.4.1.1.2\0", b" " * 26), ["SOPClassUID"]),
    "a value that its VR forbids": (lambda: GOOD.replace(b"\x0d\x04UV\0\0\x08\0\0\0", b"\x0d\x04US\x08\0ab\x07\0"), []),
    "instances where there are none": (
        lambda: foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)], InventoryLevel="SERIES")),
        ["Inventory Level SERIES"],
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_inventory_is_refused_by_name(shared_server: Server, what: str) -> None:
    make, words = BAD[what]
    before = shared_server.get("/inventories"), shared_server.get("/statistics"), kept_files(shared_server)
    message = shared_server.error("POST", PATH, 400, data=make())
    assert all(word in message for word in words), message
    assert "Foreign1" not in message and "Foreign1" not in shared_server.log()
    assert (shared_server.get("/inventories"), shared_server.get("/statistics"), kept_files(shared_server)) == before


def test_two_inventories_cannot_incorporate_each_other(server: Server) -> None:
    take(server, foreign.encode(foreign.inventory("1.9.1", [], [foreign.reference("1.9.2")])))
    message = server.error("POST", PATH, 400, data=foreign.encode(foreign.inventory("1.9.2", [], [foreign.reference("1.9.1")])))
    assert "1.9.1" in message and server.get("/inventories") == ["1.9.1"]


def test_a_tree_has_one_level(server: Server) -> None:
    take(server, foreign.encode(foreign.inventory("1.9.1", [], [foreign.reference("1.9.2")])))
    leaf = foreign.inventory("1.9.2", InventoryLevel="STUDY")
    assert "InventoryLevel" in server.error("POST", PATH, 400, data=foreign.encode(leaf))
    take(server, foreign.encode(foreign.inventory("1.9.4", InventoryLevel="STUDY")))
    root = foreign.inventory("1.9.3", [], [foreign.reference("1.9.4")])
    assert "InventoryLevel" in server.error("POST", PATH, 400, data=foreign.encode(root))


def test_what_is_too_large_is_refused(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaximumImportSize": 1}).start()
    file = foreign.encode(foreign.inventory("1.9.1", InventoryPurpose="x" * 10_000))
    assert "Inventory.MaximumImportSize" in server.error("POST", PATH, 413, data=file + bytes(1024 * 1024))
    assert server.get("/inventories") == [] and kept_files(server) == []
    take(server, file)


def test_the_user_who_brought_it_is_told(make_server: Callable[..., Server]) -> None:
    server = make_server(
        configuration={"AuthenticationEnabled": True, "RegisteredUsers": {"reader": "r", "keeper": "k"}},
        inventory={"Users": {"Manage": ["keeper"]}},
    ).start()
    file = foreign.encode(foreign.inventory("1.9.1"))
    assert server.request("POST", PATH, data=file, auth=("reader", "r")).status_code == 403
    assert server.request("POST", PATH, data=file, auth=("keeper", "k")).status_code == 200
    assert server.request("GET", "/inventories/1.9.1", auth=("reader", "r")).json()["Requestor"] == "keeper"


POINTS = {
    "before anything": "at(Journal, 'reserve', [1], die)",
    "when its UID is reserved": "at(Journal, 'reserve', [1], die, after=True)",
    "when it is stored": "at(DirectoryStore, 'write', [1], die, after=True)",
    "before it is listed": "at(Journal, 'add_inventory', [1], die)",
    "when it is listed": "at(Journal, 'add_inventory', [1], die, after=True)",
}


@pytest.mark.parametrize("point", POINTS)
def test_after_kill_it_is_there_or_it_is_not(make_server: Callable[..., Server], point: str) -> None:
    server = make_server().start_with(POINTS[point])
    file = foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)]))
    with pytest.raises(OSError):
        server.request("POST", PATH, data=file)
    server.wait_until_dead()
    server.start()
    if server.get("/inventories") == []:
        assert point != "when it is listed" and list((server.state_directory).rglob("*.dcm")) == []
        server.error("GET", "/inventories/1.9.1/file", 404)
        take(server, file)
    assert server.request("GET", "/inventories/1.9.1/file").content == file and kept_files(server) == ["1.9.1.dcm"]
