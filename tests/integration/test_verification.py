"""Verification: what is damaged, missing, different and extra in the archive is found, whatever happens meanwhile."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from . import archive, script
from .archive import uid
from .server import SCRIPT, Server

Make = Callable[..., Server]


def verify(server: Server, root: str, check: str = "EXISTS", **body: Any) -> dict[str, Any]:
    """The finished transaction."""
    transaction = server.post(f"/inventories/{root}/verify", {"Check": check, "Synchronous": True, **body})
    assert (transaction["State"], transaction["Kind"], transaction["Progress"]) == ("Success", "Verification", 100), transaction
    verification = transaction["Verification"]
    assert (verification["SOPInstanceUID"], verification["Check"]) == (root, check)
    return transaction


def counts(transaction: dict[str, Any]) -> dict[str, int]:
    """The numbers that are not 0."""
    keys = ("Checked", "Missing", "Damaged", "Different", "Extra", "Later", "Unchecked")
    return {key: transaction["Verification"][key] for key in keys if transaction["Verification"][key]}


def findings(server: Server, transaction: dict[str, Any], query: str = "limit=1000") -> list[dict[str, Any]]:
    return server.get(f"/inventories/transactions/{transaction['ID']}/findings?{query}")


def places(found: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Kind, level and UID of each finding, sorted."""
    return sorted(
        (entry["Kind"], entry["Level"], entry["SOPInstanceUID"] or entry["SeriesInstanceUID"] or entry["StudyInstanceUID"])
        for entry in found
    )


def on_disk(server: Server) -> set[Path]:
    """The files of the archive."""
    return {path for path in (server.folder / "storage").rglob("*") if len(path.name) == 36 and path.is_file()}


def store_one(server: Server, file: bytes) -> tuple[str, Path]:
    """Orthanc's ID of the object, and where its file lies."""
    before = on_disk(server)
    [identifier] = server.store(file)
    [path] = on_disk(server) - before
    return identifier, path


@pytest.mark.parametrize("check", ["EXISTS", "SIZE", "MD5"])
def test_an_archive_is_what_its_inventory_says(server: Server, check: str) -> None:
    server.store(*archive.files(3, 2, 2, 2))
    root = server.make()["SOPInstanceUID"]
    before = server.get("/statistics")
    transaction = verify(server, root, check, UserData={"my": 1})
    assert counts(transaction) == {"Checked": 24} and transaction["Verification"]["Coverage"] == 1
    assert (transaction["Studies"], transaction["Series"], transaction["Instances"]) == (6, 12, 24)
    assert transaction["TransactionStatusComment"].startswith("all 24 instances are there")
    assert transaction["UserData"] == {"my": 1} and transaction["SOPInstanceUID"] is None
    assert findings(server, transaction) == [] and server.transaction(transaction["ID"]) == transaction
    # It changes nothing, and makes no inventory.
    assert server.get("/statistics") == before and server.get("/inventories") == [root]
    assert server.get("/inventories/status")["LastRun"]["SOPInstanceUID"] == root


@pytest.mark.parametrize("compressed", [False, True])
def test_what_is_damaged_on_the_disk_is_found(make_server: Make, compressed: bool) -> None:
    server = make_server(configuration={"StorageCompression": compressed}, inventory={"StoreIn": "Directory"}).start()
    stored = [store_one(server, archive.file(1, 1, 1, number)) for number in range(1, 7)]
    root = server.make()["SOPInstanceUID"]
    (_, altered), (_, shortened), (_, deleted) = stored[:3]
    content = bytearray(altered.read_bytes())
    content[len(content) // 2] ^= 1
    altered.write_bytes(content)
    shortened.write_bytes(shortened.read_bytes()[:200])
    deleted.unlink()
    server.delete(f"/instances/{stored[3][0]}")
    server.store(archive.file(1, 1, 1, 5, StudyDescription="Another"), archive.file(1, 1, 1, 7))
    expected = [
        *(("Damaged", "INSTANCE", uid(1, 1, 1, number)) for number in (1, 2, 3)),
        ("Different", "INSTANCE", uid(1, 1, 1, 5)),
        ("Extra", "INSTANCE", uid(1, 1, 1, 7)),
        ("Missing", "INSTANCE", uid(1, 1, 1, 4)),
    ]
    transaction = verify(server, root, "MD5")
    found = findings(server, transaction)
    assert places(found) == expected
    assert counts(transaction) == {"Checked": 6, "Missing": 1, "Damaged": 3, "Different": 1, "Extra": 1, "Later": 1}
    assert transaction["Verification"]["Coverage"] == round(5 / 6, 6)
    comment = "of 6 instances listed: 1 missing, 3 damaged, 1 different, 1 extra (1 of these received after the inventory was made)"
    assert transaction["TransactionStatusComment"] == comment
    reasons = {entry["SOPInstanceUID"]: entry["Reason"] for entry in found}
    assert "MD5" in reasons[uid(1, 1, 1, 1)] and "MD5" in reasons[uid(1, 1, 1, 2)]
    assert "cannot be read" in reasons[uid(1, 1, 1, 3)]
    [different] = [entry for entry in found if entry["Kind"] == "Different"]
    assert different["ID"] == stored[4][0] and list(different["Attributes"]) == ["FileLengthInContainer"]
    # Sizes and the index alone do not tell of the disk.
    assert counts(verify(server, root, "SIZE")) == {"Checked": 6, "Missing": 1, "Different": 1, "Extra": 1, "Later": 1}
    assert counts(verify(server, root)) == {"Checked": 6, "Missing": 1, "Extra": 1, "Later": 1}


def test_what_changed_without_another_size_is_found(make_server: Make) -> None:
    server = make_server(inventory={"StoreIn": "Directory", "Checksums": True}).start()
    server.store(archive.file(1, 1))
    with_digests = server.make()["SOPInstanceUID"]
    server.stop()
    server.configuration["Inventory"]["Checksums"] = False
    server.start()
    without = server.make()["SOPInstanceUID"]
    server.store(archive.file(1, 1, StudyDescription="Thorac"))
    assert counts(verify(server, with_digests, "SIZE")) == {"Checked": 1}
    transaction = verify(server, with_digests, "MD5")
    [found] = findings(server, transaction)
    assert (found["Kind"], list(found["Attributes"])) == ("Different", ["MAC"])
    # Without digests there are those of Orthanc, which took the other object for good.
    assert counts(verify(server, without, "MD5")) == {"Checked": 1}


def test_without_digests_files_are_read_and_that_is_told(make_server: Make) -> None:
    server = make_server(configuration={"StoreMD5ForAttachments": False, "MaximumStorageCacheSize": 0}).start()
    _, deleted = store_one(server, archive.file(1, 1, 1, 1))
    server.store(archive.file(1, 1, 1, 2))
    root = server.make()["SOPInstanceUID"]
    deleted.unlink()
    transaction = verify(server, root, "MD5")
    assert counts(transaction) == {"Checked": 2, "Damaged": 1, "Unchecked": 1}
    assert places(findings(server, transaction)) == [("Damaged", "INSTANCE", uid(1, 1, 1, 1))]
    assert transaction["TransactionStatusComment"] == "of 2 instances listed: 1 damaged; 1 have nothing to compare with"


def test_what_is_missing_as_a_whole_is_told_once(server: Server) -> None:
    server.store(*archive.files(2, 2, 2, 3))
    root = server.make()["SOPInstanceUID"]
    by_uid = {study["MainDicomTags"]["StudyInstanceUID"]: study for study in server.get("/studies?expand")}
    server.delete(f"/studies/{by_uid[uid(1, 1)]['ID']}")
    series = {entry["MainDicomTags"]["SeriesInstanceUID"]: entry["ID"] for entry in server.get("/series?expand")}
    server.delete(f"/series/{series[uid(1, 2, 2)]}")
    server.store(*archive.files(3)[2:], archive.file(2, 2, 3), archive.file(2, 2, 3, 2))
    transaction = verify(server, root)
    found = findings(server, transaction)
    assert places(found) == [
        ("Extra", "SERIES", uid(2, 2, 3)), ("Extra", "STUDY", uid(3, 1)), ("Missing", "SERIES", uid(1, 2, 2)),
        ("Missing", "STUDY", uid(1, 1)),
    ]
    assert {entry["Level"] + entry["Kind"]: entry["Items"] for entry in found} == {
        "STUDYMissing": 6, "SERIESMissing": 3, "SERIESExtra": 2, "STUDYExtra": 1,
    }
    assert counts(transaction) == {"Checked": 24, "Missing": 9, "Extra": 3, "Later": 3}
    assert [entry["ID"] for entry in found if entry["Level"] + entry["Kind"] == "STUDYMissing"] == [by_uid[uid(1, 1)]["ID"]]
