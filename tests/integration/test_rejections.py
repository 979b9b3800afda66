"""Rejection notes (IHE IOCM): what they withdraw says so, at the right level, with the reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset

from orthanc_inventory.dicom.rejection import KEY_OBJECT_SELECTION, REASONS

from . import archive
from .other_software import check_files
from .server import Server
from .test_groups import EXTENDED
from .test_increments import merged


def code(value: str, meaning: str, scheme: str = "DCM") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def note(patient: int, study: int, title: str, *objects: tuple[int, int], scheme: str = "DCM", number: int = 1) -> bytes:
    """A Key Object Selection in the study itself; ``objects`` are numbers of series and instance."""
    evidence = Dataset()
    evidence.StudyInstanceUID = archive.uid(patient, study)
    evidence.ReferencedSeriesSequence = []
    for series in sorted({series for series, _ in objects}):
        item = Dataset()
        item.SeriesInstanceUID = archive.uid(patient, study, series)
        item.ReferencedSOPSequence = []
        for instance in (instance for entry, instance in objects if entry == series):
            reference = Dataset()
            reference.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
            reference.ReferencedSOPInstanceUID = archive.uid(patient, study, series, instance)
            item.ReferencedSOPSequence.append(reference)
        evidence.ReferencedSeriesSequence.append(item)
    return archive.file(
        patient, study, 90 + number, 1, SOPClassUID=KEY_OBJECT_SELECTION, Modality="KO",
        ConceptNameCodeSequence=[code(title, REASONS.get(title, "Of Interest"), scheme)],
        CurrentRequestedProcedureEvidenceSequence=[evidence],
    )


def removed(study: Dataset) -> dict[str, str]:
    """The reason by the UID of what is marked in a study record."""
    items = [study, *study.get("InventoriedSeriesSequence", ())]
    items += [instance for series in items[1:] for instance in series.get("InventoriedInstancesSequence", ())]
    marked = [item for item in items if item.get("RemovedFromOperationalUse") == "Y"]
    return {
        item.get("SOPInstanceUID") or item.get("SeriesInstanceUID") or item.StudyInstanceUID:
        item.ReasonForRemovalCodeSequence[0].CodeValue for item in marked
    }


@pytest.mark.parametrize("reason", REASONS)
def test_each_kind_of_note_marks_what_it_refers_to(server: Server, reason: str) -> None:
    server.store(*archive.files(3, 1, 2, 2))
    server.store(note(1, 1, reason, (1, 2)))  # an instance
    server.store(note(2, 1, reason, (1, 1), (1, 2)))  # a series
    server.store(note(3, 1, reason, (1, 1), (1, 2), (2, 1), (2, 2)))  # all but the note
    summary = server.make()
    first, second, third = sorted(server.studies(summary), key=lambda study: study.PatientID)
    assert removed(first) == {archive.uid(1, 1, 1, 2): reason}
    assert removed(second) == {archive.uid(2, 1, 1): reason}
    assert removed(third) == {archive.uid(3, 1): reason}
    (item,) = third.ReasonForRemovalCodeSequence
    assert (item.CodingSchemeDesignator, item.CodeMeaning) == ("DCM", REASONS[reason])
    assert summary["InventoryCompletionStatus"] == "COMPLETE" and summary["Instances"] == 15
    check_files(server, summary)


@pytest.mark.parametrize("level", ["STUDY", "SERIES"])
def test_levels_above_the_instance_are_marked_without_reading_instances(server: Server, level: str) -> None:
    server.store(*archive.files(2, 1, 1, 2))
    server.store(note(1, 1, "113037", (1, 1), (1, 2)), note(2, 1, "113037", (1, 1)))
    first, second = sorted(server.studies(server.make(Level=level)), key=lambda study: study.PatientID)
    assert archive.uid(1, 1) in removed(first) and removed(second) == {}


def test_other_key_objects_withdraw_nothing(server: Server) -> None:
    server.store(*archive.files(2))
    server.store(note(1, 1, "113000", (1, 1)), note(2, 1, "113001", (1, 1), scheme="99LOCAL"))
    assert all(not removed(study) for study in server.studies(server.make()))


def notes_in_each_study() -> list[bytes]:
    return [*archive.files(7), *(note(patient, 1, "113001", (1, 1)) for patient in range(1, 8))]


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_all_notes_are_found_where_orthanc_cuts_its_answers(make_server: Callable[..., Server], limit: int) -> None:
    server = make_server(configuration={"LimitFindResults": limit}).start()
    server.store(*notes_in_each_study())
    assert all(removed(study) for study in server.studies(server.make()))


_DELETING = """
from orthanc_inventory.sources import key_objects
key_objects._PAGE = 3
first = {"Level": "Series", "Query": {"Modality": "KO"}, "Limit": 1}
# One before the second page is asked for, and before the third all but one.
deletions = {2: 1, 4: 5}

def delete(host, path, body):
    for _ in range(deletions.pop(body.get("Since"), 0)):
        [series] = json.loads(orthanc.RestApiPost("/tools/find", json.dumps(first)))
        orthanc.RestApiDelete("/series/" + series)

at(Host, "post_json", always, delete)
"""


@EXTENDED
def test_all_notes_are_found_while_others_are_deleted(make_server: Callable[..., Server]) -> None:
    server = make_server().start_with(_DELETING)
    server.store(*notes_in_each_study())
    studies = server.studies(server.make())
    with_note = {study.StudyInstanceUID for study in studies if "KO" in study.ModalitiesInStudy}
    assert len(with_note) == 1 and {study.StudyInstanceUID for study in studies if removed(study)} == with_note


def test_what_is_withdrawn_can_be_left_out_or_asked_for(server: Server) -> None:
    server.store(*archive.files(2, 1, 1, 2))
    server.store(note(1, 1, "113039", (1, 1)), note(2, 1, "113039", (1, 1), (1, 2)))
    without = server.make(IncludeRemoved=False)
    (study,) = server.studies(without)
    uids = {item.SOPInstanceUID for series in study.InventoriedSeriesSequence for item in series.InventoriedInstancesSequence}
    assert uids == {archive.uid(1, 1, 1, 2), archive.uid(1, 1, 91, 1)}
    (only,) = server.studies(server.make(Scope={"RemovedFromOperationalUse": "Y"}))
    assert only.PatientID == "P0002"


def test_a_note_that_comes_later_is_in_the_increment_even_from_another_study(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    server.store(*archive.files(2, 2))
    time.sleep(1.1)
    server.make()
    # The note lies in the second study of the patient and withdraws an object of the first.
    foreign = archive.dataset(1, 2, 95, 1, SOPClassUID=KEY_OBJECT_SELECTION, Modality="KO")
    evidence, series, reference = Dataset(), Dataset(), Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", archive.uid(1, 1, 1, 1)
    series.SeriesInstanceUID, series.ReferencedSOPSequence = archive.uid(1, 1, 1), [reference]
    evidence.StudyInstanceUID, evidence.ReferencedSeriesSequence = archive.uid(1, 1), [series]
    foreign.ConceptNameCodeSequence = [code("113038", REASONS["113038"])]
    foreign.CurrentRequestedProcedureEvidenceSequence = [evidence]
    (identifier,) = server.store(archive.encode(foreign))
    rejected = server.make(Base="latest")
    records = {study.StudyInstanceUID: study for study in server.studies(rejected)[: rejected["TotalNumberOfStudyRecords"]]}
    latest = {uid: max((entry for entry in server.studies(rejected) if entry.StudyInstanceUID == uid),
                       key=lambda entry: entry.ItemInventoryDateTime) for uid in records}
    assert archive.uid(1, 1) in removed(latest[archive.uid(1, 1)])
    # Without the note it is there again.
    server.delete(f"/instances/{identifier}")
    restored = server.make(Base="latest")
    entries = [entry for entry in server.studies(restored) if entry.StudyInstanceUID == archive.uid(1, 1)]
    assert removed(max(entries, key=lambda entry: entry.ItemInventoryDateTime)) == {}


@pytest.mark.indexes("SQLite", "PostgreSQL-by-SQL")
def test_an_increment_reads_no_key_objects_but_earlier_notes_and_what_changed(make_server: Callable[..., Server]) -> None:
    server = make_server(configuration={"MaximumStorageCacheSize": 0}).start()
    server.store(*archive.files(3, 1, 1, 2))
    (ordinary,) = server.store(note(1, 1, "113000", (1, 1)))
    server.store(note(2, 1, "113001", (1, 1)))
    time.sleep(1.1)
    server.make()
    # What reads it cannot go on.
    server.delete_file(ordinary)
    assert server.wait_for(server.begin(), "Failure")
    server.store(archive.file(2, 1, 1, 3), note(3, 1, "113037", (1, 2)))
    marked = {"P0001": {}, "P0002": {archive.uid(2, 1, 1, 1): "113001"}, "P0003": {archive.uid(3, 1, 1, 2): "113037"}}
    assert withdrawn(server, server.make(Base="latest")) == marked
    # The next one knows of both, too.
    server.store(archive.file(2, 1, 1, 4), archive.file(3, 1, 1, 4))
    assert withdrawn(server, server.make(Base="latest")) == marked


def withdrawn(server: Server, summary: dict[str, Any]) -> dict[str, dict[str, str]]:
    assert summary["InventoryCompletionStatus"] == "COMPLETE"
    return {patient: removed(study) for (patient, _), study in merged(server, summary).items()}
