"""The ZIP file of an inventory: every instance, in a file-set that other tools can read."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

import orthanc_inventory

from . import archive
from .other_software import NEW_DCMTK, check_by_dcmdump, dcmtk
from .server import Server


def download(server: Server, uid: str, folder: Path) -> Path:
    """Unpacks the archive of an inventory; Info-ZIP and Python both find it whole."""
    answer = server.request("GET", f"/inventories/{uid}/archive")
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/zip", answer.text
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{uid}.zip"'
    file = folder / "archive.zip"
    file.write_bytes(answer.content)
    subprocess.run(["unzip", "-tq", str(file)], check=True, capture_output=True)
    with zipfile.ZipFile(file) as members:
        assert members.testzip() is None
        for member in members.infolist():
            # ISO 21320-1: stored or deflated, neither encrypted nor patched, no newer feature than ZIP64.
            assert member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            assert not member.flag_bits & ~0b1000_0000_1110 and member.extract_version <= 45
            # PS3.10 8.2
            assert re.fullmatch(r"[A-Z0-9_]{1,8}(/[A-Z0-9_]{1,8}){0,7}", member.filename), member.filename
        members.extractall(folder / "files")
    return folder / "files"


def records(folder: Path) -> list[Dataset]:
    """The directory records, found by their offsets as a reader does."""
    directory = pydicom.dcmread(folder / "DICOMDIR")
    assert directory.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.1.3.10"
    by_offset = {record.seq_item_tell: record for record in directory.DirectoryRecordSequence}
    found, offset = [], directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity
    while offset:
        found.append(by_offset[offset])
        last, offset = offset, by_offset[offset].OffsetOfTheNextDirectoryRecord
    assert last == directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity and len(found) == len(by_offset)
    return found


def check(server: Server, summary: dict, folder: Path) -> None:
    """The file-set holds the files of the tree, and its directory says what they say."""
    found = records(folder)
    assert [record.ReferencedSOPInstanceUIDInFile for record in found] == summary["InstanceUIDs"]
    assert sum(path.is_file() for path in folder.rglob("*")) == 1 + len(found)
    for record in found:
        assert record.DirectoryRecordType == "INVENTORY" and record.RecordInUseFlag == 0xFFFF
        path = folder.joinpath(*record.ReferencedFileID)
        uid = record.ReferencedSOPInstanceUIDInFile
        assert path.read_bytes() == server.request("GET", f"/inventories/{uid}/file").content
        file = pydicom.dcmread(path)
        assert record.ReferencedSOPClassUIDInFile == file.SOPClassUID
        assert record.ReferencedTransferSyntaxUIDInFile == file.file_meta.TransferSyntaxUID
        for keyword in (
            "ContentDate", "ContentTime", "InventoryPurpose", "InventoryLevel", "ScopeOfInventorySequence",
            "InventoryCompletionStatus", "TotalNumberOfStudyRecords",
        ):
            assert record[keyword].value == file[keyword].value, keyword
    dump = subprocess.run(["dcmdump", "-q", str(folder / "DICOMDIR")], capture_output=True, encoding="latin-1", check=True)
    assert dump.stderr == "" and dump.stdout.count("INVENTORY") == len(found) + 1
    check_by_dcmtk(folder, summary["InstanceUIDs"])


def check_by_dcmtk(folder: Path, uids: list[str]) -> None:
    """dcmdump knows all that is in the directory, dcmmkdir updates it, and makes the same records of the files by itself."""
    check_by_dcmdump(folder, uids, "DICOMDIR")
    ours = keys(folder / "DICOMDIR")
    shutil.copy(folder / "DICOMDIR", folder / "UPDATED")
    scan = ["+r", "+id", ".", "INVENTRY"]
    dcmtk(NEW_DCMTK, folder, "dcmmkdir", "-Pmi", "--update", "-nb", "+D", "UPDATED", *scan)
    dcmtk(NEW_DCMTK, folder, "dcmmkdir", "-Pmi", "+D", "MADE", *scan)
    assert keys(folder / "UPDATED") == ours
    made = keys(folder / "MADE")
    for record in made.values():
        # DCMTK 3.6.9 has the type of another record here, in the file that it makes itself alone.
        assert record.DirectoryRecordType == "IMPLANT"
        record.DirectoryRecordType = "INVENTORY"
    assert made == ours


def keys(path: Path) -> dict[str, Dataset]:
    """What a DICOMDIR says of each instance, but for the place of the next record."""
    result = {record.ReferencedSOPInstanceUIDInFile: record for record in pydicom.dcmread(path).DirectoryRecordSequence}
    for record in result.values():
        del record.OffsetOfTheNextDirectoryRecord
    return result


@pytest.mark.parametrize("store", ["Orthanc", "Directory"])
def test_an_archive_holds_the_whole_tree(make_server: Callable[..., Server], tmp_path: Path, store: str) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 6, "StoreIn": store}).start()
    server.store(*archive.files(9))
    summary = server.make(Purpose="Prüfung 山田", Scope={"PatientID": "P*", "StudyDate": "20000101-20991231"})
    assert len(summary["InstanceUIDs"]) > 3
    folder = download(server, summary["SOPInstanceUID"], tmp_path)
    check(server, summary, folder)
    assert records(folder)[0].InventoryPurpose == "Prüfung 山田"
    # The reader takes the archive as it is.
    read = orthanc_inventory.open(tmp_path / "archive.zip")
    assert read.uid == summary["SOPInstanceUID"] and len(list(read.studies())) == 9


def test_an_inventory_of_one_instance_has_an_archive_too(shared_server: Server, tmp_path: Path) -> None:
    summary = shared_server.make()
    check(shared_server, summary, download(shared_server, summary["SOPInstanceUID"], tmp_path))


def test_more_than_a_thousand_files_go_into_several_folders(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 1, "StoreIn": "Directory"}).start()
    server.store(*archive.files(1002))
    summary = server.make(Level="STUDY")
    folder = download(server, summary["SOPInstanceUID"], tmp_path)
    assert len(records(folder)) == 1005
    assert sorted(len(list(entry.iterdir())) for entry in (folder / "INVENTRY").iterdir()) == [5, 1000]


def test_there_is_an_archive_after_a_reset(server: Server, tmp_path: Path) -> None:
    server.store(*archive.files(2))
    summary = server.make()
    server.reset()
    check(server, summary, download(server, summary["SOPInstanceUID"], tmp_path))


def test_nothing_is_left_of_the_work(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server(inventory={"StoreIn": "Directory"}).start()
    server.store(*archive.files(2))
    summary = server.make()
    before = {path for path in server.state_directory.rglob("*") if path.suffix == ".dcm" or "." not in path.name}
    download(server, summary["SOPInstanceUID"], tmp_path)
    assert {path for path in server.state_directory.rglob("*") if path.suffix == ".dcm" or "." not in path.name} == before


def test_an_archive_that_would_not_be_whole_is_refused(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 3, "StoreIn": "Directory"}).start()
    server.store(*archive.files(3))
    summary = server.make()
    uid = summary["SOPInstanceUID"]
    next(server.state_directory.rglob(f"{summary['InstanceUIDs'][1]}.dcm")).unlink()
    assert "1 instances" in server.error("GET", f"/inventories/{uid}/archive", 409)
    server.error("GET", f"/inventories/{summary['InstanceUIDs'][2]}/archive", 404)
    server.error("GET", "/inventories/2.25.99/archive", 404)


def test_what_cannot_be_streamed_is_refused_when_too_large(make_server: Callable[..., Server]) -> None:
    server = make_server()
    text = "import orthanc_inventory.host; orthanc_inventory.host._LARGEST_ANSWER_IN_MEMORY = 1000"
    server.start_with(text)
    server.store(*archive.files(3))
    path = f"/inventories/{server.make()['SOPInstanceUID']}/archive"
    if server.get("/inventories/status")["Capabilities"]["StreamedAnswers"]:
        assert zipfile.ZipFile(BytesIO(server.request("GET", path).content)).testzip() is None
    else:
        assert "in parts" in server.error("GET", path, 413)


def test_an_archive_that_breaks_off_is_seen_to_be_broken(make_server: Callable[..., Server]) -> None:
    text = """
def fail(*arguments):
    raise HostError(14, "the database is broken")
at(DirectoryStore, 'open', [3], fail)
"""
    server = make_server(inventory={"MaxRecordsPerInstance": 3, "StoreIn": "Directory"}).start_with(text)
    server.store(*archive.files(5))
    path = f"/inventories/{server.make()['SOPInstanceUID']}/archive"
    try:
        answer = server.request("GET", path)
    except OSError:  # the connection ends in the middle
        pass
    else:
        assert answer.status_code == 500 or not zipfile.is_zipfile(BytesIO(answer.content))
    assert server.request("GET", path).status_code == 200
