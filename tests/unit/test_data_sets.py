"""How Orthanc writes data sets in JSON, with what it may leave out or get wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orthanc_inventory.dicom.attributes import SERIES, STUDY
from orthanc_inventory.dicom.macros import ORIGINAL_ATTRIBUTES
from orthanc_inventory.sources.data_sets import DataSets, add_other_patient_ids, completed

CODE = {"0008,0100": "1", "0008,0104": "Thorax", "0009,1001": "private", "0008,0119": None, "0008,0102": ""}
RECORD_CODE = {"CodeValue": "1", "CodeMeaning": "Thorax"}


def test_the_short_form() -> None:
    data_set = {"0008,1032": [CODE], "0010,0010": "A^B", "0010,0020": None, "0020,0010": "", "0028,0010": "512"}
    assert DataSets(STUDY).from_short(data_set) == {"PatientName": "A^B", "ProcedureCodeSequence": [RECORD_CODE]}


@pytest.mark.parametrize("value", ["text", None, {"Name": "ProcedureCodeSequence", "Type": "TooLong", "Value": None}, []])
def test_a_sequence_that_is_none_is_left_out(value: Any) -> None:
    assert DataSets(STUDY).from_short({"0008,1032": value}) == {}
    assert DataSets(STUDY).from_short({"0010,0020": [CODE]}) == {}


def test_sequences_of_the_index_are_in_the_answer_or_in_a_metadata() -> None:
    full = {tag: {"Name": "", "Type": "String", "Value": value} for tag, value in CODE.items() if value}
    full["0008,0102"] = {"Name": "", "Type": "Null", "Value": None}
    codes = {"0032,1064": {"Name": "", "Type": "Sequence", "Value": [full]}}
    request = {"0040,0275": {"Name": "", "Type": "Sequence", "Value": [codes]}}
    expected = {"Modality": "CT", "RequestAttributesSequence": [{"RequestedProcedureCodeSequence": [RECORD_CODE]}]}
    metadata = {"MainDicomSequences": json.dumps({"Sequences": request, "Version": 1})}
    assert DataSets(SERIES).from_index({"Modality": "CT"}, metadata) == expected
    simplified_codes = {"RequestedProcedureCodeSequence": [{**RECORD_CODE, "LongCodeValue": None}]}
    simplified = {"Modality": "CT", "RequestAttributesSequence": [simplified_codes]}
    assert DataSets(SERIES).from_index(simplified, {}) == expected
    assert DataSets(SERIES).from_index({"Modality": "CT"}, {}) == {"Modality": "CT"}


def test_modified_attributes_may_be_any_and_nest_only_so_far() -> None:
    deep: dict[str, Any] = {"0010,0020": "OLD"}
    for _ in range(100):
        deep = {"0008,1115": [deep]}
    modified = {"0010,0010": "A^B", "0010,0020": "", "0010,4000": None, "0009,1001": "private", **deep}
    read = DataSets(ORIGINAL_ATTRIBUTES).from_short({"0400,0561": [{"0400,0550": [modified], "0400,0563": "PACS"}]})
    [item] = read["OriginalAttributesSequence"]
    [values] = item["ModifiedAttributesSequence"]
    assert item["ModifyingSystem"] == "PACS" and (values["PatientName"], values["PatientID"]) == ("A^B", "")
    assert values.keys() == {"PatientName", "PatientID", "ReferencedSeriesSequence"}
    assert 1 < json.dumps(values).count("ReferencedSeriesSequence") < 20


def test_the_index_wins_but_where_it_says_nothing_or_less() -> None:
    ours: dict[str, Any] = {"PatientName": "A", "StudyID": "", "OtherPatientIDs": "X\\Y"}
    add_other_patient_ids(ours)
    assert ours["OtherPatientIDsSequence"] == [{"PatientID": "X"}, {"PatientID": "Y"}]
    other = [{"PatientID": "X", "IssuerOfPatientID": "I"}]
    found = completed(ours, {"PatientName": "B", "StudyID": "7", "OtherPatientIDsSequence": other})
    assert (found["PatientName"], found["StudyID"], found["OtherPatientIDsSequence"]) == ("A", "7", other)
