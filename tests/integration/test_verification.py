"""Verification: what is damaged, missing, different and extra in the archive is found, whatever happens meanwhile."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom.data
import pytest

from . import archive, foreign
from .archive import uid
from .server import DEBIAN_SID, Server
from .test_rejections import note

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
    comment = "of 6 instances listed: 1 missing, 3 damaged, 1 different, 1 extra"
    later = " (1 of these received after the inventory was made)"
    assert transaction["TransactionStatusComment"] == comment + later
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
    configuration = {"StoreMD5ForAttachments": False, "MaximumStorageCacheSize": 0}
    server = make_server(configuration=configuration, inventory={"StoreIn": "Directory"}).start()
    _, deleted = store_one(server, archive.file(1, 1, 1, 1))
    server.store(archive.file(1, 1, 1, 2))
    root = server.make()["SOPInstanceUID"]
    deleted.unlink()
    transaction = verify(server, root, "MD5")
    if server.installation == DEBIAN_SID:
        # It can read none of its files that it has no MD5 of, once they are not in its cache.
        assert counts(transaction) == {"Checked": 2, "Damaged": 2}
        assert "Corrupted file" in findings(server, transaction)[1]["Reason"]
        return
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


Record = tuple[str, str, str]


def in_archive(server: Server) -> dict[Record, str]:
    """Orthanc's IDs by the UIDs of each instance, as Orthanc itself says."""
    found = {}
    for instance in server.get("/instances"):
        tags = server.get(f"/instances/{instance}/simplified-tags")
        found[tuple(tags[key] for key in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))] = instance
    return found


def expanded(found: list[dict[str, Any]], kind: str, records: set[Record]) -> list[Record]:
    """Of ``records`` all that findings of this kind mean."""
    keys = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    result = []
    for entry in found:
        if entry["Kind"] == kind:
            path = tuple(entry[key] for key in keys if entry[key])
            meant = [record for record in records if record[: len(path)] == path]
            assert len(meant) == entry["Items"]
            result += meant
    return sorted(result)


@pytest.mark.indexes("SQLite", "PostgreSQL-by-SQL")
@pytest.mark.parametrize("check", ["EXISTS", "MD5"])
def test_whatever_comes_and_goes_is_told_exactly(make_server: Make, check: str) -> None:
    server = make_server(inventory={"StoreIn": "Directory"}).start()
    chance = random.Random(223)
    shapes = [(patient, study, series, instance) for patient in (1, 2, 3) for study in (1, 2) for series in (1, 2)
              for instance in (1, 2, 3)]
    for round_ in range(4):
        present = set(chance.sample(shapes, 20))
        for study in server.get("/studies"):
            server.delete(f"/studies/{study}")
        server.store(*(archive.file(*shape) for shape in sorted(present)))
        before = in_archive(server)
        root = server.make()["SOPInstanceUID"]
        for record in chance.sample(sorted(before), chance.choice([0, 3, 12])):
            server.delete(f"/instances/{before[record]}")
        added = chance.sample(sorted(set(shapes) - present), chance.choice([0, 4, 10]))
        server.store(*(archive.file(*shape) for shape in added))
        after = in_archive(server)
        transaction = verify(server, root, check)
        found = findings(server, transaction)
        missing, extra = set(before) - set(after), set(after) - set(before)
        assert expanded(found, "Missing", set(before)) == sorted(missing)
        assert expanded(found, "Extra", set(after)) == sorted(extra)
        numbers = {"Checked": len(before), "Missing": len(missing), "Extra": len(extra), "Later": len(extra)}
        assert counts(transaction) == {key: number for key, number in numbers.items() if number}, round_
        identifiers = {entry["SOPInstanceUID"]: entry["ID"] for entry in found if entry["Kind"] == "Extra"}
        assert all(after[record] == identifiers.get(record[2], after[record]) for record in extra)


# What is not expected


def test_what_was_there_before_and_is_not_listed_is_told_apart(server: Server) -> None:
    server.store(*archive.files(1))
    root = server.make()["SOPInstanceUID"]
    server.store(*archive.files(2)[1:])
    transaction = verify(server, root)
    assert counts(transaction) == {"Checked": 1, "Extra": 1, "Later": 1}
    [found] = findings(server, transaction)
    assert (found["Later"], found["Reason"]) == (True, "received after the inventory was made")
    assert server.get(f"/studies/{found['ID']}")["MainDicomTags"]["StudyInstanceUID"] == uid(2, 1)
    [instance] = server.get(f"/studies/{found['ID']}/instances")
    assert found["Received"] == server.request("GET", f"/instances/{instance['ID']}/metadata/ReceptionDate").text
    # An inventory that lacks what was there: from elsewhere, and made in the future.
    late = foreign.inventory("1.9.99", [], ContentDate="20990101")
    assert server.request("POST", "/inventories/import", data=foreign.encode(late)).status_code == 200
    transaction = verify(server, "1.9.99")
    assert counts(transaction) == {"Extra": 2} and transaction["Verification"]["Coverage"] is None
    assert {entry["Reason"] for entry in findings(server, transaction)} == {"received before the inventory was made"}


@pytest.mark.indexes("SQLite", "PostgreSQL-by-SQL")
def test_only_what_is_in_scope_is_extra(server: Server) -> None:
    server.store(*archive.files(2, 1, 2))
    roots = [
        server.make(Scope=scope)["SOPInstanceUID"]
        for scope in ({"PatientID": "P0001"}, {"Modality": "CT"}, {"SOPInstanceUID": uid(1, 1, 1, 1)})
    ]
    assert [counts(verify(server, root)) for root in roots] == [{"Checked": 2}, {"Checked": 2}, {"Checked": 1}]
    # Series 2 and 4 are MR, series 3 is CT.
    server.store(*(archive.file(patient, 1, series) for patient in (1, 2, 3) for series in (3, 4)))
    expected = [
        [("Extra", "SERIES", uid(1, 1, 3)), ("Extra", "SERIES", uid(1, 1, 4))],
        [("Extra", "SERIES", uid(1, 1, 3)), ("Extra", "SERIES", uid(2, 1, 3)), ("Extra", "STUDY", uid(3, 1))],
        [],
    ]
    assert [places(findings(server, verify(server, root))) for root in roots] == expected


def test_a_scope_that_only_files_tell_is_matched(server: Server) -> None:
    server.store(archive.file(1, 1, NameOfPhysiciansReadingStudy="Reader"), archive.file(2, 1))
    root = server.make(Detail="Files", Scope={"NameOfPhysiciansReadingStudy": "READER"})["SOPInstanceUID"]
    server.store(archive.file(3, 1, NameOfPhysiciansReadingStudy="Reader"), archive.file(4, 1))
    transaction = verify(server, root)
    assert places(findings(server, transaction)) == [("Extra", "STUDY", uid(3, 1))] and transaction["Detail"] == "Files"


def test_where_the_scope_cannot_be_matched_nothing_is_said_of_what_is_extra(server: Server) -> None:
    scope = foreign.item(ScopeOfInventorySequence=[foreign.item(StorageMediaFileSetID="X")]).ScopeOfInventorySequence
    data = foreign.inventory("1.9.99", [foreign.study(1)], ScopeOfInventorySequence=scope)
    assert server.request("POST", "/inventories/import", data=foreign.encode(data)).status_code == 200
    server.store(archive.file(1, 1))
    transaction = verify(server, "1.9.99")
    verification = transaction["Verification"]
    assert [verification[key] for key in ("Checked", "Missing", "Extra", "Coverage")] == [2, 2, None, 0]
    assert transaction["TransactionStatusComment"].endswith("cannot match the scope, so what is extra is not told")


def test_what_is_withdrawn_is_neither_missing_nor_extra(server: Server) -> None:
    server.store(*archive.files(4, 1, 2, 2))
    server.store(note(1, 1, "113001", (1, 2)), note(2, 1, "113001", (1, 1), (1, 2)))
    server.store(note(3, 1, "113001", (1, 1), (1, 2), (2, 1), (2, 2)))
    whole = server.make()["SOPInstanceUID"]
    operational = server.make(IncludeRemoved=False)["SOPInstanceUID"]
    # Of 19 objects 7 are withdrawn; with its whole study a note goes too.
    for root, checked in ((whole, 11), (operational, 11)):
        assert counts(verify(server, root)) == {"Checked": checked}
    ids = in_archive(server)
    server.delete(f"/instances/{ids[uid(1, 1), uid(1, 1, 1), uid(1, 1, 1, 2)]}")
    server.store(note(4, 1, "113001", (2, 2)))
    for root in (whole, operational):
        transaction = verify(server, root)
        assert places(findings(server, transaction)) == [("Extra", "SERIES", uid(4, 1, 91))]
        assert counts(transaction) == {"Checked": 11, "Extra": 1, "Later": 1}


def test_what_an_increment_knows_as_deleted_is_not_expected(server: Server) -> None:
    server.store(*archive.files(3, 1, 1, 2))
    server.make()
    ids = in_archive(server)
    server.delete(f"/instances/{ids[uid(1, 1), uid(1, 1, 1), uid(1, 1, 1, 1)]}")
    server.delete(f"/studies/{server.get(f'/instances/{ids[uid(2, 1), uid(2, 1, 1), uid(2, 1, 1, 1)]}/study')['ID']}")
    root = server.make(Base="latest")["SOPInstanceUID"]
    assert counts(verify(server, root)) == {"Checked": 3}
    # What comes back is known, and so not extra.
    server.store(archive.file(2, 1), archive.file(2, 1, 1, 9))
    transaction = verify(server, root)
    assert places(findings(server, transaction)) == [("Extra", "INSTANCE", uid(2, 1, 1, 9))]


# Other levels


@pytest.mark.parametrize("level", ["STUDY", "SERIES"])
def test_other_levels_check_what_they_know(server: Server, level: str) -> None:
    server.store(*archive.files(3, 1, 2, 2))
    root = server.make(Level=level)["SOPInstanceUID"]
    items = 3 if level == "STUDY" else 6
    transaction = verify(server, root)
    assert counts(transaction) == {"Checked": items}
    assert transaction["TransactionStatusComment"] == f"all {items} {'studies' if level == 'STUDY' else 'series'} are there"
    ids = in_archive(server)
    server.delete(f"/instances/{ids[uid(1, 1), uid(1, 1, 1), uid(1, 1, 1, 1)]}")
    for instance in (1, 2):
        server.delete(f"/instances/{ids[uid(2, 1), uid(2, 1, 1), uid(2, 1, 1, instance)]}")
    server.store(archive.file(2, 1, 3), archive.file(3, 1, 3), *archive.files(4)[3:])
    found = findings(server, transaction := verify(server, root))
    if level == "STUDY":
        assert places(found) == [
            ("Different", "STUDY", uid(1, 1)), ("Different", "STUDY", uid(2, 1)), ("Different", "STUDY", uid(3, 1)),
            ("Extra", "STUDY", uid(4, 1)),
        ]
        [entry] = [entry for entry in found if entry["StudyInstanceUID"] == uid(1, 1)]
        assert entry["Attributes"] == {"NumberOfStudyRelatedInstances": [4, 3]}
        assert counts(transaction) == {"Checked": 3, "Different": 3, "Extra": 1, "Later": 1}
    else:
        assert places(found) == [
            ("Different", "STUDY", uid(1, 1)), ("Extra", "SERIES", uid(2, 1, 3)), ("Extra", "SERIES", uid(3, 1, 3)),
            ("Extra", "STUDY", uid(4, 1)), ("Missing", "SERIES", uid(2, 1, 1)),
        ]
        assert counts(transaction) == {"Checked": 6, "Different": 1, "Missing": 1, "Extra": 3, "Later": 3}
    for check in ("SIZE", "MD5"):
        message = server.error("POST", f"/inventories/{root}/verify", 400, data=json.dumps({"Check": check}))
        assert message == f"Check must be EXISTS: an inventory of Level {level} tells no sizes and digests"


# Who is who


def test_patients_by_another_name_are_found_by_uid(make_server: Make) -> None:
    names = ["P 1 ", "Müller", "X" * 70, "A\\B", "", "  lead"]
    old = make_server().start()
    old.store(*(archive.file(number, 1, 1, 1, PatientID=name) for number, name in enumerate(names)))
    old.store(*(archive.file(number, 1, 1, 2, PatientID=name) for number, name in enumerate(names)))
    roots = [old.make(PatientIdentifiers=identifying)["SOPInstanceUID"] for identifying in (True, False)]
    for root in roots:
        for check in ("EXISTS", "MD5"):
            assert counts(verify(old, root, check)) == {"Checked": 12}, old.get("/patients?expand")
    # A new archive gave them all other Patient IDs; one object did not arrive.
    new = make_server().start()
    new.store(*(archive.file(number, 1, 1, 1, PatientID=f"NEW-{number}") for number in range(len(names))))
    new.store(*(archive.file(number, 1, 1, 2, PatientID=f"NEW-{number}") for number in range(1, len(names))))
    for root in roots:
        file = old.request("GET", f"/inventories/{root}/file").content
        assert new.request("POST", "/inventories/import", data=file).status_code == 200
        transaction = verify(new, root)
        assert counts(transaction) == {"Checked": 12, "Missing": 1}
        assert places(findings(new, transaction)) == [("Missing", "INSTANCE", uid(0, 1, 1, 2))]


def test_two_patients_with_one_study_uid_are_kept_apart(server: Server) -> None:
    def shared(patient: int, instance: int) -> bytes:
        return archive.file(patient, 1, 1, instance, StudyInstanceUID=uid(8), SeriesInstanceUID=uid(8, patient))

    server.store(shared(1, 1), shared(1, 2), shared(2, 1))
    roots = [server.make(PatientIdentifiers=identifying)["SOPInstanceUID"] for identifying in (True, False)]
    for root in roots:
        for check in ("EXISTS", "SIZE"):
            assert counts(verify(server, root, check)) == {"Checked": 3}
    studies = {study["PatientMainDicomTags"]["PatientID"]: study["ID"] for study in server.get("/studies?expand")}
    server.store(shared(3, 1))
    for root in roots:
        assert counts(verify(server, root)) == {"Checked": 3, "Extra": 1, "Later": 1}
    server.delete(f"/studies/{studies['P0002']}")
    found = findings(server, verify(server, roots[0]))
    missing = [entry for entry in found if entry["Kind"] == "Missing"]
    assert [(entry["StudyInstanceUID"], entry["Items"]) for entry in missing] == [(uid(8), 1)]


@pytest.mark.parametrize("check", ["EXISTS", "MD5"])
def test_a_patient_id_in_two_forms_is_one(server: Server, check: str) -> None:
    """Orthanc holds the two apart; one and the same object is in both."""
    names = ("rtdose.dcm", "rtdose_rle.dcm")
    server.store(*(Path(pydicom.data.get_testdata_file(name)).read_bytes() for name in names))
    assert len(server.get("/studies")) == 2
    root = server.make()["SOPInstanceUID"]
    assert counts(verify(server, root, check)) == {"Checked": 1}
    server.store(*archive.files(1))
    assert counts(verify(server, root, check)) == {"Checked": 1, "Extra": 1, "Later": 1}


def test_a_transcoded_file_has_no_size_to_compare(server: Server) -> None:
    data = foreign.study(1, instances=1)
    data.PatientID = "P0001"
    data.StudyInstanceUID = uid(1, 1)
    [series] = data.InventoriedSeriesSequence
    series.SeriesInstanceUID = uid(1, 1, 1)
    [instance] = series.InventoriedInstancesSequence
    instance.SOPInstanceUID = uid(1, 1, 1, 1)
    [access] = instance.FileAccessSequence
    file = archive.file(1, 1)
    server.store(file)

    def check(name: str, kind: str = "SIZE") -> dict[str, int]:
        inventory = foreign.encode(foreign.inventory(name, [data]))
        assert server.request("POST", "/inventories/import", data=inventory).status_code == 200
        return counts(verify(server, name, kind))

    assert check("1.9.1") == {"Checked": 1, "Different": 1}
    access.StoredInstanceTransferSyntaxUID = "1.2.840.10008.1.2.4.90"
    assert check("1.9.2") == {"Checked": 1, "Unchecked": 1}
    assert check("1.9.3", "MD5") == {"Checked": 1}
    # A digest of another algorithm is made from the file; of several files one is the one.
    access.StoredInstanceTransferSyntaxUID, access.FileLengthInContainer = "1.2.840.10008.1.2.1", len(file)
    access.MACAlgorithm, access.MAC = "SHA256", hashlib.sha256(file).digest()
    assert check("1.9.4", "MD5") == {"Checked": 1}
    access.MAC = hashlib.sha256(b"").digest()
    assert check("1.9.5", "MD5") == {"Checked": 1, "Different": 1}
    other = foreign.item(
        FileAccessURI="x", ContainerFileType="DICOM", StoredInstanceTransferSyntaxUID="1.2.840.10008.1.2.1",
        FileLengthInContainer=len(file), MACAlgorithm="MD5", MAC=hashlib.md5(file).digest(),
    )
    instance.FileAccessSequence.append(other)
    assert check("1.9.6", "MD5") == check("1.9.7") == {"Checked": 1}
