"""Whatever happens to the archive while it is read, nothing is silently missing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import pytest
from pydicom.valuerep import DT

from . import archive
from .server import Server, object_uids
from .writer import objects_of


_STORE = """
files = sorted(os.listdir(folder + "/arriving"))
def arrive(*arguments):
    with open(folder + "/arriving/" + files.pop(0), "rb") as file:
        orthanc.RestApiPost("/instances", file.read())
"""


def arriving(server: Server, *files: bytes) -> None:
    folder = server.folder / "arriving"
    folder.mkdir()
    for number, file in enumerate(files):
        (folder / f"{number:03}").write_bytes(file)


@pytest.mark.newest
def test_an_object_that_arrives_while_its_study_is_read_is_in(make_server: Callable[..., Server]) -> None:
    text = _STORE + "for strategy in (Walk, Find): at(strategy, 'instances', [1], arrive)"
    server = make_server()
    arriving(server, archive.file(1, 1, 1, 9))
    server.start_with(text)
    server.store(archive.file(1, 1, 1, 1))
    summary = server.make()
    assert summary["InventoryCompletionStatus"] == "COMPLETE"
    (study,) = server.studies(summary)
    assert study.NumberOfStudyRelatedInstances == 2 and len(object_uids([study])) == 2


def test_a_series_that_arrives_while_its_study_is_read_is_in(make_server: Callable[..., Server]) -> None:
    text = _STORE + "for strategy in (Walk, Find): at(strategy, 'series', [1], arrive)"
    server = make_server()
    arriving(server, archive.file(1, 1, 2, 1))
    server.start_with(text)
    server.store(archive.file(1, 1, 1, 1))
    (study,) = server.studies(server.make())
    assert study.NumberOfStudyRelatedSeries == 2 and len(object_uids([study])) == 2


@pytest.mark.parametrize("call", [1, 2])
def test_an_object_that_is_replaced_while_its_study_is_read_is_what_it_was(
    make_server: Callable[..., Server], call: int
) -> None:
    """Within the second in which it came, so that Orthanc's LastUpdate may stay as it was."""
    text = _STORE + f"""
def replace(*arguments):
    arrive()
    open(folder + "/moment", "w").write(str(time.time()))
for strategy in (Walk, Find): at(strategy, 'instances', [{call}], replace)
"""
    old, new = (archive.file(1, 1, 1, 1, StudyDescription=description) for description in ("Thorax", "Head"))
    server = make_server(inventory={"StoreIn": "Directory"})
    arriving(server, new)
    server.start_with(text)
    server.store(old)
    (study,) = server.studies(server.make())
    moment = server.folder / "moment"
    # On a slow machine it is at rest before it is read, and so read once only.
    replaced = float(moment.read_text()) if moment.exists() else math.inf
    is_new = DT(str(study.ItemInventoryDateTime)).timestamp() >= replaced
    assert study.StudyDescription == ("Head" if is_new else "Thorax")
    assert objects_of(study) == {(archive.uid(1, 1, 1, 1), hashlib.md5(new if is_new else old).hexdigest())}


def test_an_object_that_is_deleted_while_its_study_is_read_is_out(make_server: Callable[..., Server]) -> None:
    text = """
def delete(*arguments):
    orthanc.RestApiDelete("/instances/" + open(folder + "/victim").read())
for strategy in (Walk, Find): at(strategy, 'instances', [1], delete)
"""
    server = make_server().start_with(text)
    victim, _ = server.store(archive.file(1, 1, 1, 1), archive.file(1, 1, 1, 2))
    (server.folder / "victim").write_text(victim)
    summary = server.make()
    assert summary["InventoryCompletionStatus"] == "COMPLETE"
    assert [entry[3] for entry in object_uids(server.studies(summary))] == [archive.uid(1, 1, 1, 2)]


def test_a_study_that_never_rests_is_skipped_by_name(make_server: Callable[..., Server]) -> None:
    text = _STORE + "for strategy in (Walk, Find): at(strategy, 'instances', always, arrive)"
    server = make_server()
    arriving(server, *(archive.file(1, 1, 1, number) for number in range(10, 20)))
    server.start_with(text)
    server.store(archive.file(1, 1, 1, 1))
    (study,) = server.get("/studies")
    summary = server.make()
    transaction = server.transaction(summary["TransactionUID"])
    assert summary["InventoryCompletionStatus"] == "PARTIAL" and summary["Studies"] == 0
    (skipped,) = transaction["Skipped"]
    assert skipped["ID"] == study and skipped["Level"] == "Study" and "changed each time" in skipped["Reason"]
    assert "1 resources were skipped" in transaction["TransactionStatusComment"]


@pytest.mark.newest
def test_a_study_that_is_deleted_before_it_is_read_is_left_out_and_counted(make_server: Callable[..., Server]) -> None:
    text = """
def delete(*arguments):
    orthanc.RestApiDelete("/studies/" + json.loads(orthanc.RestApiGet("/studies"))[1])
at(IndexSource, 'group', [1], delete)
"""
    server = make_server().start_with(text)
    server.store(*archive.files(3))
    summary = server.make()
    transaction = server.transaction(summary["TransactionUID"])
    assert summary["InventoryCompletionStatus"] == "COMPLETE"
    assert (transaction["DeletedStudies"], transaction["Skipped"], transaction["Studies"]) == (1, [], 2)
    assert "1 studies were deleted before they were read" in transaction["TransactionStatusComment"]
    assert sorted(study.PatientID for study in server.studies(summary)) == sorted(
        patient["MainDicomTags"]["PatientID"]
        for patient in server.get("/patients?expand")
        if patient["MainDicomTags"]["PatientID"] != "ORTHANC-INVENTORY"
    )


@pytest.mark.newest
@pytest.mark.parametrize("failing", ["a study", "its series", "its instances"])
def test_what_cannot_be_read_makes_the_inventory_partial(make_server: Callable[..., Server], failing: str) -> None:
    place = {"a study": "(IndexSource,)", "its series": "(Walk, Find)", "its instances": "(Walk, Find)"}[failing]
    method = {"a study": "_read", "its series": "series", "its instances": "instances"}[failing]
    text = f"""
def fail(self, resources, *arguments):
    if json.loads(orthanc.RestApiGet("/studies"))[1] in json.dumps(resources):
        raise HostError(14, "the database is broken")
for kind in {place}: at(kind, '{method}', always, fail)
"""
    server = make_server().start_with(text)
    server.store(*archive.files(3))
    summary = server.make()
    transaction = server.transaction(summary["TransactionUID"])
    assert summary["InventoryCompletionStatus"] == "PARTIAL" and summary["Studies"] == 2
    (skipped,) = transaction["Skipped"]
    assert skipped["ID"] in server.get("/studies") and "the database is broken" in skipped["Reason"]


def test_limits_of_orthanc_do_not_cut_anything_off(make_server: Callable[..., Server]) -> None:
    server = make_server(configuration={"LimitFindResults": 2, "LimitFindInstances": 3}).start()
    server.store(*archive.files(4, 1, 3, 5))
    assert len(object_uids(server.studies(server.make()))) == 60
    assert server.make(Scope={"PatientID": "P*"})["Studies"] == 4


def test_a_study_of_many_instances_is_read_whole(server: Server) -> None:
    server.store(*archive.files(1, 1, 1, 1100))
    assert len(set(object_uids(server.studies(server.make())))) == 1100


def test_inventories_are_never_records(server: Server) -> None:
    server.store(*archive.files(2))
    first, second = server.make(), server.make()
    assert (first["Studies"], second["Studies"]) == (2, 2)
    assert first["InstanceUIDs"] != second["InstanceUIDs"]


def test_a_patient_with_the_id_of_the_inventories_is_a_record(server: Server) -> None:
    server.make()
    server.store(archive.file(1, 1, PatientID="ORTHANC-INVENTORY"))
    (study,) = server.studies(server.make())
    assert study.PatientID == "ORTHANC-INVENTORY"


@pytest.mark.newest
@pytest.mark.parametrize(
    ("scope", "patients"),
    [
        ({"PatientID": "P0002"}, {"P0002"}),
        ({"PatientID": "P000?"}, {"P0001", "P0002", "P0003"}),
        ({"PatientID": "*3"}, {"P0003"}),
        ({"PatientID": "p0001"}, set()),
        ({"PatientName": "family2*"}, {"P0002"}),
        ({"PatientName": "FAMILY3^GIVEN"}, {"P0003"}),
        ({"AccessionNumber": "A001*"}, {"P0001"}),
        ({"StudyDate": "20120215"}, {"P0002"}),
        ({"StudyDate": "20120101-"}, {"P0002", "P0003"}),
        ({"StudyDate": "-20121231"}, {"P0001", "P0002"}),
        ({"StudyDate": "20120101-20121231"}, {"P0002"}),
        ({"ModalitiesInStudy": "MR"}, {"P0003"}),
        ({"StudyInstanceUID": f"{archive.uid(1, 1)}\\{archive.uid(3, 1)}"}, {"P0001", "P0003"}),
        ({"PatientID": "P*", "ModalitiesInStudy": "CT"}, {"P0001", "P0002", "P0003"}),
    ],
)
def test_a_scope_is_what_its_keys_mean(shared_server: Server, scope: dict[str, str], patients: set[str]) -> None:
    summary = shared_server.make(Scope=scope)
    studies = shared_server.studies(summary)
    assert {study.PatientID for study in studies} == patients
    assert summary["Scope"] == scope and summary["InventoryCompletionStatus"] == "COMPLETE"
    sequence = shared_server.file(summary["SOPInstanceUID"]).ScopeOfInventorySequence
    assert len(sequence) == 1
    # A study within the scope is recorded whole (PS3.3 C.38.1.1.3).
    for study in studies:
        assert len(study.InventoriedSeriesSequence) == study.NumberOfStudyRelatedSeries
