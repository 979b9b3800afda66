"""What other archives answer becomes records, also where it is not as the standard says."""

from __future__ import annotations

from typing import Any

import pytest

from orthanc_inventory.dicom.answers import record_of
from orthanc_inventory.dicom.decoder import InvalidInventory
from orthanc_inventory.dicom.elements import element_header, encode_attributes
from orthanc_inventory.dicom.file_format import read_data_set
from orthanc_inventory.dicom.json_records import record_from_json
from orthanc_inventory.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN


def record(encoded: bytes) -> dict[str, Any]:
    return record_of(*read_data_set(encoded, EXPLICIT_VR_LITTLE_ENDIAN, "the answer"))


def element(tag: int, vr: str, value: bytes) -> bytes:
    return element_header(tag, vr, len(value)) + value


def test_an_answer_as_it_should_be() -> None:
    attributes = {"StudyInstanceUID": "1.2", "PatientName": "A^B", "ProcedureCodeSequence": [{"CodeValue": "X"}]}
    assert record(encode_attributes(attributes)) == attributes


def test_what_cannot_be_read_of_an_answer_is_left_out_alone() -> None:
    encoded = b"".join(
        (
            element(0x00080005, "CS", b"ISO_IR 100"),
            element(0x00080020, "US", b"\1\0"),  # a date must be text
            element(0x00100010, "PN", "Müller".encode("latin-1")),
            element(0x0020000D, "UI", b"1.2\0"),
            element(0x00201206, "IS", b"2 "),
        )
    )
    assert record(encoded) == {
        "SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller", "StudyInstanceUID": "1.2",
        "NumberOfStudyRelatedSeries": "2",
    }


def test_an_unknown_character_set_costs_no_more_than_the_text() -> None:
    encoded = element(0x00080005, "CS", b"NONSENSE") + element(0x00100010, "PN", b"A^B ") + element(0x0020000D, "UI", b"1.2\0")
    assert record(encoded) == {"StudyInstanceUID": "1.2", "PatientName": "A^B"}


def test_what_is_no_data_set_is_refused() -> None:
    with pytest.raises(InvalidInventory):
        record(b"\1\2\3")


JSON: dict[str, tuple[Any, Any]] = {
    "text": ({"vr": "LO", "Value": ["P1"]}, "P1"),
    "several values": ({"vr": "CS", "Value": ["CT", "MR"]}, "CT\\MR"),
    "an empty value among others": ({"vr": "CS", "Value": ["CT", None]}, "CT\\"),
    "a number": ({"vr": "IS", "Value": [12]}, "12"),
    "a name": ({"vr": "PN", "Value": [{"Alphabetic": "A^B", "Phonetic": "C"}]}, "A^B==C"),
    "no value": ({"vr": "LO"}, ""),
    "bytes": ({"vr": "OB", "InlineBinary": "AQI="}, "0102"),
    "no base64": ({"vr": "OB", "InlineBinary": "?"}, ""),
}


@pytest.mark.parametrize("case", JSON)
def test_attributes_in_json(case: str) -> None:
    written, expected = JSON[case]
    assert record_from_json({"00100020": written}) == {"PatientID": expected}


def test_sequences_in_json() -> None:
    written = {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["X"]}}, None]}
    assert record_from_json({"00081032": written}) == {"ProcedureCodeSequence": [{"CodeValue": "X"}]}
    # What the data dictionary does not take for one is none, or the other way round.
    assert record_from_json({"0020000D": written, "00081032": {"vr": "LO", "Value": ["X"]}}) == {}


def test_what_is_not_of_the_json_model_is_left_out() -> None:
    nested: dict[str, Any] = {}
    for _ in range(100):
        nested = {"00081032": {"vr": "SQ", "Value": [nested]}}
    wrong = {"nonsense": {}, "00100020": "P1", "00090010": {"vr": "LO"}, "00100010": {"vr": "PN", "Value": 1}}
    assert record_from_json(wrong) == {}
    record_from_json(nested)
