"""Where inventories are kept: in Orthanc, without harm to what is there, or in a folder."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO

import pydicom
import pytest
import requests

from . import archive
from .server import Server

PSEUDO_PATIENT = "ORTHANC-INVENTORY"


def pseudo_patient(server: Server) -> str:
    (identifier,) = server.post("/tools/find", {"Level": "Patient", "Query": {"PatientID": PSEUDO_PATIENT}})
    return identifier


@pytest.mark.newest
def test_orthanc_keeps_a_run_as_a_study_of_the_pseudo_patient(server: Server) -> None:
    server.store(*archive.files(2))
    summary = server.make(Description="Before the migration")
    (study,) = server.get(f"/patients/{pseudo_patient(server)}/studies")
    assert study["MainDicomTags"]["StudyDescription"] == "INSTANCE inventory: Before the migration"
    assert study["MainDicomTags"]["StudyDate"] == summary["ContentDate"]
    (series,) = server.get(f"/studies/{study['ID']}/series")
    assert series["Instances"] == [summary["OrthancID"]]
    stored = pydicom.dcmread(pydicom.filebase.BytesIO(server.request("GET", f"/instances/{summary['OrthancID']}/file").content))
    plain = server.file(summary["SOPInstanceUID"])
    for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID"):
        assert stored[keyword].value and keyword not in plain
    assert stored.InventoriedStudiesSequence == plain.InventoriedStudiesSequence
    assert server.request("GET", f"/patients/{pseudo_patient(server)}/protected").text == "1"


def test_a_half_made_inventory_is_never_listed(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 3}).start_with("halt(4)")
    server.store(*archive.files(10))
    uid = server.begin()
    server.wait_until(uid, Studies=4)
    assert server.get("/inventories") == []
    (series,) = server.get(f"/patients/{pseudo_patient(server)}/series")
    for identifier in series["Instances"]:
        leaf = server.get(f"/instances/{identifier}/simplified-tags")["SOPInstanceUID"]
        server.error("GET", f"/inventories/{leaf}", 404)
        server.error("GET", f"/inventories/{leaf}/file", 404)
    server.let_go()
    server.wait_for(uid)
    assert len(server.get("/inventories")) == 1


@pytest.mark.newest
def test_a_deleted_inventory_leaves_nothing_in_orthanc(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 3}).start()
    server.store(*archive.files(3))
    before = server.get("/statistics")
    first = server.make()
    second = server.make()
    server.delete(f"/inventories/{first['SOPInstanceUID']}")
    assert server.get("/inventories") == [second["SOPInstanceUID"]]
    server.error("GET", f"/inventories/{first['SOPInstanceUID']}", 404)
    server.error("GET", f"/inventories/{first['InstanceUIDs'][-1]}/file", 404)
    server.error("DELETE", f"/inventories/{first['SOPInstanceUID']}", 404)
    server.error("DELETE", f"/inventories/{second['InstanceUIDs'][-1]}", 404)
    assert server.get(f"/inventories/{second['SOPInstanceUID']}")["Missing"] == []
    server.delete(f"/inventories/{second['SOPInstanceUID']}")
    assert server.get("/statistics") == before


def test_what_was_removed_by_hand_is_told(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 3}).start()
    server.store(*archive.files(3))
    summary = server.make()
    (series,) = server.get(f"/patients/{pseudo_patient(server)}/series")
    leaf = next(identifier for identifier in series["Instances"] if identifier != summary["OrthancID"])
    uid = server.get(f"/instances/{leaf}/simplified-tags")["SOPInstanceUID"]
    server.delete(f"/instances/{leaf}")
    assert server.get(f"/inventories/{summary['SOPInstanceUID']}")["Missing"] == [uid]
    assert "was removed" in server.error("GET", f"/inventories/{uid}/file", 404)
    server.delete(f"/patients/{pseudo_patient(server)}")
    assert set(server.get(f"/inventories/{summary['SOPInstanceUID']}")["Missing"]) == set(summary["InstanceUIDs"])
    server.error("GET", f"/inventories/{summary['SOPInstanceUID']}/file", 404)
    server.delete(f"/inventories/{summary['SOPInstanceUID']}")
    assert server.get("/inventories") == []


def test_orthanc_recycles_no_inventory(make_server: Callable[..., Server]) -> None:
    server = make_server(configuration={"MaximumPatientCount": 3}).start()
    server.store(*archive.files(2))
    summary = server.make()
    for patient in range(3, 6):
        server.store(archive.file(patient, 1))
    assert len(server.get("/patients")) == 3
    assert server.get(f"/inventories/{summary['SOPInstanceUID']}")["Missing"] == []
    assert server.make()["Studies"] == 2


@pytest.mark.parametrize(
    ("configuration", "reason"),
    [
        ({"MaximumPatientCount": 2}, "MaximumPatientCount (2)"),
        ({"MaximumStorageSize": 1}, "MaximumStorageSize (1 MB)"),
    ],
)
def test_a_run_never_makes_orthanc_delete_a_patient(
    make_server: Callable[..., Server], configuration: dict[str, int], reason: str
) -> None:
    server = make_server(configuration=configuration).start()
    padding = {"EncapsulatedDocument": bytes(480 * 1024)} if "MaximumStorageSize" in configuration else {}
    server.store(archive.file(1, 1, **padding), archive.file(2, 1, **padding))
    before = server.get("/statistics")
    assert before["CountPatients"] == 2
    message = server.error("POST", "/inventories", 409)
    assert reason in message and 'StoreIn to "Directory"' in message
    assert server.get("/statistics") == before
    assert server.get("/inventories/transactions") == []


def test_room_that_ends_in_the_middle_fails_the_run_and_leaves_nothing(make_server: Callable[..., Server]) -> None:
    server = make_server(configuration={"MaximumStorageSize": 1}, inventory={"MaxRecordsPerInstance": 3}).start()
    # Room for the beginning, but not for a hundred leaves of more than 2 KB each.
    server.store(archive.file(1, 1, EncapsulatedDocument=bytes(800 * 1024)), *archive.files(100)[1:])
    before = server.get("/statistics")
    assert before["CountPatients"] == 100
    transaction = server.post("/inventories", {"Synchronous": True})
    assert (transaction["State"], transaction["TransactionStatus"]) == ("Failure", "FAILURE")
    assert "MaximumStorageSize" in transaction["TransactionStatusComment"] == transaction["ErrorDescription"]
    assert transaction["SOPInstanceUID"] is None and transaction["ErrorCode"] != 0
    assert server.get("/statistics") == before and server.get("/inventories") == []


def test_a_read_only_orthanc_is_told_at_the_start(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    server.store(archive.file(1, 1))
    server.stop()
    server.configuration["ReadOnly"] = True
    server.start()
    if server.installation.name != "Orthanc 1.10.1":
        assert "ReadOnly" in server.error("POST", "/inventories", 409)
    server.stop()
    server.configuration["Inventory"] = {"StoreIn": "Directory"}
    server.start()
    assert server.make()["Instances"] == 1


@pytest.mark.newest
def test_a_folder_keeps_inventories_and_orthanc_sees_none(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"StoreIn": "Directory", "MaxRecordsPerInstance": 3}).start()
    server.store(*archive.files(3))
    before = server.get("/statistics")
    summary = server.make()
    assert server.get("/statistics") == before and summary["OrthancID"] is None
    files = {path.stem: path for path in server.state_directory.rglob("*.dcm")}
    assert set(files) == set(summary["InstanceUIDs"]) and not list(server.state_directory.rglob("*.part"))
    for uid, path in files.items():
        assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
        assert path.read_bytes() == server.request("GET", f"/inventories/{uid}/file").content
    files[summary["InstanceUIDs"][-1]].unlink()
    assert server.get(f"/inventories/{summary['SOPInstanceUID']}")["Missing"] == summary["InstanceUIDs"][-1:]
    server.error("GET", f"/inventories/{summary['InstanceUIDs'][-1]}/file", 404)
    server.delete(f"/inventories/{summary['SOPInstanceUID']}")
    assert not list(server.state_directory.rglob("*.dcm")) and server.get("/inventories") == []


def test_another_store_later_keeps_what_is_there(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"StoreIn": "Directory"}).start()
    server.store(archive.file(1, 1))
    first = server.make()
    server.stop()
    server.configuration["Inventory"] = {"StoreIn": "Orthanc"}
    server.start()
    second = server.make()
    assert second["OrthancID"] and server.get("/inventories") == [first["SOPInstanceUID"], second["SOPInstanceUID"]]
    assert server.file(first["SOPInstanceUID"]).SOPInstanceUID == first["SOPInstanceUID"]


def test_a_file_of_many_megabytes_is_answered_whole(make_server: Callable[..., Server]) -> None:
    """One study of 4,000 instances is one leaf, of more than a chunk of an answer."""
    inventory = {"StoreIn": "Directory", "FileAccess": {"BaseUri": "https://pacs.example.org/"}}
    server = make_server(inventory=inventory).start()
    server.store(*archive.files(1, 1, 1, 4000))
    summary = server.make()
    answer = server.request("GET", f"/inventories/{summary['SOPInstanceUID']}/file")
    assert answer.headers["Content-Type"] == "application/dicom"
    assert len(answer.content) == summary["Size"] > 1024 * 1024


def test_a_file_that_is_lost_below_orthanc_is_told(make_server: Callable[..., Server]) -> None:
    """Orthanc lists the instance still, but cannot give it."""
    server = make_server(inventory={"MaxRecordsPerInstance": 3}).start()
    server.store(*archive.files(3))
    whole, summary = server.make(), server.make()
    root, lost = summary["InstanceUIDs"][0], summary["InstanceUIDs"][2]
    (identifier,) = server.post("/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": lost}})
    server.delete_file(identifier)
    server.reset()  # so that nothing is left in Orthanc's cache
    server.error("GET", f"/inventories/{lost}/file", 404)
    for what in ("export", "studies", "statistics"):
        assert lost in server.error("GET", f"/inventories/{root}/{what}", 409)
    with suppress(requests.ConnectionError):  # it ends in the middle
        assert not zipfile.is_zipfile(BytesIO(server.request("GET", f"/inventories/{root}/archive").content))
    transaction = server.wait_for(server.post(f"/inventories/{root}/verify")["ID"])
    assert transaction["State"] == "Failure" and lost in transaction["ErrorDescription"]
    # The others are as before, and this one can go.
    assert len(server.studies(whole)) == 3
    server.delete(f"/inventories/{root}")
    assert server.get("/inventories") == [whole["SOPInstanceUID"]]
