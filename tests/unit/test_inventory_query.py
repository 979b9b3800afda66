"""Which inventories match a query: each kind of matching by example, and which queries are none."""

from __future__ import annotations

from typing import Any

import pytest

from orthanc_inventory.dicom.inventory_query import INVENTORY, InvalidQuery, InventoryQuery, Mechanisms

ATTRIBUTES: dict[str, Any] = {
    "SpecificCharacterSet": "ISO_IR 192",
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.201.1",
    "SOPInstanceUID": "1.2.3",
    "ContentDate": "20260203",
    "ContentTime": "101530.5",
    "Manufacturer": "Maker",
    "TimezoneOffsetFromUTC": "+0100",
    "ScopeOfInventorySequence": [
        {
            "ExtendedMatchingMechanisms": "MULTIPLE_VALUE",
            "RangeMatchingSequence": [{"StudyDate": "20200101"}, {"StudyDate": "20201231"}],
            "GeneralMatchingSequence": [{"ModalitiesInStudy": "CT\\MR"}],
        }
    ],
    "InventoryPurpose": "Audit of June",
    "InventoryLevel": "INSTANCE",
    "StudyAccessEndPointsSequence": [{"RetrieveAETitle": "ORTHANC"}],
    "IncorporatedInventoryInstanceSequence": [
        {"ReferencedSOPInstanceUID": "1.2.4"}, {"ReferencedSOPInstanceUID": "1.2.5"}
    ],
    "InventoryCompletionStatus": "COMPLETE",
    "NumberOfStudyRecordsInInstance": 0,
    "TotalNumberOfStudyRecords": 70_000_000_000,
    "TransactionUID": "1.2.9",
}

MATCHING = [
    {},
    {"SOPInstanceUID": "1.2.3"},
    {"SOPInstanceUID": "1.2.2\\1.2.3"},
    {"SOPInstanceUID": ""},
    {"ContentDate": "20260203"},
    {"ContentDate": "20260101-20261231"},
    {"ContentDate": "-20260203"},
    {"ContentDate": "20260203-", "ContentTime": "10-11"},
    {"ContentTime": "101530.5"},
    {"InventoryPurpose": "Audit*"},
    {"InventoryPurpose": "?udit of Jun?"},
    {"InventoryPurpose": "*"},
    {"InventoryLevel": "STUDY\\INSTANCE"},
    {"InventoryLevel": "INST*"},
    {"InventoryCompletionStatus": "COMPLETE "},
    {"InventoryInstanceDescription": '""'},
    {"TotalNumberOfStudyRecords": 70_000_000_000},
    {"NumberOfStudyRecordsInInstance": 0},
    {"ScopeOfInventorySequence": []},
    {"ScopeOfInventorySequence": [{}]},
    {"ScopeOfInventorySequence": [{"GeneralMatchingSequence": [{"ModalitiesInStudy": "MR"}]}]},
    {"ScopeOfInventorySequence": [{"RangeMatchingSequence": [{"StudyDate": "20200101"}]}]},
    {"StudyAccessEndPointsSequence": [{"RetrieveAETitle": "ORTH*"}]},
    {"IncorporatedInventoryInstanceSequence": [{"ReferencedSOPInstanceUID": "1.2.5"}]},
    {"SpecificCharacterSet": "ISO_IR 100", "TimezoneOffsetFromUTC": "-0500"},
    {"PatientID": "nobody has this", "00091001": "private"},
]
NOT_MATCHING = [
    {"SOPInstanceUID": "1.2.33"},
    {"SOPInstanceUID": "1.2.2\\1.2.4"},
    {"ContentDate": "20260204-"},
    {"ContentDate": "20260203", "ContentTime": "11"},
    {"InventoryPurpose": "audit*"},
    {"InventoryPurpose": '""'},
    {"InventoryLevel": "STUDY"},
    {"TotalNumberOfStudyRecords": 7},
    {"ScopeOfInventorySequence": '""'},
    {"ScopeOfInventorySequence": [{"GeneralMatchingSequence": [{"ModalitiesInStudy": "US"}]}]},
    {"IncorporatedInventoryInstanceSequence": [{"ReferencedSOPInstanceUID": "1.2.3"}]},
    {"InventoryPurpose": "Audit*", "InventoryLevel": "SERIES"},
]
INVALID = [
    ({"QueryRetrieveLevel": "STUDY"}, "QueryRetrieveLevel"),
    ({"ContentDate": "2026-02"}, "ContentDate"),
    ({"ContentDate": "tomorrow"}, "ContentDate"),
    ({"SOPInstanceUID": "1.2.*"}, "SOPInstanceUID"),
    ({"InventoryLevel": "instance"}, "InventoryLevel"),
    ({"ContentDate": "20260101-20261231\\20270101"}, "ContentDate"),
    ({"ScopeOfInventorySequence": [{}, {}]}, "ScopeOfInventorySequence"),
    ({"ScopeOfInventorySequence": [{"GeneralMatchingSequence": [{"InventoryLevel": "STUDY"}]}]}, "InventoryLevel"),
    ({"InventoryPurpose": "x" * 20_000}, "InventoryPurpose"),
]


@pytest.mark.parametrize("written", MATCHING, ids=str)
def test_what_matches(written: dict[str, Any]) -> None:
    assert InventoryQuery(written).matches(ATTRIBUTES)


@pytest.mark.parametrize("written", NOT_MATCHING, ids=str)
def test_what_does_not_match(written: dict[str, Any]) -> None:
    assert not InventoryQuery(written).matches(ATTRIBUTES)


@pytest.mark.parametrize(("written", "word"), INVALID, ids=lambda entry: str(entry)[:60])
def test_what_is_no_query(written: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidQuery, match=word) as error:
        InventoryQuery(written)
    assert "\n" not in str(error.value) and "Scope." not in str(error.value) and "tomorrow" not in str(error.value)


def test_what_is_asked_for_and_what_nobody_has() -> None:
    query = InventoryQuery({"TransactionUID": "", "SOPInstanceUID": "", "PatientID": ""})
    assert query.wanted == ["SOPInstanceUID", "TransactionUID"] and query.unsupported and query.uids is None
    assert not InventoryQuery(dict.fromkeys(INVENTORY, "")).unsupported
    assert InventoryQuery({"SOPInstanceUID": "1.2\\1.3"}).uids == ("1.2", "1.3")


WITHOUT = Mechanisms(empty_values=False, multiple_values=False)
SCOPE = {"ScopeOfInventorySequence": [{"GeneralMatchingSequence": [{"PatientName": "Müller^Jürgen"}]}]}
ASKED = {"ScopeOfInventorySequence": [{"GeneralMatchingSequence": [{"PatientName": "Muler"}]}]}


@pytest.mark.parametrize(
    ("written", "mechanisms", "expected"),
    [
        ({"InventoryInstanceDescription": '""'}, WITHOUT, False),
        ({"SOPInstanceUID": "1.2.2\\1.2.3"}, WITHOUT, True),
        ({"ContentDate": "20260202-20260204", "ContentTime": "090000-100000"}, Mechanisms(), False),
        ({"ContentDate": "20260202-20260204", "ContentTime": "090000-100000"}, Mechanisms(combined_date_time=True), True),
        ({"ContentTime": "091530", "TimezoneOffsetFromUTC": "+0000"}, Mechanisms(), False),
        ({"ContentTime": "0915", "TimezoneOffsetFromUTC": "+0000"}, Mechanisms(time_zones=True), True),
        ({"ContentDate": "20260203", "TimezoneOffsetFromUTC": "-1100"}, Mechanisms(time_zones=True), False),
        ({"ContentDate": "20260202", "TimezoneOffsetFromUTC": "-1100"}, Mechanisms(time_zones=True), True),
        ({"TimezoneOffsetFromUTC": "nowhere"}, Mechanisms(), True),
        (ASKED, Mechanisms(), False),
        (ASKED, Mechanisms(fuzzy_names=True), True),
    ],
)
def test_mechanisms(written: dict[str, Any], mechanisms: Mechanisms, expected: bool) -> None:
    assert InventoryQuery(written, mechanisms).matches({**ATTRIBUTES, **SCOPE}) is expected


@pytest.mark.parametrize(
    ("written", "mechanisms"),
    [
        ({"ContentDate": '""'}, WITHOUT),
        ({"ScopeOfInventorySequence": '""'}, WITHOUT),
        ({"InventoryLevel": "STUDY\\SERIES"}, WITHOUT),
        ({"TimezoneOffsetFromUTC": "nowhere"}, Mechanisms(time_zones=True)),
    ],
)
def test_what_needs_a_mechanism(written: dict[str, Any], mechanisms: Mechanisms) -> None:
    with pytest.raises(InvalidQuery, match=next(iter(written))):
        InventoryQuery(written, mechanisms)
