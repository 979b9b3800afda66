"""What Repository Query is made of: identifiers, Record Keys, answers in each transfer syntax, the order of studies."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import decode

from orthanc_inventory.dicom.macros import row
from orthanc_inventory.dicom.record_keys import NAME, InvalidRecordKey, position_of, record_keys
from orthanc_inventory.dicom.repository_query import ATTRIBUTES, InvalidQuery, RepositoryQuery, agreed, negotiated
from orthanc_inventory.dicom.response_identifiers import Branch, ResponseIdentifiers
from orthanc_inventory.dicom.terms import EMPTY_VALUE, LEVELS, MULTIPLE_VALUE, RELATIONAL
from orthanc_inventory.sources.study_order import Names, identifier_of_name, names_of

KNOWN = {level: frozenset(ATTRIBUTES[level]) for level in LEVELS}
NAMES = st.binary(min_size=NAME, max_size=NAME)


@given(st.binary(max_size=12))
def test_never_more_bytes_than_offered(offered: bytes) -> None:
    answer = negotiated(offered)
    assert len(answer) == min(len(offered), 7)
    assert all(own <= (byte == 1) for own, byte in zip(answer, offered))
    assert len(agreed(answer)) == sum(answer) and agreed(b"") == frozenset()


@given(st.lists(NAMES, min_size=1, max_size=3), st.integers(0, 600))
def test_a_record_key_is_a_place(names: list[bytes], bit: int) -> None:
    level = LEVELS[len(names) - 1]
    [key] = record_keys(b"".join(names[:-1]), names[-1:])
    assert position_of(key, level) == b"".join(names) and len(key) % 2 == 0
    for other in LEVELS:
        if other != level:
            with pytest.raises(InvalidRecordKey):
                position_of(key, other)
    changed = bytearray(key)
    changed[bit // 8 % len(key)] ^= 1 << bit % 8
    with pytest.raises(InvalidRecordKey):
        position_of(bytes(changed), level)


@given(st.binary(max_size=70))
def test_what_is_no_record_key(key: bytes) -> None:
    for level in LEVELS:
        with pytest.raises(InvalidRecordKey):
            position_of(key, level)


@given(st.lists(NAMES, max_size=30), st.lists(NAMES, max_size=10))
def test_studies_that_are_new_stand_in_order(names: list[bytes], others: list[bytes]) -> None:
    both = Names(b"".join(sorted(set(names)))).with_others(others + names[:2])
    assert list(both) == sorted({*names, *others}) and both[1:3] == list(both)[1:3]
    identifiers = list(map(identifier_of_name, both))
    assert names_of(identifiers) == list(both) and identifiers == sorted(identifiers)


ROWS = [
    row("SpecificCharacterSet", "2", default="ISO_IR 192"), row("QueryRetrieveLevel", "2", default="IMAGE"),
    *(ATTRIBUTES["STUDY"][keyword]._replace(type="2") for keyword in ("PatientName", "StudyInstanceUID", "StudyDate")),
    *(ATTRIBUTES["SERIES"][keyword]._replace(type="2") for keyword in ("Modality", "SeriesDescription")),
    *(ATTRIBUTES["INSTANCE"][keyword]._replace(type="2") for keyword in (
        "SOPInstanceUID", "InstanceNumber", "Rows", "FileAccessSequence", "ContentDescription", "ConceptNameCodeSequence")),
]
OWN = ATTRIBUTES["INSTANCE"].keys() - {"StudyInstanceUID", "Modality"}


def branches() -> list[Branch]:
    code = {"CodeValue": "113001", "CodingSchemeDesignator": "DCM", "CodeMeaning": "Ünsinn"}
    access = {"FileLengthInContainer": 1234567890123, "MAC": "00ff10", "MACAlgorithm": "MD5"}
    full: dict[str, Any] = {
        "SOPInstanceUID": "1.2.3", "InstanceNumber": "7", "Rows": "512", "FileAccessSequence": [access],
        "ContentDescription": "x" * 301, "ConceptNameCodeSequence": [code, code],
    }
    above = {"PatientName": "Müller^Eva", "StudyInstanceUID": "1.2", "Modality": "CT", "StudyDate": "2026.01.02"}
    return [
        Branch(above, bytes(2 * NAME), [bytes([number]) * NAME for number in range(3)], [full, {}, {**full, "Rows": "x"}]),
        Branch({}, bytes(2 * NAME), [], []),
        Branch({"Modality": ""}, b"a" * 2 * NAME, [b"b" * NAME], [{"SOPInstanceUID": "1.2.4"}]),
    ]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_answers_are_what_pydicom_reads(syntax: str) -> None:
    data_sets = ResponseIdentifiers(ROWS, OWN, True, syntax).encode(branches())
    implicit, deflated = syntax == ImplicitVRLittleEndian, syntax == DeflatedExplicitVRLittleEndian
    read = [decode(BytesIO(data_set), implicit, True, deflated) for data_set in data_sets]
    assert len(read) == 4 and all(len(data_set) % 2 == 0 for data_set in data_sets)
    for answer in read:
        assert [element.tag for element in answer] == sorted(element.tag for element in answer)
        assert {element.keyword for element in answer} == {"RecordKey", *(entry.keyword for entry in ROWS)}
        assert (answer.SpecificCharacterSet, answer.QueryRetrieveLevel) == ("ISO_IR 192", "IMAGE")
    first, empty, wrong, last = read
    assert (first.PatientName, first.StudyDate, first.Modality, first.Rows) == ("Müller^Eva", "20260102", "CT", 512)
    assert first.InstanceNumber == 7 and first.ContentDescription == "x" * 64
    assert [code.CodeMeaning for code in first.ConceptNameCodeSequence] == ["Ünsinn"] * 2
    [access] = first.FileAccessSequence
    assert (access.FileLengthInContainer, access.MAC) == (1234567890123, b"\0\xff\x10\0")
    assert empty.Rows is None and not empty.FileAccessSequence and empty.StudyInstanceUID == "1.2"
    assert wrong.Rows is None and (last.SOPInstanceUID, last.StudyInstanceUID, last.Modality) == ("1.2.4", "", "OT")
    assert first.RecordKey == record_keys(bytes(2 * NAME), [bytes(NAME)])[0] and len(last.RecordKey) == 64


def query(mechanisms: frozenset[str] = frozenset(), **written: Any) -> RepositoryQuery:
    return RepositoryQuery(written, mechanisms, KNOWN, "+0000")


def test_the_level_of_an_attribute() -> None:
    asked = query(frozenset({RELATIONAL}), QueryRetrieveLevel="IMAGE", Modality="CT", PatientID="P*", Rows=512)
    assert [asked.level_of(keyword) for keyword in ("Modality", "PatientID", "Rows")] == ["SERIES", "STUDY", "INSTANCE"]
    assert [attribute.keyword for attribute in asked.wanted] == ["Modality", "PatientID", "Rows"]
    assert not asked.unsupported and len(asked.scope.keys) == 3
    for level, expected in (("STUDY", "STUDY"), ("SERIES", "SERIES"), ("IMAGE", "INSTANCE")):
        asked = query(frozenset({RELATIONAL}), QueryRetrieveLevel=level, RemovedFromOperationalUse="Y")
        assert asked.level_of("RemovedFromOperationalUse") == expected == asked.scope.level_of(asked.scope.keys[0])
    assert query(QueryRetrieveLevel="STUDY", Modality="CT").unsupported


def test_values_that_need_a_negotiation() -> None:
    asked = {"QueryRetrieveLevel": "STUDY", "PatientID": "A\\B"}
    with pytest.raises(InvalidQuery, match="PatientID has several values"):
        query(**asked)
    assert query(frozenset({MULTIPLE_VALUE}), **asked).scope.keys[0].values == ("A", "B")
    literal = query(QueryRetrieveLevel="STUDY", PatientID='""').scope
    assert literal.matches_study({"PatientID": '""'}) and not literal.matches_study({})
    assert query(frozenset({EMPTY_VALUE}), QueryRetrieveLevel="STUDY", PatientID='""').scope.matches_study({})


def test_control_attributes() -> None:
    asked = query(QueryRetrieveLevel="STUDY", PriorRecordKey="00ff", MaximumNumberOfRecords=5, RecordKey="")
    assert (asked.prior, asked.maximum, asked.with_key, asked.wanted) == (b"\0\xff", 5, True, [])
    asked = query(QueryRetrieveLevel="STUDY", PriorRecordKey="", MaximumNumberOfRecords="")
    assert (asked.prior, asked.maximum, asked.with_key) == (b"", None, False)
    for wrong in ({"RecordKey": "00"}, {"MaximumNumberOfRecords": "1\\2"}, {"QueryRetrieveLevel": "PATIENT"}):
        with pytest.raises(InvalidQuery):
            query(**{"QueryRetrieveLevel": "STUDY", **wrong})
