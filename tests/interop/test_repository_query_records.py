"""Repository Query over DICOM: files, what is withdrawn, and which records there are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from tests.integration import archive
from tests.integration.server import Server
from tests.integration.test_rejections import note

from .peer import keys, start
from .raw_messages import raw_scu
from .repository import BASE, RELATIONAL, REPOSITORY, UNIQUE, ask, records, shared, value

__all__ = ["shared"]

MakeServer = Callable[..., Server]


def test_the_file_of_an_answer_is_that_of_the_object(shared: tuple[Server, int]) -> None:
    server, port = shared
    answers, _ = ask(
        port, "IMAGE", PatientID="P0001", SOPInstanceUID="", FileAccessSequence=[], StoredInstanceBaseURI="",
        InstanceAvailability="", UpdatedMetadataSequence=[], MetadataSequence=[],
    )
    assert len(answers) == 12
    for answer in answers:
        [access] = answer.FileAccessSequence
        assert answer.StoredInstanceBaseURI == BASE and access.FileAccessURI.startswith(BASE)
        file = server.request("GET", access.FileAccessURI.replace(BASE, "/")).content
        assert answer.SOPInstanceUID.encode() in file
        assert access.MAC == hashlib.md5(file).digest() and access.MACAlgorithm == "MD5"
        assert access.FileLengthInContainer == len(file) and access.ContainerFileType == "DICOM"
        assert access.StoredInstanceTransferSyntaxUID == ExplicitVRLittleEndian
        assert answer.InstanceAvailability == "ONLINE" and len(answer.UpdatedMetadataSequence) == 0
        [metadata] = answer.MetadataSequence
        assert (metadata.SOPInstanceUID, metadata.PatientID) == (answer.SOPInstanceUID, "P0001")
        assert metadata.StudyDescription == "Thorax" and metadata.Modality in ("CT", "MR")
        assert "FileAccessSequence" not in metadata


@pytest.mark.parametrize("level", ["STUDY", "SERIES"])
def test_all_files_of_a_study_or_series_are_in_a_container(shared: tuple[Server, int], level: str) -> None:
    server, port = shared
    answers, _ = ask(port, level, PatientID="P0002", StoredInstanceBaseURI="", FileSetAccessSequence=[])
    assert answers
    for answer in answers:
        [access] = answer.FileSetAccessSequence
        assert access.ContainerFileType == "ZIP" and answer.StoredInstanceBaseURI == BASE
        assert server.request("GET", access.FileAccessURI.replace(BASE, "/")).content.startswith(b"PK")


def test_only_the_keys_of_an_item_are_answered(shared: tuple[Server, int]) -> None:
    answers, _ = ask(
        shared[1], "IMAGE", SOPInstanceUID=archive.uid(4, 1, 1, 1),
        FileAccessSequence=[keys(MAC=None, StoredInstanceTransferSyntaxUID="", FilenameInContainer="")],
    )
    [answer] = answers
    [access] = answer.FileAccessSequence
    assert {entry.keyword for entry in access} == {"MAC", "StoredInstanceTransferSyntaxUID", "FilenameInContainer"}
    assert access.FilenameInContainer == "" and len(access.MAC) == 16


def test_without_a_base_uri_nothing_is_told_of_files_but_what_they_are(make_server: MakeServer) -> None:
    server, port = start(make_server, inventory={"RetrieveAeTitle": "ELSEWHERE", "Checksums": False})
    server.store(archive.file(1, 1))
    with raw_scu(port, REPOSITORY, extended=RELATIONAL) as scu:
        answer, final = scu.find(
            keys(QueryRetrieveLevel="IMAGE", FileAccessSequence=[], StoredInstanceBaseURI="", RetrieveAETitle=""))
        data = scu.data_set(answer)
    assert answer.status == 0xFF01 and "StoredInstanceBaseURI" not in data and data.RetrieveAETitle == "ELSEWHERE"
    [access] = data.FileAccessSequence
    assert {entry.keyword for entry in access} == {"FileLengthInContainer", "StoredInstanceTransferSyntaxUID"}


def test_what_is_withdrawn_says_so_at_its_level(make_server: MakeServer) -> None:
    server, port = start(make_server)
    server.store(*archive.files(3, 1, 2, 2))
    server.store(note(1, 1, "113001", (1, 2)))  # an instance
    server.store(note(2, 1, "113037", (1, 1), (1, 2)))  # a series
    server.store(note(3, 1, "113039", (1, 1), (1, 2), (2, 1), (2, 2)))  # the study
    for level, removed in (
        ("STUDY", {"P0003": 1}), ("SERIES", {"P0002": 1, "P0003": 3}), ("IMAGE", {"P0001": 1, "P0002": 2, "P0003": 5}),
    ):
        query = {"PatientID": "", "ReasonForRemovalCodeSequence": [], UNIQUE[level]: ""}
        answers, status = ask(port, level, **query, RemovedFromOperationalUse="Y")
        found = [answer.PatientID for answer in answers]
        assert status == 0 and {patient: found.count(patient) for patient in found} == removed, level
        for answer in answers:
            reason = {"P0001": "113001", "P0002": "113037", "P0003": "113039"}[answer.PatientID]
            assert [code.CodeValue for code in answer.ReasonForRemovalCodeSequence] == [reason]
        everything, _ = ask(port, level, **query, RemovedFromOperationalUse="")
        left, _ = ask(port, level, **query, RemovedFromOperationalUse="N")
        assert len(everything) == len(records(server, level)) == len(left) + len(answers)
        assert {value(answer, "RemovedFromOperationalUse") for answer in everything} == {"Y", "N"}
    by_reason, _ = ask(port, "IMAGE", ReasonForRemovalCodeSequence=[keys(CodeValue="113037")], SOPInstanceUID="")
    assert sorted(answer.SOPInstanceUID for answer in by_reason) == [archive.uid(2, 1, 1, 1), archive.uid(2, 1, 1, 2)]
    assert [{entry.keyword for entry in answer.ReasonForRemovalCodeSequence[0]} for answer in by_reason] == [{"CodeValue"}] * 2


def test_inventories_are_no_part_of_the_archive(make_server: MakeServer) -> None:
    server, port = start(make_server)
    server.store(*archive.files(2), archive.file(3, 1, PatientID="ORTHANC-INVENTORY"))
    server.make()
    server.make(Level="STUDY")
    assert len(server.get("/studies")) == 5
    for level in UNIQUE:
        answers, _ = ask(port, level, **{UNIQUE[level]: ""}, PatientID="")
        assert sorted(answer.PatientID for answer in answers) == ["ORTHANC-INVENTORY", "P0001", "P0002"]
    assert len(ask(port, "STUDY", PatientID="ORTHANC-INVENTORY", StudyInstanceUID="")[0]) == 1


def test_what_changed_since_a_moment(make_server: MakeServer) -> None:
    server, port = start(make_server)
    server.store(*archive.files(3))
    updates = {answer.StudyInstanceUID: answer.StudyUpdateDateTime for answer in
               ask(port, "STUDY", StudyInstanceUID="", StudyUpdateDateTime="")[0]}
    assert len(updates) == 3 and all(re.fullmatch(r"20\d{12}\+0000", moment) for moment in updates.values())
    assert len(ask(port, "STUDY", StudyUpdateDateTime=f"{min(updates.values())}-")[0]) == 3
    assert ask(port, "STUDY", StudyUpdateDateTime="-20200101")[0] == []


def test_what_was_modified_tells_what_it_was(make_server: MakeServer) -> None:
    server, port = start(make_server)
    server.store(archive.file(1, 1))
    [study] = server.get("/studies")
    server.post(f"/studies/{study}/modify", {"Replace": {"StudyDescription": "Corrected"}, "KeepSource": True})
    answers, _ = ask(port, "STUDY", StudyDescription="Corrected", OriginalAttributesSequence=[])
    [answer] = answers
    [original] = answer.OriginalAttributesSequence
    assert original.ModifiedAttributesSequence[0].StudyDescription == "Thorax"
