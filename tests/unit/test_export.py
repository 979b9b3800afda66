"""Rows of CSV and NDJSON say what the records say; the oracle is pydicom."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pydicom
import pytest
from hypothesis import given, strategies
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from orthanc_inventory.dicom.records import StudyRecord
from orthanc_inventory.dicom.terms import LEVELS
from orthanc_inventory.reader import Inventory
from orthanc_inventory.reports.columns import USUAL, ExportError, available, chosen
from orthanc_inventory.reports.export import check_level, text_rows
from orthanc_inventory.reports.formats import Csv

from .exports import as_text, by_pydicom, csv_rows, ndjson, plain_columns, text
from .inventories import file, opened, study, written
from .records import STUDIES


def detailed(number: int, **more: Any) -> StudyRecord:
    """A study of two series of CT, as Orthanc has them; the instances have values of different lengths."""
    uid = f"2.{number}"
    record = study(
        uid, {f"{uid}.{series}": [f"{uid}.{series}.{entry}" for entry in range(8, 13)] for series in (1, 2)},
        patient=f"P{number}", StudyDate=f"20{number % 30:02}0131", ModalitiesInStudy="CT\\SR",
        StudyDescription='=1+1, "50 %"', AccessionNumber=f"-{number}", NumberOfStudyRelatedInstances="10",
        StoredInstanceBaseURI="http://h/x/y", **more,
    )
    for series in record.series:
        series.attributes = {**series.attributes, "SeriesNumber": "-3", "SeriesDescription": "100%s"}
        for place, instance in enumerate(series.instances):
            access = {
                "FileAccessURI": f"./i/{number}-{place}/file", "ContainerFileType": "DICOM", "MACAlgorithm": "MD5",
                "FileLengthInContainer": 1000 + place, "MAC": f"{place:032x}",
                "StoredInstanceTransferSyntaxUID": ExplicitVRLittleEndian,
            }
            instance.attributes = {
                **instance.attributes, "InstanceNumber": str(place + 8), "Rows": 512, "Columns": 512 + place,
                "FileAccessSequence": [access, {**access, "FileAccessURI": f"./second{'x' * place}"}],
            }
    return record


def inventory_of(*records: StudyRecord, level: str = "INSTANCE", **more: Any) -> tuple[bytes, Inventory]:
    content = file("1.1", records, level=level, **more)
    return content, opened({"1.1": content}, "1.1")


@pytest.mark.parametrize("level", LEVELS)
def test_rows_of_each_level(level: str) -> None:
    content, inventory = inventory_of(*map(detailed, range(12)))
    for keywords in (USUAL[level], plain_columns(level)):
        expected = by_pydicom(content, level, keywords)
        assert len(expected) == 12 * {"STUDY": 1, "SERIES": 2, "INSTANCE": 10}[level]
        assert ndjson(inventory, level, keywords) == expected
        assert csv_rows(text(inventory, level, "csv", keywords)) == as_text(expected)


@given(STUDIES, strategies.sampled_from(LEVELS))
def test_any_record(record: StudyRecord, level: str) -> None:
    record.attributes = {**record.attributes, "ItemInventoryDateTime": "20260101000000+0000"}
    content, inventory = inventory_of(record)
    keywords = plain_columns(level)
    expected = by_pydicom(content, level, keywords)
    assert ndjson(inventory, level, keywords) == expected
    assert csv_rows(text(inventory, level, "csv", keywords)) == as_text(expected)
    # With a sequence among the columns instances are decoded as a whole.
    keywords.append("OriginalAttributesSequence")
    assert [{key: row[key] for key in keywords[:-1]} for row in ndjson(inventory, level, keywords)] == expected


def test_values_by_example() -> None:
    _, inventory = inventory_of(detailed(7))
    row = ndjson(inventory, "INSTANCE")[4]
    assert list(row) == list(USUAL["INSTANCE"])
    assert {key: value for key, value in row.items() if value is not None} == {
        "PatientID": "P7", "PatientName": "Müller^山田", "StudyInstanceUID": "2.7", "AccessionNumber": "-7",
        "StudyDate": "20070131", "StudyDescription": '=1+1, "50 %"', "ModalitiesInStudy": "CT\\SR",
        "SeriesInstanceUID": "2.7.1", "Modality": "CT", "SeriesNumber": -3, "SeriesDescription": "100%s",
        "SOPInstanceUID": "2.7.1.12", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "InstanceNumber": 12, "Rows": 512,
        "Columns": 516, "StoredInstanceTransferSyntaxUID": "1.2.840.10008.1.2.1", "FileLengthInContainer": 1004,
        "FileAccessURI": "http://h/x/i/7-4/file", "ContainerFileType": "DICOM", "MACAlgorithm": "MD5",
        "MAC": "00000000000000000000000000000004", "ItemInventoryDateTime": "20260101000000+0000",
    }
    content = text(inventory, "INSTANCE", "csv").decode()
    assert content.startswith("PatientID,IssuerOfPatientID,") and content.count("\r\n") == 11
    assert ",'-7,,20070131,,\"'=1+1, \"\"50 %\"\"\",CT\\SR,2.7.1,CT,-3,100%s,,2.7.1.8," in content


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("undefined", [False, True])
def test_other_encodings_say_the_same(syntax: pydicom.uid.UID, undefined: bool) -> None:
    content, _ = inventory_of(*map(detailed, range(3)))
    data_set = pydicom.dcmread(io.BytesIO(content))
    series = data_set.InventoriedStudiesSequence[0].InventoriedSeriesSequence[0]
    other = series.InventoriedInstancesSequence[1]
    other.SpecificCharacterSet = "ISO_IR 100"
    other.ContentDescription = "Größe"
    content = written(data_set, syntax, undefined)
    inventory = opened({"1.1": content}, "1.1")
    keywords = plain_columns("INSTANCE")
    assert ndjson(inventory, "INSTANCE", keywords) == by_pydicom(content, "INSTANCE", keywords)
    assert ndjson(inventory, "INSTANCE", ["ContentDescription"])[1] == {"ContentDescription": "Größe"}


def test_a_sequence_is_json_text() -> None:
    code = [{"CodeValue": "113001", "CodeMeaning": "Größe"}]
    _, inventory = inventory_of(detailed(1, RemovedFromOperationalUse="Y", ReasonForRemovalCodeSequence=code))
    [row, *_] = ndjson(inventory, "INSTANCE", ["ReasonForRemovalCodeSequence", "OtherPatientIDsSequence"])
    assert json.loads(row["ReasonForRemovalCodeSequence"]) == code and row["OtherPatientIDsSequence"] is None
    assert csv_rows(text(inventory, "STUDY", "csv", list(row)))[0] == row


def test_what_is_removed_above_is_removed() -> None:
    records = [detailed(number) for number in range(3)]
    records[0].attributes = {**records[0].attributes, "RemovedFromOperationalUse": "Y"}
    for record, level in ((records[0], 0), (records[1], 0), (records[2], 1)):
        entry = record.series[0] if level == 0 else record.series[0].instances[0]
        entry.attributes = {**entry.attributes, "RemovedFromOperationalUse": "N" if record is records[0] else "Y"}
    _, inventory = inventory_of(*records)
    keyword = "RemovedFromOperationalUse"
    assert [row[keyword] for row in ndjson(inventory, "STUDY")] == ["Y", None, None]
    assert [row[keyword] for row in ndjson(inventory, "SERIES")] == ["Y", "Y", "Y", None, None, None]
    assert [row[keyword] for row in ndjson(inventory, "INSTANCE")] == ["Y"] * 15 + [None] * 5 + ["Y"] + [None] * 9


def test_of_several_records_of_a_study_the_latest_counts() -> None:
    series = {"2.1.1": ["2.1.1.1"]}
    _, inventory = inventory_of(
        study("2.1", series, StudyID="old"), study("2.1", series, "20260102000000+0000", StudyID="new"),
        study("2.1", series, StudyID="older", patient="Q"),
    )
    assert [row["StudyID"] for row in ndjson(inventory, "INSTANCE")] == ["new", "older"]


def test_a_number_that_is_none_is_empty() -> None:
    content, _ = inventory_of(detailed(1))
    data_set = pydicom.dcmread(io.BytesIO(content))
    instances = data_set.InventoriedStudiesSequence[0].InventoriedSeriesSequence[0].InventoriedInstancesSequence
    for instance, number in zip(instances, ("+007", "1e3", "1\\2", "twelve", "")):
        instance.add(pydicom.DataElement(0x00200013, "LO", number))
        instance.FileAccessSequence[0].FileLengthInContainer = 2**64 - 1 if number == "1e3" else 5
    content = written(data_set, ImplicitVRLittleEndian)
    rows = ndjson(opened({"1.1": content}, "1.1"), "INSTANCE", ["InstanceNumber", "FileLengthInContainer"])[:5]
    assert [row["InstanceNumber"] for row in rows] == [7, None, None, None, None]
    assert [row["FileLengthInContainer"] for row in rows] == [5, None, 5, 5, 5]


def test_a_row_of_one_empty_cell_is_a_row() -> None:
    _, inventory = inventory_of(detailed(1), detailed(2))
    assert text(inventory, "STUDY", "csv", ["StudyID"]) == b'StudyID\r\n""\r\n""\r\n'


def test_an_inventory_without_studies_has_no_rows() -> None:
    _, inventory = inventory_of()
    assert ndjson(inventory, "INSTANCE") == [] and csv_rows(text(inventory, "STUDY", "csv")) == []


def test_columns_are_chosen_by_keyword() -> None:
    assert [column.keyword for column in chosen("SERIES", ["Modality", "PatientID"])] == ["Modality", "PatientID"]
    for level in LEVELS:
        assert [column.keyword for column in chosen(level, [])] == list(USUAL[level])
    for keyword, level in (("Nonsense", "STUDY"), ("Modality", "STUDY"), ("SOPInstanceUID", "SERIES")):
        message = f"^columns: {keyword} is unknown at level {level}; allowed: .*PatientID"
        with pytest.raises(ExportError, match=message) as error:
            chosen(level, ["PatientID", keyword])
        assert "\n" not in str(error.value) and "InventoriedSeriesSequence" not in str(error.value)
    with pytest.raises(ExportError, match="columns: a name is unknown"):
        chosen("STUDY", ["=1\n"])
    with pytest.raises(ExportError, match="columns: PatientID stands there twice"):
        chosen("STUDY", ["PatientID", "PatientID"])


def test_levels_that_the_inventory_lacks_are_refused() -> None:
    _, inventory = inventory_of(study("2.1"), level="SERIES")
    check_level(inventory, "STUDY")
    check_level(inventory, "SERIES")
    with pytest.raises(ExportError, match="level: the inventory has no records of level INSTANCE; allowed: STUDY, SERIES"):
        check_level(inventory, "INSTANCE")


def test_each_keyword_is_a_column_at_the_levels_below() -> None:
    assert set(available("STUDY")) < set(available("SERIES")) < set(available("INSTANCE"))


def test_memory_does_not_grow_with_the_rows() -> None:
    def peak(studies: int) -> int:
        _, inventory = inventory_of(*map(detailed, range(studies)))
        columns = chosen("INSTANCE", [])
        tracemalloc.start()
        rows = sum(chunk.count(b"\n") for chunk in text_rows(inventory, "INSTANCE", columns, Csv(columns)))
        assert rows == 1 + 10 * studies
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(10)
    small, large = peak(300), peak(1500)
    assert large < 1.3 * small + 1_000_000, (small, large)
