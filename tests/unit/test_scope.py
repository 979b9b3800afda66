"""Scopes in their two forms, and what of a scope is refused. What they match is in test_matching."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pydicom
import pytest
from hypothesis import given, strategies
from pydicom.dataset import Dataset

from orthanc_inventory.dicom.elements import encode_attributes
from orthanc_inventory.dicom.keys import TABLES, UnmatchableKey, find_row
from orthanc_inventory.dicom.scope import InvalidScope, Scope, UnsupportedScope

SEQUENCE = "ScopeOfInventorySequence"


def item(**keys: Any) -> dict[str, Any]:
    """A scope with the standard's sequence of one item, with text values."""
    def element(keyword: str, value: Any) -> tuple[str, Any]:
        vr = pydicom.datadict.dictionary_VR(keyword)
        if vr == "SQ":
            return tag(keyword), {"vr": vr, "Value": [dict(element(*pair) for pair in entry.items()) for entry in value]}
        return tag(keyword), {"vr": vr, "Value": value.split("\\")} if value else {"vr": vr}

    return {SEQUENCE: {"vr": "SQ", "Value": [dict(element(*pair) for pair in keys.items())]}}


def tag(keyword: str) -> str:
    return f"{pydicom.datadict.tag_for_keyword(keyword):08X}"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ([], ["Scope", "object"]),
        ({"StationNam": "x"}, ["Scope.StationNam", "no keyword", "PatientID", "SOPClassUID"]),
        ({"StationName": "x"}, ["Scope.StationName", "records do not have it", "PatientID"]),
        ({"x\ny": "x"}, ["Scope.x?y"]),
        ({"00191010": "x"}, ["Scope.00191010", "private tag without its creator"]),
        ({"0019,1010": "x"}, ["Scope.0019,1010", "private"]),
        ({"00100020": "x"}, ["Scope.00100020", "keywords"]),
        ({"ItemInventoryDateTime": "2024"}, ["Scope.ItemInventoryDateTime"]),
        ({"InventoriedSeriesSequence": {"Modality": "CT"}}, ["Scope.InventoriedSeriesSequence"]),
        ({"FileAccessSequence": {"MAC": "00"}}, ["Scope.FileAccessSequence.MAC", "OB"]),
        ({"PatientID": 1}, ["Scope.PatientID", "text"]),
        ({"PatientID": ["a"]}, ["Scope.PatientID", "text"]),
        ({"PatientID": {"a": "b"}}, ["Scope.PatientID", "no sequence"]),
        ({"PatientID": ""}, ["Scope.PatientID", "empty"]),
        ({"PatientID": "  "}, ["Scope.PatientID", "empty"]),
        ({"PatientID": "x" * 65}, ["Scope.PatientID", "LO", "64"]),
        ({"PatientID": "a\\"}, ["Scope.PatientID", "LO"]),
        ({"PatientID": 'a\\""'}, ["Scope.PatientID", "two kinds of matching"]),
        ({"PatientName": "a\nb"}, ["Scope.PatientName", "control"]),
        ({"PatientName": "a=b=c=d"}, ["Scope.PatientName", "PN"]),
        ({"StudyDate": "2024"}, ["Scope.StudyDate", "YYYYMMDD"]),
        ({"StudyDate": "2024*"}, ["Scope.StudyDate", "YYYYMMDD"]),
        ({"StudyDate": "-"}, ["Scope.StudyDate", "YYYYMMDD"]),
        ({"StudyDate": "20240230"}, ["Scope.StudyDate", "YYYYMMDD"]),
        ({"StudyDate": "20240131-20240101"}, ["Scope.StudyDate", "after"]),
        ({"StudyDate": "20240101-20240131\\20240301"}, ["Scope.StudyDate", "two kinds of matching"]),
        ({"StudyUpdateDateTime": "-" * 100_000}, ["Scope.StudyUpdateDateTime"]),
        ({"PatientName": "a\\" * 1000 + "a"}, ["Scope.PatientName", "1000"]),
        ({"PatientID": "a*\\" * 1000 + "a"}, ["Scope.PatientID", "1000"]),
        ({"RetrieveURL": "*" * 1025}, ["Scope.RetrieveURL", "1024"]),
        ({"StudyTime": "25"}, ["Scope.StudyTime", "HHMMSS"]),
        ({"StudyTime": "12:00"}, ["Scope.StudyTime", "HHMMSS"]),
        ({"StudyTime": "18-06"}, ["Scope.StudyTime", "after", "DATETIME"]),
        ({"StudyTime": "18-06", "StudyDate": "20240101-20240101", "ExtendedMatchingMechanisms": "DATETIME"},
         ["Scope.StudyTime", "after"]),
        ({"StudyUpdateDateTime": "20240231"}, ["Scope.StudyUpdateDateTime", "offset"]),
        ({"StudyUpdateDateTime": "2024-2023"}, ["Scope.StudyUpdateDateTime", "after"]),
        ({"StudyUpdateDateTime": "202401010000+0000-202401010030+0100"}, ["Scope.StudyUpdateDateTime", "after"]),
        ({"StudyInstanceUID": "1.2*"}, ["Scope.StudyInstanceUID", "UID"]),
        ({"StudyInstanceUID": "1.2\\"}, ["Scope.StudyInstanceUID", "UID"]),
        ({"ModalitiesInStudy": "ct"}, ["Scope.ModalitiesInStudy", "upper case"]),
        ({"NumberOfStudyRelatedSeries": "1-3"}, ["Scope.NumberOfStudyRelatedSeries", "IS"]),
        ({"Rows": "512*"}, ["Scope.Rows", "65535"]),
        ({"Rows": "512\\256"}, ["Scope.Rows", "single"]),
        ({"OtherPatientIDsSequence": "A"}, ["Scope.OtherPatientIDsSequence", "object of keys"]),
        ({"OtherPatientIDsSequence": {}}, ["Scope.OtherPatientIDsSequence", "keys"]),
        ({"OtherPatientIDsSequence": {"Modality": "CT"}}, ["Scope.OtherPatientIDsSequence.Modality", "PatientID"]),
        ({"ExtendedMatchingMechanisms": "MAGIC"}, ["ExtendedMatchingMechanisms", "FUZZY"]),
        ({"ExtendedMatchingMechanisms": ""}, ["ExtendedMatchingMechanisms", "empty"]),
        ({"ExtendedMatchingMechanisms": "TIMEZONE_ADJUST"}, ["TimezoneOffsetFromUTC", "together"]),
        ({"TimezoneOffsetFromUTC": "+25"}, ["TimezoneOffsetFromUTC", "+0100"]),
        ({"QueryRetrieveLevel": "INSTANCE"}, ["QueryRetrieveLevel", "STUDY, SERIES, IMAGE"]),
        ({"QueryRetrieveLevel": "SERIES", "SOPClassUID": "1.2"}, ["Scope.SOPClassUID", "wrong level", "IMAGE"]),
        ({"Labels": "a b"}, ["Scope.Labels"]),
        ({"Labels": []}, ["Scope.Labels"]),
        ({"Labels": [1]}, ["Scope.Labels"]),
        ({SEQUENCE: {"vr": "SQ"}, "PatientID": "x"}, [SEQUENCE, "alone"]),
        ({SEQUENCE: "x"}, [SEQUENCE, "JSON Model"]),
        ({SEQUENCE: [{"PatientID": "x"}]}, [SEQUENCE, "JSON Model"]),
        ({SEQUENCE: [{}, {}]}, [SEQUENCE, "one item"]),
        ({SEQUENCE: [{"00080413": {"vr": "SQ", "Value": [{"00100020": {"vr": "SH", "Value": ["x"]}}]}}]},
         ["PatientID", "vr LO"]),
        ({SEQUENCE: [{"00080413": {"vr": "SQ", "Value": [{"00191010": {"vr": "LO", "Value": ["x"]}}]}}]},
         ["Scope.00191010", "private"]),
        (item(PatientID="x"), [SEQUENCE, "matching sequences"]),
        (item(RangeMatchingSequence=[{"StudyDate": "20240101"}]), ["RangeMatchingSequence", "two items"]),
        (item(RangeMatchingSequence=[{"PatientID": "a"}, {"PatientID": "b"}]), ["Scope.PatientID", "RangeMatchingSequence"]),
        (item(RangeMatchingSequence=[{"StudyUpdateDateTime": "2024"}, {"StudyUpdateDateTime": "0500"}]),
         ["Scope.StudyUpdateDateTime"]),
        (item(GeneralMatchingSequence=[{"StudyDate": "20240101-"}]), ["Scope.StudyDate", "GeneralMatchingSequence"]),
        (item(GeneralMatchingSequence=[{"PatientID": ""}]), ["Scope.PatientID", "empty"]),
        (item(GeneralMatchingSequence=[{"ModalitiesInStudy": "CT\\MR"}]), ["Scope.ModalitiesInStudy", "MULTIPLE_VALUE"]),
        (item(EmptyValueMatchingSequence=[{"PatientID": ""}]), ["Scope.PatientID", "EMPTY_VALUE"]),
        (item(GeneralMatchingSequence=[{"Modality": "CT"}]), ["Scope.Modality", "RELATIONAL"]),
        (item(GeneralMatchingSequence=[{"Modality": "CT"}], ExtendedMatchingMechanisms="RELATIONAL"), ["QueryRetrieveLevel"]),
        (item(GeneralMatchingSequence=[{"Modality": "CT"}], ExtendedMatchingMechanisms="RELATIONAL",
              QueryRetrieveLevel="STUDY"), ["Scope.Modality", "wrong level", "SERIES or IMAGE"]),
        (item(GeneralMatchingSequence=[{"StudyDate": "20240101"}],
              RangeMatchingSequence=[{"StudyDate": "20240101"}, {"StudyDate": ""}]),
         ["Scope.StudyDate", "two kinds of matching"]),
        (item(EmptyValueMatchingSequence=[{"OtherPatientIDsSequence": []}], ExtendedMatchingMechanisms="EMPTY_VALUE",
              GeneralMatchingSequence=[{"OtherPatientIDsSequence": [{"PatientID": "x"}]}]),
         ["Scope.OtherPatientIDsSequence", "two kinds of matching"]),
        (item(GeneralMatchingSequence=[{"OtherPatientIDsSequence": [{"PatientID": "x"}, {"PatientID": "y"}]}]), ["one item"]),
    ],
)
def test_an_impossible_scope_is_refused_by_name(keys: Any, words: list[str]) -> None:
    with pytest.raises(InvalidScope) as refusal:
        Scope.parse(keys)
    message = str(refusal.value)
    assert all(word in message for word in words) and "\n" not in message, message


def test_every_row_of_the_tables_can_be_a_key_or_says_why_not() -> None:
    refused = set()
    for table in TABLES.values():
        for keyword in table:
            try:
                find_row((keyword,))
            except UnmatchableKey:
                refused.add(keyword)
    assert refused == {
        "InventoriedSeriesSequence", "InventoriedInstancesSequence", "ItemInventoryDateTime", "TimezoneOffsetFromUTC",
    }


def test_the_sequence_says_how_each_key_is_matched() -> None:
    assert Scope.parse({}).sequence() == []
    keys = {
        "StudyDate": "20240101-", "StudyInstanceUID": "1.2\\1.3", "PatientName": "山*", "ModalitiesInStudy": "CT\\MR",
        "SOPClassUID": "1.4\\1.5", "AccessionNumber": '""', "Rows": "512",
        "OtherPatientIDsSequence": {"PatientID": "A*", "IssuerOfPatientID": '""'},
        "ExtendedMatchingMechanisms": "FUZZY", "TimezoneOffsetFromUTC": "-0500",
    }
    [found] = Scope.parse(keys).sequence()
    assert found == {
        "SpecificCharacterSet": "ISO_IR 192",
        "ExtendedMatchingMechanisms": "EMPTY_VALUE\\FUZZY\\MULTIPLE_VALUE\\RELATIONAL\\TIMEZONE_ADJUST",
        "QueryRetrieveLevel": "IMAGE",
        "TimezoneOffsetFromUTC": "-0500",
        "RangeMatchingSequence": [{"StudyDate": "20240101"}, {"StudyDate": ""}],
        "ListOfUIDMatchingSequence": [
            {"StudyInstanceUID": "1.2"}, {"StudyInstanceUID": "1.3"}, {"SOPClassUID": "1.4"}, {"SOPClassUID": "1.5"},
        ],
        "EmptyValueMatchingSequence": [{"AccessionNumber": "", "OtherPatientIDsSequence": [{"IssuerOfPatientID": ""}]}],
        "GeneralMatchingSequence": [
            {"PatientName": "山*", "ModalitiesInStudy": "CT\\MR", "Rows": 512, "OtherPatientIDsSequence": [{"PatientID": "A*"}]}
        ],
    }


def test_labels_are_no_part_of_the_sequence() -> None:
    scope = Scope.parse({"Labels": "seen\\urgent"})
    assert scope.sequence() == [] and scope.simple() == {"Labels": ["seen", "urgent"]} and "seen, urgent" in scope.note
    assert scope.matches_labels(["urgent", "seen", "other"]) and not scope.matches_labels(["seen"])
    assert Scope.parse({**scope.simple(), SEQUENCE: [{}]}) == scope and not Scope.parse({}).note


@pytest.mark.parametrize(
    ("keys", "level"),
    [
        ({}, "STUDY"),
        ({"PatientID": "x", "InstanceAvailability": "ONLINE"}, "STUDY"),
        ({"Modality": "CT", "InstanceAvailability": "ONLINE"}, "SERIES"),
        ({"SOPClassUID": "1.2", "PatientID": "x"}, "INSTANCE"),
        ({"InstanceAvailability": "ONLINE", "QueryRetrieveLevel": "IMAGE"}, "INSTANCE"),
        ({"PatientID": "x", "QueryRetrieveLevel": "IMAGE"}, "STUDY"),
    ],
)
def test_keys_tell_which_records_must_be_read(keys: dict[str, str], level: str) -> None:
    assert Scope.parse(keys).deepest_level == level


# Both forms, without loss

TEXTS = strategies.text(
    strategies.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters='\\="'), min_size=1, max_size=16
).map(str.strip).filter(bool)
DATES = strategies.dates().map(lambda day: day.isoformat().replace("-", ""))
DATE_TIMES = strategies.from_regex(
    r"(19|20)[0-9]{2}(0[1-9](1[0-9]([01][0-9]([0-5][0-9])?)?)?)?([+-](0[0-9]|11)[03]0)?", fullmatch=True
)
UIDS = strategies.from_regex(r"[12]\.[1-9][0-9]{0,9}", fullmatch=True)


def several(values: strategies.SearchStrategy[str]) -> strategies.SearchStrategy[str]:
    return strategies.lists(values, min_size=1, max_size=3).map("\\".join) | strategies.just('""')


def temporal(values: strategies.SearchStrategy[str]) -> strategies.SearchStrategy[str]:
    pairs = strategies.lists(values, min_size=2, max_size=2).map(sorted).map("-".join)
    return several(values) | pairs | values.map(lambda value: f"{value}-") | values.map(lambda value: f"-{value}")


KEYS = strategies.fixed_dictionaries(
    {},
    optional={
        "PatientID": several(TEXTS), "PatientName": several(TEXTS), "StudyDate": temporal(DATES),
        "StudyUpdateDateTime": temporal(DATE_TIMES), "StudyInstanceUID": several(UIDS),
        "RetrieveURL": strategies.just("http://x/?*"),
        "OtherPatientIDsSequence": strategies.fixed_dictionaries({"PatientID": several(TEXTS)}) | strategies.just('""'),
        "SeriesNumber": several(strategies.integers(0, 999).map(str)), "SeriesDate": temporal(DATES),
        "FileAccessSequence": strategies.fixed_dictionaries(
            {}, optional={"StoredInstanceTransferSyntaxUID": several(UIDS), "ExpirationDateTime": temporal(DATE_TIMES),
                          "FileLengthInContainer": strategies.integers(0, 2**64 - 1).map(str)},
        ).filter(bool),
        "InstanceAvailability": several(strategies.sampled_from(["ONLINE", "O*"])), "Rows": strategies.just("512"),
        "ExtendedMatchingMechanisms": strategies.sampled_from(["DATETIME", "DATETIME\\FUZZY", "FUZZY"]),
        "TimezoneOffsetFromUTC": strategies.sampled_from(["+0000", "-0330"]), "QueryRetrieveLevel": strategies.just("IMAGE"),
    },
)


def parsed(keys: dict[str, Any]) -> Scope | None:
    """None where offsets, or a date and a time together, make a range that ends before it begins."""
    try:
        return Scope.parse(keys, "+0000")
    except InvalidScope as error:
        assert "not after its last" in str(error)
        return None


@given(KEYS)
def test_both_forms_are_converted_without_loss(keys: dict[str, Any]) -> None:
    scope = parsed(keys)
    if scope is None:
        return
    simple, sequence = scope.simple(), scope.json_sequence()
    again = Scope.parse({SEQUENCE: json.loads(json.dumps(sequence))}, "+0000")
    assert again.simple() == simple and again.json_sequence() == sequence
    # A level that keys imply needs not be said.
    implied = {"QueryRetrieveLevel"} if {"Rows", "FileAccessSequence"} & keys.keys() else set()
    assert simple == {keyword: value for keyword, value in keys.items() if keyword not in implied}
    # As it is written into an inventory, and read from a message.
    [read] = [pydicom.dcmread(BytesIO(encode_attributes({SEQUENCE: scope.sequence()})), force=True)]
    assert Scope.from_data_set(read.ScopeOfInventorySequence, "+0000").simple() == simple


@pytest.mark.parametrize(
    ("narrow", "wide", "expected"),
    [
        ({}, {}, True),
        ({"PatientID": "x"}, {}, True),
        ({}, {"PatientID": "x"}, False),
        ({"PatientID": "x", "Modality": "CT", "Labels": "a\\b"}, {"Labels": "a", "PatientID": "x"}, True),
        ({"PatientID": "y"}, {"PatientID": "x"}, False),
        ({"PatientName": "x", "ExtendedMatchingMechanisms": "FUZZY"}, {"PatientName": "x"}, False),
        ({"StudyDate": "20240101-", "TimezoneOffsetFromUTC": "+0100"}, {"StudyDate": "20240101-"}, False),
        ({"InstanceAvailability": "ONLINE", "Modality": "CT"}, {"InstanceAvailability": "ONLINE"}, False),  # of series now
        ({"Labels": "a"}, {"Labels": "b"}, False),
    ],
)
def test_a_scope_can_lie_within_another(narrow: dict[str, Any], wide: dict[str, Any], expected: bool) -> None:
    assert Scope.parse(narrow).is_within(Scope.parse(wide)) is expected


def test_what_is_implied_needs_not_be_said() -> None:
    keys = {"ModalitiesInStudy": "CT\\MR", "Modality": "CT"}
    said = {**keys, "ExtendedMatchingMechanisms": "MULTIPLE_VALUE\\RELATIONAL", "QueryRetrieveLevel": "SERIES"}
    assert Scope.parse(said) == Scope.parse(keys) and Scope.parse(said).simple() == keys


# Sequences of messages


def message(*items: Dataset, **attributes: Any) -> Dataset:
    """A data set that went over the network, its values not decoded yet."""
    data_set = Dataset()
    for keyword, value in attributes.items():
        setattr(data_set, keyword, value)
    data_set.ScopeOfInventorySequence = list(items)
    stream = BytesIO()
    pydicom.dcmwrite(stream, data_set, implicit_vr=True, little_endian=True)
    stream.seek(0)
    return pydicom.dcmread(stream, force=True)


def general(**keys: Any) -> Dataset:
    result, matching = Dataset(), Dataset()
    for keyword, value in keys.items():
        setattr(matching, keyword, value)
    result.GeneralMatchingSequence = [matching]
    return result


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Zoë"),
        ("ISO_IR 192", "山田^Ünal^😀"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("GB18030", "王^小东"),
        ("GB18030", "乗*"),  # the second byte is that of a backslash
        ("GBK", "王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 87"], "ソ^ソ"),  # here too
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        (["ISO 2022 IR 100", "ISO 2022 IR 144"], "Люкceмбypг"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("ISO_IR 126", "Διονυσιος"),
    ],
)
def test_the_character_set_of_a_message_is_honoured(character_set: Any, name: str) -> None:
    keys = general(PatientName=name)
    keys.SpecificCharacterSet = character_set
    [inner] = [Scope.from_data_set(message(keys).ScopeOfInventorySequence)]
    assert inner.simple() == {"PatientName": name}
    # Named by the message as a whole.
    outer = message(general(PatientName=name), SpecificCharacterSet=character_set)
    terms = [character_set] if isinstance(character_set, str) else character_set
    assert Scope.from_data_set(outer.ScopeOfInventorySequence, character_set=terms).simple() == {"PatientName": name}


def test_escape_sequences_are_honoured() -> None:
    # PS3.5 K.3, which pydicom does not write.
    keys = general(PatientID="x")
    keys.SpecificCharacterSet = ["", "ISO 2022 IR 58"]
    written = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="
    keys.GeneralMatchingSequence[0].add(pydicom.DataElement(0x00100010, "UN", written))
    assert Scope.from_data_set(message(keys).ScopeOfInventorySequence).simple() == {
        "PatientID": "x", "PatientName": "Zhang^XiaoDong=张^小东=",
    }


def test_what_is_no_text_or_of_an_unknown_character_set_is_refused() -> None:
    keys = general(PatientName="Müller")
    keys.SpecificCharacterSet = "ISO_IR 100"
    read = message(keys)
    with pytest.raises(InvalidScope, match="PatientName must be text in its Specific Character Set"):
        item = read.ScopeOfInventorySequence[0]
        item.SpecificCharacterSet = "ISO_IR 192"
        Scope.from_data_set([item])
    with pytest.raises(UnsupportedScope, match="SpecificCharacterSet"):
        item.SpecificCharacterSet = "ISO_IR 999"
        Scope.from_data_set([item])


def test_keys_of_a_message_that_cannot_be_matched_are_collected() -> None:
    keys = general(PatientID="P1", StationName="x", Modality="CT", ModalitiesInStudy=["CT", "MR"])
    keys.GeneralMatchingSequence[0].add_new(0x00190010, "LO", "CREATOR")
    with pytest.raises(UnmatchableKey, match="Scope.StationName"):
        Scope.from_data_set(message(general(StationName="x")).ScopeOfInventorySequence)
    unmatchable: list[int] = []
    scope = Scope.from_data_set(message(keys).ScopeOfInventorySequence, unmatchable=unmatchable)
    # Modality needs RELATIONAL, and several values need MULTIPLE_VALUE, which this message does not ask for.
    assert sorted(unmatchable) == [0x00080060, 0x00080061, 0x00081010, 0x00190010]
    assert scope.simple() == {"PatientID": "P1"} and scope.without(["PatientID"]).simple() == {}


def test_a_message_need_not_say_the_level() -> None:
    keys = general(PatientID="P1", Modality="CT")
    keys.ExtendedMatchingMechanisms = "RELATIONAL"
    unmatchable: list[int] = []
    scope = Scope.from_data_set(message(keys).ScopeOfInventorySequence, unmatchable=unmatchable)
    assert (scope.level, unmatchable) == ("SERIES", []) and scope.simple() == {"PatientID": "P1", "Modality": "CT"}


@pytest.mark.parametrize(
    ("keyword", "value"), [("ExtendedMatchingMechanisms", "MAGIC"), ("QueryRetrieveLevel", "PATIENT")]
)
def test_mechanisms_and_levels_of_a_message_that_are_not_supported_are_told(keyword: str, value: str) -> None:
    keys = general(PatientID="P1")
    keys.ExtendedMatchingMechanisms = "RELATIONAL"
    keys.QueryRetrieveLevel = "STUDY"
    setattr(keys, keyword, value if keyword == "QueryRetrieveLevel" else ["RELATIONAL", value])
    with pytest.raises(UnsupportedScope, match=keyword):
        Scope.from_data_set(message(keys).ScopeOfInventorySequence, unmatchable=[])


def test_numbers_and_lists_of_a_message_are_read() -> None:
    keys = general(NumberOfStudyRelatedSeries="2", OtherPatientIDsSequence=[Dataset()])
    keys.GeneralMatchingSequence[0].OtherPatientIDsSequence[0].PatientID = "A*"
    first, second = Dataset(), Dataset()
    first.StudyInstanceUID, second.StudyInstanceUID = "1.2", "1.3"
    keys.ListOfUIDMatchingSequence = [first, second]
    scope = Scope.from_data_set(message(keys).ScopeOfInventorySequence)
    assert scope.simple() == {
        "NumberOfStudyRelatedSeries": "2", "OtherPatientIDsSequence": {"PatientID": "A*"}, "StudyInstanceUID": "1.2\\1.3",
    }
