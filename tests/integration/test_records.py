"""The records of an inventory say what is in the archive, in values that their VR allows."""

from __future__ import annotations

import hashlib
import warnings
from io import BytesIO
from typing import Any
from collections.abc import Callable
from urllib.parse import urljoin

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from . import archive
from .other_software import check_files
from .server import Server, object_uids

pytestmark = pytest.mark.indexes("SQLite", "PostgreSQL", "PostgreSQL-by-SQL")


def records_of(server: Server, **body: Any) -> list[Dataset]:
    return server.studies(server.make(**body))


def record_of(server: Server) -> tuple[Dataset, Dataset, Dataset]:
    """The only study of the archive with its only series and instance."""
    (study,) = records_of(server)
    (series,) = study.InventoriedSeriesSequence
    (instance,) = series.InventoriedInstancesSequence
    return study, series, instance


def test_a_study_has_what_the_index_holds(server: Server) -> None:
    server.store(*archive.files(1, 1, 2, 3))
    (study,) = records_of(server)
    values = {
        "StudyInstanceUID": archive.uid(1, 1),
        "PatientID": "P0001",
        "PatientName": "Family1^Given",
        "PatientBirthDate": "19700101",
        "PatientSex": "O",
        "StudyDate": "20110215",
        "StudyTime": "101530",
        "AccessionNumber": "A001001",
        "StudyID": "1",
        "StudyDescription": "Thorax",
        "ReferringPhysicianName": "Referring^Doctor",
        "ModalitiesInStudy": ["CT", "MR"],
        "NumberOfStudyRelatedSeries": 2,
        "NumberOfStudyRelatedInstances": 6,
        "RetrieveAETitle": "ORTHANC",
    }
    assert {keyword: study[keyword].value for keyword in values} == values
    assert pydicom.valuerep.DT(study.StudyUpdateDateTime) <= pydicom.valuerep.DT(study.ItemInventoryDateTime)
    assert [series.Modality for series in study.InventoriedSeriesSequence] == ["CT", "MR"]
    for series in study.InventoriedSeriesSequence:
        assert len(series.InventoriedInstancesSequence) == 3
        assert series.SeriesDescription == f"Series {series.SeriesNumber}"


def test_an_instance_says_where_its_file_is_and_what_it_is(make_server: Callable[..., Server]) -> None:
    base = "https://pacs.example.org/orthanc/"
    server = make_server(inventory={"FileAccess": {"BaseUri": base}}).start()
    implicit = archive.dataset(1, 1, 1, 1)
    stream = BytesIO()
    implicit.file_meta = pydicom.dataset.FileMetaDataset()
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    pydicom.dcmwrite(stream, implicit, enforce_file_format=True, little_endian=True, implicit_vr=True)
    server.store(stream.getvalue(), archive.file(1, 1, 1, 2))
    summary = server.make()
    root = server.file(summary["SOPInstanceUID"])
    end_point = root.StudyAccessEndPointsSequence[0]
    (series,) = server.studies(summary)[0].InventoriedSeriesSequence
    for instance in series.InventoriedInstancesSequence:
        access = instance.FileAccessSequence[0]
        uri = urljoin(end_point.StoredInstanceBaseURI, access.FileAccessURI)
        assert uri.startswith(base)
        file = server.request("GET", uri.removeprefix(base.rstrip("/"))).content
        kept = pydicom.dcmread(BytesIO(file), stop_before_pixels=True)
        assert kept.SOPInstanceUID == instance.SOPInstanceUID and kept.SOPClassUID == instance.SOPClassUID
        assert kept.file_meta.TransferSyntaxUID == access.StoredInstanceTransferSyntaxUID
        assert access.MACAlgorithm == "MD5" and access.FileLengthInContainer == len(file)
        assert bytes(access.MAC) == hashlib.md5(file).digest()
        assert access.ContainerFileType == "DICOM"


def test_without_a_base_uri_there_is_no_file_access_uri(server: Server) -> None:
    server.store(archive.file(1, 1))
    _, _, instance = record_of(server)
    assert "FileAccessURI" not in instance.FileAccessSequence[0]
    assert instance.FileAccessSequence[0].StoredInstanceTransferSyntaxUID == "1.2.840.10008.1.2.1"


def test_checksums_can_be_left_out(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"Checksums": False}).start()
    server.store(archive.file(1, 1))
    _, _, instance = record_of(server)
    assert "MAC" not in instance.FileAccessSequence[0] and "MACAlgorithm" not in instance.FileAccessSequence[0]


def test_orthanc_may_keep_no_md5(make_server: Callable[..., Server]) -> None:
    server = make_server(configuration={"StoreMD5ForAttachments": False}).start()
    server.store(archive.file(1, 1))
    summary = server.make()
    (study,) = server.studies(summary)
    assert summary["InventoryCompletionStatus"] == "COMPLETE"
    assert "MAC" not in study.InventoriedSeriesSequence[0].InventoriedInstancesSequence[0].FileAccessSequence[0]


@pytest.mark.parametrize("level", ["STUDY", "SERIES"])
def test_a_higher_level_has_no_records_below_it(server: Server, level: str) -> None:
    server.store(*archive.files(2, 1, 2, 2))
    summary = server.make(Level=level)
    counts = (summary["Studies"], summary["Series"], summary["Instances"])
    assert counts == ((2, 0, 0) if level == "STUDY" else (2, 4, 0)) and summary["InventoryLevel"] == level
    for study in server.studies(summary):
        assert (study.NumberOfStudyRelatedSeries, study.NumberOfStudyRelatedInstances) == (2, 4)
        assert ("InventoriedSeriesSequence" in study) == (level == "SERIES")
        for series in study.get("InventoriedSeriesSequence", []):
            assert "InventoriedInstancesSequence" not in series


def test_patient_identifiers_can_be_left_out(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"PatientIdentifiers": False}).start()
    server.store(archive.file(1, 1))
    study, series, instance = record_of(server)
    assert (study.PatientID, str(study.PatientName), study.AccessionNumber) == ("", "", "")
    assert "PatientBirthDate" not in study or not study.PatientBirthDate
    assert study.StudyInstanceUID == archive.uid(1, 1) and instance.SOPInstanceUID == archive.uid(1, 1, 1, 1)
    assert b"Family1" not in server.request("GET", f"/inventories/{server.get('/inventories')[0]}/file").content


# Odd but real


def test_an_empty_patient_id_is_a_patient_too(server: Server) -> None:
    server.store(archive.file(1, 1, PatientID="", PatientName=""))
    study, _, _ = record_of(server)
    assert study["PatientID"].is_empty and study["PatientName"].is_empty


def test_dates_that_are_missing_or_wrong_are_empty_and_counted(server: Server) -> None:
    server.store(archive.file(1, 1, StudyDate=None, StudyTime=None))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server.store(archive.file(2, 1, StudyDate="2019.07.31", StudyTime="10:11:12"), archive.file(3, 1, StudyDate="yesterday"))
    summary = server.make()
    dates = {study.PatientID: (study.StudyDate, study.StudyTime) for study in server.studies(summary)}
    assert dates == {"P0001": ("", ""), "P0002": ("20190731", "101112"), "P0003": ("", "101530")}
    assert summary["InventoryCompletionStatus"] == "COMPLETE"
    transaction = server.transaction(summary["TransactionUID"])
    assert transaction["CorrectedValues"] == 3 and "3 values" in transaction["TransactionStatusComment"]


def test_names_of_three_groups_are_read_whatever_their_character_set(server: Server) -> None:
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    data = archive.dataset(1, 1, 1, 1, SpecificCharacterSet=["", "ISO 2022 IR 87"])
    data.PatientName = name
    server.store(archive.encode(data))
    server.store(archive.file(2, 1, SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Zoë"))
    assert {str(study.PatientName) for study in records_of(server)} == {name, "Müller^Zoë"}


def test_uids_of_64_bytes_and_of_an_odd_length(server: Server) -> None:
    longest = "1.2.840." + "1" * 56
    odd = "1.2.3.4.567"
    server.store(archive.file(1, 1, StudyInstanceUID=longest, SeriesInstanceUID=odd, SOPInstanceUID=longest))
    study, series, instance = record_of(server)
    assert (study.StudyInstanceUID, series.SeriesInstanceUID, instance.SOPInstanceUID) == (longest, odd, longest)


def test_the_same_study_uid_under_two_patients_is_two_studies(server: Server) -> None:
    server.store(archive.file(1, 1), archive.file(2, 1, StudyInstanceUID=archive.uid(1, 1)))
    studies = records_of(server)
    assert sorted(study.PatientID for study in studies) == ["P0001", "P0002"]
    assert {study.StudyInstanceUID for study in studies} == {archive.uid(1, 1)}


def test_a_missing_modality_is_ot(server: Server) -> None:
    server.store(archive.file(1, 1, Modality=None), archive.file(1, 1, series=2, Modality=""))
    (study,) = records_of(server)
    assert [series.Modality for series in study.InventoriedSeriesSequence] == ["OT", "OT"]
    assert study.ModalitiesInStudy == "OT"


def test_values_that_do_not_fit_their_vr_never_break_the_object(server: Server) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
        server.store(
            archive.file(1, 1, StudyDescription="long " * 40, Modality="ct lower", PatientSex="female", StudyID="x" * 40),
            archive.file(2, 1, StudyDescription="line\nfeed\x01\x7f", AccessionNumber="a\tb", SeriesNumber="12"),
            archive.file(3, 1, PatientName="N" * 200 + "=" + "I" * 100, PatientBirthDate="unknown"),
        )
        pydicom.config.settings.writing_validation_mode = None
    summary = server.make()
    assert summary["InventoryCompletionStatus"] == "COMPLETE" and summary["Instances"] == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pydicom warns of each value that its VR does not allow
        for study in server.studies(summary):
            for element in study.iterall():
                element.value
    check_files(server, summary)


def test_a_big_endian_object_is_a_record_too(server: Server) -> None:
    data = archive.dataset(1, 1, 1, 1)
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    stream = BytesIO()
    pydicom.dcmwrite(stream, data, enforce_file_format=True, little_endian=False, implicit_vr=False)
    server.store(stream.getvalue())
    _, _, instance = record_of(server)
    assert instance.FileAccessSequence[0].StoredInstanceTransferSyntaxUID == ExplicitVRBigEndian


def test_an_object_without_a_sop_class_is_named_and_the_inventory_is_partial(server: Server) -> None:
    data = archive.dataset(1, 1, 1, 1)
    del data.SOPClassUID
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    stream = BytesIO()
    pydicom.dcmwrite(stream, data, enforce_file_format=False, little_endian=True, implicit_vr=False)
    (identifier,) = server.store(stream.getvalue())
    server.store(archive.file(1, 1, instance=2))
    summary = server.make()
    assert summary["InventoryCompletionStatus"] == "PARTIAL"
    assert server.file(summary["SOPInstanceUID"]).InventoryCompletionStatus == "PARTIAL"
    transaction = server.transaction(summary["TransactionUID"])
    assert [(entry["ID"], entry["Level"]) for entry in transaction["Skipped"]] == [(identifier, "Instance")]
    assert "SOPClassUID" in transaction["Skipped"][0]["Reason"]
    assert (transaction["TransactionStatus"], transaction["State"]) == ("COMPLETE", "Success")
    assert [entry[3] for entry in object_uids(server.studies(summary))] == [archive.uid(1, 1, 1, 2)]


# The file as a whole


def test_the_file_is_an_inventory_without_a_patient(server: Server) -> None:
    server.store(*archive.files(2))
    summary = server.make(Purpose="Audit", Description="All of it", TransactionUID="2.25.4711", UserData={"a": 1})
    root = server.file(summary["SOPInstanceUID"])
    assert root.file_meta.MediaStorageSOPClassUID == root.SOPClassUID == "1.2.840.10008.5.1.4.1.1.201.1"
    assert root.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1" and root.SpecificCharacterSet == "ISO_IR 192"
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID", "StudyDate", "Modality"):
        assert keyword not in root
    assert (root.InventoryPurpose, root.InventoryInstanceDescription) == ("Audit", "All of it")
    assert (root.TransactionUID, root.InventoryLevel, root.InventoryCompletionStatus) == ("2.25.4711", "INSTANCE", "COMPLETE")
    assert (root.NumberOfStudyRecordsInInstance, root.TotalNumberOfStudyRecords) == (2, 2)
    assert root.Manufacturer and root.ManufacturerModelName and root.SoftwareVersions
    assert root.TimezoneOffsetFromUTC == "+0000" and root.ContentDate == summary["ContentDate"]
    assert server.transaction("2.25.4711")["UserData"] == {"a": 1}
    file = server.request("GET", f"/inventories/{root.SOPInstanceUID}/file").content
    assert summary["SHA256"] == {root.SOPInstanceUID: hashlib.sha256(file).hexdigest()} and summary["Size"] == len(file)
    check_files(server, summary)


def test_the_timezone_of_the_configuration_stands_at_the_top(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"Timezone": "-0330"}).start()
    root = server.file(server.make()["SOPInstanceUID"])
    assert root.TimezoneOffsetFromUTC == "-0330"


def test_elements_ascend_at_every_level(server: Server) -> None:
    server.store(*archive.files(1, 2, 2, 2))
    root = server.file(server.make()["SOPInstanceUID"])

    def check(data: Dataset) -> None:
        tags = list(data.keys())  # in the order of the file
        assert tags == sorted(tags)
        for element in data:
            for item in element.value if element.VR == "SQ" else []:
                check(item)

    check(root)
