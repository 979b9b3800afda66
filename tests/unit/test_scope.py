"""Scopes: matching of PS3.4 C.2.2.2, the Scope of Inventory Sequence, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from orthanc_inventory.dicom.scope import KEYS, InvalidScope, Scope


@pytest.mark.parametrize(
    ("keyword", "key", "value", "expected"),
    [
        ("PatientID", "P1", "P1", True),
        ("PatientID", "P1", "p1", False),
        ("PatientID", "P1", "P1 ", True),
        ("PatientID", "P1 ", "P1", True),
        ("PatientID", "P?", "P1", True),
        ("PatientID", "P?", "P", False),
        ("PatientID", "*1", "P.1", True),
        ("PatientID", "P.1", "Px1", False),
        ("PatientID", "*", "", True),
        ("PatientID", "[P]", "P", False),
        ("AccessionNumber", "A*", "", False),
        ("PatientName", "doe^john", "Doe^John", True),
        ("PatientName", "DOE*", "Doe^John", True),
        ("PatientName", "*山田*", "Yamada^Tarou=山田^太郎", True),
        ("PatientName", "山田^太郎", "Yamada^Tarou=山田^太郎=やまだ", True),
        ("PatientName", "Doe^John", "Doe^John^^^", True),
        ("PatientName", "Doe", "Doe^John", False),
        ("StudyDate", "20240131", "20240131", True),
        ("StudyDate", "20240131", "2024.01.31", True),
        ("StudyDate", "20240101-20241231", "20240131", True),
        ("StudyDate", "20240101-20241231", "20241231", True),
        ("StudyDate", "20240101-20241231", "20240101", True),
        ("StudyDate", "20240101-20241231", "20250101", False),
        ("StudyDate", "20240101-", "20300101", True),
        ("StudyDate", "-20240101", "20300101", False),
        ("StudyDate", "-20240101", "19990101", True),
        ("StudyDate", "-20240101", "", False),
        ("StudyInstanceUID", "1.2", "1.2", True),
        ("StudyInstanceUID", "1.2\\1.3", "1.3", True),
        ("StudyInstanceUID", "1.2\\1.3", "1.23", False),
        ("ModalitiesInStudy", "CT", "CT\\MR", True),
        ("ModalitiesInStudy", "CT\\US", "MR\\US", True),
        ("ModalitiesInStudy", "C?", "MR\\CT", True),
        ("ModalitiesInStudy", "CT", "MR", False),
        ("ModalitiesInStudy", "CT", "CTX", False),
    ],
)
def test_matching(keyword: str, key: str, value: str, expected: bool) -> None:
    assert Scope.parse({keyword: key}).matches({keyword: value}) is expected


def test_all_keys_must_match() -> None:
    scope = Scope.parse({"PatientID": "P1", "StudyDate": "20240101-"})
    assert scope.matches({"PatientID": "P1", "StudyDate": "20240102"})
    assert not scope.matches({"PatientID": "P2", "StudyDate": "20240102"})
    assert not scope.matches({"PatientID": "P1"})
    assert scope.matches({"PatientID": "P1"}, unknown_yet="StudyDate")
    assert Scope.parse({}).matches({})


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ([], ["Scope", "object"]),
        ({"StationName": "x"}, ["Scope.StationName", *KEYS]),
        ({"PatientID": 1}, ["Scope.PatientID", "text"]),
        ({"PatientID": ""}, ["Scope.PatientID", "empty"]),
        ({"PatientID": "  "}, ["Scope.PatientID", "empty"]),
        ({"PatientID": '""'}, ["Scope.PatientID", "empty"]),
        ({"PatientID": "x" * 65}, ["Scope.PatientID", "LO"]),
        ({"PatientID": "a\\b"}, ["Scope.PatientID", "backslash"]),
        ({"PatientName": "a\nb"}, ["Scope.PatientName", "control"]),
        ({"StudyDate": "2024"}, ["Scope.StudyDate", "YYYYMMDD"]),
        ({"StudyDate": "-"}, ["Scope.StudyDate", "YYYYMMDD"]),
        ({"StudyDate": "20240230"}, ["Scope.StudyDate", "YYYYMMDD"]),
        ({"StudyDate": "20240131-20240101"}, ["Scope.StudyDate", "after"]),
        ({"StudyInstanceUID": "1.2*"}, ["Scope.StudyInstanceUID", "UID"]),
        ({"StudyInstanceUID": "1.2\\"}, ["Scope.StudyInstanceUID", "UID"]),
        ({"ModalitiesInStudy": "ct"}, ["Scope.ModalitiesInStudy", "upper case"]),
    ],
)
def test_an_impossible_scope_is_refused_by_name(keys: Any, words: list[str]) -> None:
    with pytest.raises(InvalidScope) as refusal:
        Scope.parse(keys)
    message = str(refusal.value)
    assert all(word in message for word in words) and "\n" not in message


def test_the_sequence_says_how_each_key_is_matched() -> None:
    assert Scope.parse({}).sequence() == []
    keys = {
        "StudyDate": "20240101-", "StudyInstanceUID": "1.2\\1.3", "PatientName": "山*", "ModalitiesInStudy": "CT\\MR",
    }
    [item] = Scope.parse(keys).sequence()
    assert item == {
        "SpecificCharacterSet": "ISO_IR 192",
        "ExtendedMatchingMechanisms": "MULTIPLE_VALUE",
        "RangeMatchingSequence": [{"StudyDate": "20240101"}, {"StudyDate": ""}],
        "ListOfUIDMatchingSequence": [{"StudyInstanceUID": "1.2"}, {"StudyInstanceUID": "1.3"}],
        "GeneralMatchingSequence": [{"PatientName": "山*", "ModalitiesInStudy": "CT\\MR"}],
    }
