"""Increments: what changed since a base, and the whole as the tree tells it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pydicom
import pytest

from . import archive
from .other_software import check_files
from .server import DEBIAN_13, Installation, Server

Record = tuple[str, str, str, str]
BY_SQL_TOO = pytest.mark.indexes("SQLite", "PostgreSQL-by-SQL")


def merged(server: Server, summary: dict[str, Any]) -> dict[tuple[str, str], pydicom.Dataset]:
    """The latest record of each study in a tree, by Patient ID and Study Instance UID, read by pydicom alone."""
    latest: dict[tuple[str, str], pydicom.Dataset] = {}
    for study in server.studies(summary):
        key = (study.PatientID or "", study.StudyInstanceUID)
        if key not in latest or study.ItemInventoryDateTime > latest[key].ItemInventoryDateTime:
            latest[key] = study
    return latest


def live_and_removed(server: Server, summary: dict[str, Any]) -> tuple[set[Record], set[Record]]:
    """UIDs of the instances that are there, and of those that were deleted."""
    live: set[Record] = set()
    removed: set[Record] = set()
    for (patient, uid), study in merged(server, summary).items():
        for series in study.InventoriedSeriesSequence:
            for instance in series.InventoriedInstancesSequence:
                gone = any(item.get("RemovedFromOperationalUse") == "Y" for item in (study, series, instance))
                record = (patient, uid, series.SeriesInstanceUID, instance.SOPInstanceUID)
                (removed if gone else live).add(record)
    return live, removed


def in_archive(server: Server) -> set[Record]:
    """What Orthanc itself says that it has."""
    records = set()
    for instance in server.get("/instances"):
        tags = server.get(f"/instances/{instance}/tags?simplify")
        if tags["PatientID"] != "ORTHANC-INVENTORY":
            records.add(tuple(tags[key] for key in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")))
    return records


def check(server: Server, summary: dict[str, Any], before: set[Record]) -> None:
    """The tree tells what the archive has; all else that ever was in it is removed."""
    live, removed = live_and_removed(server, summary)
    assert live == in_archive(server)
    assert removed == before - live
    assert summary["InventoryCompletionStatus"] == "COMPLETE" and not summary["Missing"]
    assert summary["Instances"] == len(live)
    assert summary["Series"] == len({record[:3] for record in live})
    assert summary["Studies"] == len({record[:2] for record in live})


def change_everything(server: Server) -> None:
    """Additions and deletions at each level, and values that change."""

    def find(level: str, **query: str) -> str:
        (found,) = server.post("/tools/find", {"Level": level, "Query": query})
        return found

    server.store(archive.file(9, 1), archive.file(1, 3), archive.file(1, 1, 3), archive.file(1, 1, 1, 9))
    server.delete(f"/patients/{find('Patient', PatientID='P0002')}")
    server.delete(f"/studies/{find('Study', StudyInstanceUID=archive.uid(3, 1))}")
    server.delete(f"/series/{find('Series', SeriesInstanceUID=archive.uid(4, 1, 1))}")
    server.delete(f"/instances/{find('Instance', SOPInstanceUID=archive.uid(4, 2, 1, 1))}")
    # Orthanc keeps the values of a study that is there, whatever comes in.
    server.delete(f"/studies/{find('Study', StudyInstanceUID=archive.uid(5, 1))}")
    places = [(series, instance) for series in (1, 2) for instance in (1, 2)]
    server.store(*(archive.file(5, 1, *place, StudyDescription="Corrected") for place in places))


@BY_SQL_TOO
@pytest.mark.parametrize("store", ["Orthanc", "Directory"])
@pytest.mark.parametrize("gap", [False, True], ids=["watched", "gap"])
def test_an_increment_misses_nothing(make_server: Callable[..., Server], store: str, gap: bool) -> None:
    server = make_server(inventory={"StoreIn": store, "MaxRecordsPerInstance": 20}).start()
    server.store(*archive.files(5, 2, 2, 2))
    time.sleep(1.1)
    before = in_archive(server)
    base = server.make()
    assert base["Base"] is None
    if gap:
        server.stop()
        server.configuration["Inventory"]["Enable"] = False
        server.start()
    change_everything(server)
    if gap:
        server.stop()
        server.configuration["Inventory"]["Enable"] = True
        server.start()
    increment = server.make(Base="latest")
    assert ("compared with it" in server.log()) == gap
    assert increment["Base"] == base["SOPInstanceUID"] and base["SOPInstanceUID"] in increment["Incorporates"]
    check(server, increment, before | in_archive(server))
    transaction = server.transaction(increment["TransactionUID"])
    # Of ten studies and two new ones, nine are not as they were. The base itself is stored as a study, too.
    assert transaction["TotalStudies"] <= 9 + (store == "Orthanc") and transaction["Studies"] == 9
    described = {study.StudyDescription for (patient, _), study in merged(server, increment).items() if patient == "P0005"}
    assert described == {"Corrected", "Thorax"}
    # The copy of the base's own references, and a root without records that a later increment may pass over.
    root = server.file(increment["SOPInstanceUID"])
    (reference,) = [
        item for item in root.IncorporatedInventoryInstanceSequence if item.ReferencedSOPInstanceUID == base["SOPInstanceUID"]
    ]
    copied = {item.ReferencedSOPInstanceUID for item in reference.IncorporatedInventoryInstanceSequence}
    assert copied == set(base["Incorporates"]) and root.NumberOfStudyRecordsInInstance == 0
    assert root.TotalNumberOfStudyRecords == len(server.studies(increment))
    # Nothing happened since, but that the increment itself was stored.
    again = server.make(Base="latest")
    assert server.transaction(again["TransactionUID"])["Studies"] == 0
    check(server, again, before | in_archive(server))
    assert server.request("DELETE", f"/inventories/{base['SOPInstanceUID']}").status_code == 409


@BY_SQL_TOO
def test_what_was_removed_stays_removed_and_what_comes_back_is_there(server: Server) -> None:
    server.store(*archive.files(3, 1, 1, 2))
    time.sleep(1.1)
    server.make()
    before = in_archive(server)
    (study,) = server.post("/tools/find", {"Level": "Study", "Query": {"PatientID": "P0001"}})
    (instance,) = server.post("/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": archive.uid(2, 1, 1, 1)}})
    server.delete(f"/studies/{study}")
    server.delete(f"/instances/{instance}")
    removed = server.make(Base="latest")
    check(server, removed, before)
    check_files(server, removed)
    gone = merged(server, removed)["P0001", archive.uid(1, 1)]
    assert gone.RemovedFromOperationalUse == "Y" and len(gone.ReasonForRemovalCodeSequence) == 0
    assert gone.InstanceAvailability == "UNAVAILABLE" and gone.PatientName == "Family1^Given"
    # Another change of the second study: what it lost before is not forgotten.
    server.store(archive.file(2, 1, 1, 5), archive.file(1, 1, 1, 1))
    back = server.make(Base="latest")
    check(server, back, before | in_archive(server))
    assert "RemovedFromOperationalUse" not in merged(server, back)["P0001", archive.uid(1, 1)]


@pytest.mark.parametrize("level", ["STUDY", "SERIES"])
def test_an_increment_of_another_level_sees_changes_below_it(server: Server, level: str) -> None:
    server.store(*archive.files(2, 1, 2, 2))
    time.sleep(1.1)
    server.make(Level=level)
    (instance,) = server.post("/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": archive.uid(2, 1, 1, 1)}})
    server.delete(f"/instances/{instance}")
    increment = server.make(Level=level, Base="latest")
    study = merged(server, increment)["P0002", archive.uid(2, 1)]
    assert study.NumberOfStudyRelatedInstances == 3 and server.transaction(increment["TransactionUID"])["Studies"] == 1
    assert (increment["Studies"], increment["Series"], increment["Instances"]) == (2, 4 * (level == "SERIES"), 0)


def test_a_base_must_fit(server: Server) -> None:
    server.store(*archive.files(2))
    base = server.make(Level="SERIES", Scope={"PatientID": "P*"})
    uid = base["SOPInstanceUID"]

    def refused(status: int, **body: Any) -> str:
        return server.error("POST", "/inventories", status, json=body)

    assert "Base" in refused(404, Base="latest")
    assert "Base" in refused(404, Base="1.2.3", Level="SERIES")
    assert "SERIES" in refused(400, Base=uid, Level="STUDY")
    assert "scope" in refused(400, Base=uid, Level="SERIES")
    assert "scope" in refused(400, Base=uid, Level="SERIES", Scope={"PatientID": "P0001"})
    assert "IncludeRemoved" in refused(400, Base=uid, Level="SERIES", IncludeRemoved=False)
    assert len(server.get("/inventories")) == 1
    increment = server.make(Base="latest", Level="SERIES", Scope={"PatientID": "P*"})
    assert increment["InventoryCompletionStatus"] == "COMPLETE"
    narrower = server.make(Base=uid, Level="SERIES", Scope={"PatientID": "P*", "ModalitiesInStudy": "CT"})
    # Whether other studies of the base changed was not looked at; all of the tree is in the scope of its root.
    assert narrower["InventoryCompletionStatus"] == "PARTIAL"
    (scope,) = server.file(narrower["SOPInstanceUID"]).ScopeOfInventorySequence
    assert "ModalitiesInStudy" not in scope.GeneralMatchingSequence[0]


@BY_SQL_TOO
def test_a_study_that_leaves_the_scope_does_not_stay_as_it_was(server: Server) -> None:
    scope = {"StudyDescription": "Thorax"}
    server.store(*archive.files(2))
    time.sleep(1.1)
    server.make(Scope=scope)
    server.store(archive.file(1, 1, StudyDescription="Abdomen"))
    increment = server.make(Scope=scope, Base="latest")
    assert merged(server, increment)["P0001", archive.uid(1, 1)].StudyDescription == "Abdomen"


def test_many_increments_nest_no_deeper_than_readers_can_follow(
    make_server: Callable[..., Server], installation: Installation
) -> None:
    server = make_server(inventory={"StoreIn": "Directory"}).start()
    server.store(*archive.files(3))
    before = in_archive(server)
    server.make()
    # Half a minute on one Orthanc, and enough on the other to pass the limit.
    for number in range(300 if installation == DEBIAN_13 else 36):
        if number % 30 == 0:  # a second, until Orthanc has told of a change
            server.store(archive.file(1 + number // 30 % 3, 1, 1, 2 + number))
        summary = server.make(Base="latest")
    root = server.file(summary["SOPInstanceUID"])

    def depth(item: pydicom.Dataset) -> int:
        return 1 + max(map(depth, item.get("IncorporatedInventoryInstanceSequence", ())), default=0)

    assert depth(root) - 1 <= 32
    check(server, summary, before | in_archive(server))
    assert summary["Studies"] == 3 and summary["Instances"] > 3


@BY_SQL_TOO
def test_what_changes_while_the_base_is_made_is_in_the_increment(make_server: Callable[..., Server]) -> None:
    text = """
read = []
def note(self, record):
    read.append(record.identifier)
def change(*arguments):
    instances = json.loads(orthanc.RestApiGet("/studies/" + read[0] + "/instances"))
    orthanc.RestApiDelete("/instances/" + instances[0]["ID"])
    with open(folder + "/arriving", "rb") as file:
        orthanc.RestApiPost("/instances", file.read())
at(StudyEncoder, 'encode', [1], note)
at(StudyEncoder, 'encode', [3], change, after=True)
"""
    server = make_server(inventory={"MaxRecordsPerInstance": 3})
    (server.folder / "arriving").write_bytes(archive.file(2, 1, 1, 9))
    server.start_with(text)
    server.store(*archive.files(3, 1, 1, 2))
    before = in_archive(server)
    server.make()
    check(server, server.make(Base="latest"), before | in_archive(server))


@pytest.mark.parametrize("point", [
    "at(Journal, 'begin', [1], die, after=True)",
    "at(Journal, 'checkpoint', [2], die)",
    "at(Journal, 'checkpoint', [2], die, after=True)",
    "at(Journal, 'finish', [1], die)",
])
def test_a_killed_increment_goes_on_by_itself(make_server: Callable[..., Server], point: str) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 12}).start()
    server.store(*archive.files(5, 2, 2, 2))
    time.sleep(1.1)
    before = in_archive(server)
    server.make()
    change_everything(server)
    server.stop()
    server.start_with(point)
    uid = server.begin_to_die(Base="latest")
    server.start()
    transaction = server.wait_for(uid)
    summary = server.get(f"/inventories/{transaction['SOPInstanceUID']}")
    check(server, summary, before | in_archive(server))
    assert transaction["Studies"] == 9 and len(summary["InstanceUIDs"]) == len(set(summary["InstanceUIDs"]))
