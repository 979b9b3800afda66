"""The encoder writes what pydicom writes, and brings what no VR can hold into a form that pydicom reads without complaint."""

from __future__ import annotations

import tracemalloc
from io import BytesIO
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings, strategies
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import validate_value

from orthanc_inventory.dicom.attributes import INSTANCE, SERIES, STUDY
from orthanc_inventory.dicom.elements import InvalidRecord, encode_attributes
from orthanc_inventory.dicom.encoder import Corrections, ItemEncoder, StudyEncoder
from orthanc_inventory.dicom.records import InstanceRecord, InstanceTable, SeriesRecord, SingleItems, StudyRecord
from orthanc_inventory.dicom.terms import LEVELS

from .records import STUDIES, study_data_set

PATIENCE = settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
MINIMUM = {"StudyInstanceUID": "1.2", "ItemInventoryDateTime": "20260101000000+0000"}


def pydicom_bytes(data_set: Dataset) -> bytes:
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, data_set, parent_encoding="utf-8")
    return stream.getvalue()


def read(encoded: bytes) -> Dataset:
    with pydicom.config.disable_value_validation():
        data_set = pydicom.dcmread(BytesIO(encode_attributes({"SpecificCharacterSet": "ISO_IR 192"}) + encoded), force=True)
        for _ in data_set.iterall():
            pass  # values are decoded when they are looked at
    return data_set


@PATIENCE
@given(studies=strategies.lists(STUDIES, min_size=1, max_size=3), level=strategies.sampled_from(LEVELS))
def test_the_bytes_are_those_of_pydicom(studies: list[StudyRecord], level: str) -> None:
    encoder = StudyEncoder(level)
    results = [encoder.encode(study) for study in studies]
    expected = Dataset()
    expected.InventoriedStudiesSequence = Sequence([study_data_set(study, level) for study in studies])
    assert encode_attributes({"InventoriedStudiesSequence": b"".join(item for item, *_ in results)}) == pydicom_bytes(expected)
    for study, (_, series, instances, corrected, _, skipped) in zip(studies, results):
        assert corrected == 0
        assert series == (len(study.series) if level != "STUDY" else 0) and not skipped
        assert instances == (sum(len(entry.instances) for entry in study.series) if level == "INSTANCE" else 0)


# Any text at all, surrogates and control characters too, as an index may hold it.
_ANYTHING = strategies.text(strategies.characters(), max_size=120)
_TEXT_KEYWORDS = [row.keyword for row in STUDY if row.vr != "SQ"]


@PATIENCE
@given(record=strategies.dictionaries(strategies.sampled_from(_TEXT_KEYWORDS), _ANYTHING))
def test_any_text_becomes_a_legal_value(record: dict[str, str]) -> None:
    encoder = StudyEncoder("STUDY")
    item, *_ = encoder.encode(StudyRecord("study", {**record, **MINIMUM}))
    data_set = read(item[8:])
    for row in STUDY:
        if row.type in ("1", "2"):
            assert row.keyword in data_set
    del data_set.SpecificCharacterSet
    assert [element.tag for element in data_set] == sorted(element.tag for element in data_set)
    for element in data_set:
        for value in element.value if element.VM > 1 else [element.value] * element.VM:
            # Not while reading: there pydicom takes the space that makes the length even for a part of the value.
            validate_value(element.VR, str(value), pydicom.config.RAISE)
    assert pydicom_bytes(data_set) == item[8:]


@pytest.mark.parametrize(
    ("keyword", "given_value", "written"),
    [
        ("StudyDate", "2024.01.31", "20240131"),
        ("StudyDate", "20240230", None),
        ("StudyTime", "10:15:30", "101530"),
        ("StudyTime", "256161", None),
        ("PatientSex", "m", "M"),
        ("StudyDescription", "x" * 65, "x" * 64),
        ("StudyDescription", "a\x00b\\c", "a b/c"),
        ("PatientName", "A^B=C=D=E", "A^B=C=D"),
        ("PatientName", "x" * 65, "x" * 64),
        ("PatientName", "a=" + "y" * 65, "a=" + "y" * 64),
        ("StudyID", "x" * 17, "x" * 16),
        ("RetrieveAETitle", "A" * 17, "A" * 16),
        ("NumberOfStudyRelatedSeries", "2147483648", None),
        ("ModalitiesInStudy", "ct\\\\MR", ["CT", "MR"]),
        ("RetrieveURL", "http://pacs/a b", None),
    ],
)
def test_corrected_values_are_counted_each_time(keyword: str, given_value: str, written: Any) -> None:
    encoder = StudyEncoder("STUDY")
    for _ in range(3):
        item, *_, corrected, _, _ = encoder.encode(StudyRecord("study", {**MINIMUM, keyword: given_value}))
        value = read(item[8:]).get(keyword)
        assert (list(value) if isinstance(written, list) else value or None) == written
        assert corrected == 1


def test_what_lacks_a_required_value_is_skipped_by_name() -> None:
    study = StudyRecord(
        "study",
        MINIMUM,
        [
            SeriesRecord("good", {"SeriesInstanceUID": "1.2.3"}, [
                InstanceRecord("fine", {"SOPClassUID": "1.2", "SOPInstanceUID": "1.2.3.4"}),
                InstanceRecord("bad", {"SOPClassUID": "not a UID", "SOPInstanceUID": "1.2.3.5"}),
                InstanceRecord("poor", {"SOPClassUID": "1.2"}),
            ]),
            SeriesRecord("nameless", {"SeriesInstanceUID": ""}),
        ],
    )
    item, series, instances, _, _, skipped = StudyEncoder("INSTANCE").encode(study)
    assert (series, instances) == (1, 1)
    assert [(entry.identifier, entry.level) for entry in skipped] == [
        ("bad", "Instance"), ("poor", "Instance"), ("nameless", "Series"),
    ]
    assert "SOPClassUID" in skipped[0].reason and "not a UID" not in skipped[0].reason
    assert read(item[8:]).InventoriedSeriesSequence[0].Modality == "OT"
    with pytest.raises(InvalidRecord, match="StudyInstanceUID"):
        StudyEncoder("STUDY").encode(StudyRecord("study", {**MINIMUM, "StudyInstanceUID": "1.2.x"}))


@pytest.mark.parametrize("table", [STUDY, SERIES, INSTANCE])
def test_withheld_identifiers_appear_nowhere(table: Any) -> None:
    secret = {row.keyword: "SECRET" for row in table if row.identifying and row.vr != "SQ"}
    required = {row.keyword: "1.2" if row.vr == "UI" else "2026" for row in table if row.type == "1" and not row.default}
    (encoded,) = ItemEncoder(table, Corrections(), identifying=False).items([{**secret, **required}])
    assert b"SECRET" not in encoded
    present = read(encoded[8:])
    assert all(row.keyword in present for row in table if row.type == "2")
    assert not any(row.keyword in present for row in table if row.identifying and row.type == "3")


@pytest.mark.parametrize(("value", "written"), [("3", 3), (65535, 65535), ("", None), (65536, None), ("x", None), (-1, None)])
def test_binary_numbers_fit_or_are_left_out(value: Any, written: int | None) -> None:
    corrections = Corrections()
    (encoded,) = ItemEncoder(INSTANCE, corrections).items([{"SOPClassUID": "1.2", "SOPInstanceUID": "1.3", "Rows": value}])
    assert read(encoded[8:]).get("Rows") == written
    assert corrections.count == (written is None and value != "")


# Values that a VR can hold, that have to be corrected, or that leave out what they belong to.
_COLUMNS = {
    "SOPInstanceUID": ["1.2.3", "1.2.03", "", "1.2.4"], "SOPClassUID": ["1.2.5", "1.2.6", "1.2.7"],
    "InstanceNumber": ["1", "one", ""], "ContentLabel": ["A", "Ä" * 90, ""],
}
_FILES = {"FileLengthInContainer": [1, -1, 2**40], "StoredInstanceTransferSyntaxUID": ["1.2.840.10008.1.2", ""], "MAC": ["ab", ""]}


def _columns(values: dict[str, list[Any]]) -> strategies.SearchStrategy[list[dict[str, Any]]]:
    rows = strategies.fixed_dictionaries({keyword: strategies.sampled_from(column) for keyword, column in values.items()})
    return strategies.lists(rows, min_size=3, max_size=3)


@PATIENCE
@given(rows=_columns(_COLUMNS), files=_columns(_FILES), is_taken_out=strategies.booleans())
def test_instances_attribute_by_attribute_give_the_same(
    rows: list[dict[str, Any]], files: list[dict[str, Any]], is_taken_out: bool
) -> None:
    identifiers = ["a", "b", "c"]
    records = [
        InstanceRecord(identifier, {**row, "FileAccessSequence": [file]})
        for identifier, row, file in zip(identifiers, rows, files)
    ]
    access = SingleItems({keyword: [file[keyword] for file in files] for keyword in _FILES})
    columns = {keyword: [row[keyword] for row in rows] for keyword in _COLUMNS}
    table = InstanceTable(identifiers, {**columns, "FileAccessSequence": access})
    if is_taken_out:
        assert list(table) == records
    encoded = [
        StudyEncoder("INSTANCE").encode(StudyRecord("", MINIMUM, [SeriesRecord("", {"SeriesInstanceUID": "1.3"}, instances)]))
        for instances in (records, table)
    ]
    assert encoded[0] == encoded[1]


def test_memory_does_not_grow_with_distinct_values() -> None:
    encoder = ItemEncoder(INSTANCE, Corrections())

    def encode(numbers: range) -> int:
        for number in numbers:
            encoder.items([{"SOPClassUID": "1.2", "SOPInstanceUID": f"1.3.{number}", "ContentLabel": f"LABEL {number}"}])
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = encode(range(2000))
        assert encode(range(2000, 30000)) - before < 200_000
    finally:
        tracemalloc.stop()
