"""Which records match: each kind of matching by example, and any scope as a plain filter would have it."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies

from orthanc_inventory.dicom.records import InstanceRecord, SeriesRecord
from orthanc_inventory.dicom.scope import InvalidScope, Scope
from orthanc_inventory.sources.selection import within

TEMPORAL = [
    ("StudyDate", "20240131", "20240131", True),
    ("StudyDate", "20240131", "2024.01.31", True),
    ("StudyDate", "20240131\\20240201", "20240201", True),
    ("StudyDate", "20240131\\20240201", "20240202", False),
    ("StudyDate", "20240101-20241231", "20240131", True),
    ("StudyDate", "20240101-20241231", "20241231", True),
    ("StudyDate", "20240101-20241231", "20240101", True),
    ("StudyDate", "20240101-20241231", "20250101", False),
    ("StudyDate", "20240101-", "20300101", True),
    ("StudyDate", "-20240101", "20300101", False),
    ("StudyDate", "-20240101", "19990101", True),
    ("StudyDate", "-20240101", "", False),
    ("StudyTime", "10", "101530", True),
    ("StudyTime", "10", "105959.999999", True),
    ("StudyTime", "10", "11", False),
    ("StudyTime", "101530", "101530.5", True),
    ("StudyTime", "101530.5", "101530", False),
    ("StudyTime", "10-11", "115959", True),
    ("StudyTime", "10-11", "12", False),
    ("StudyTime", "-1015", "101559.9", True),
    ("StudyTime", "1015-", "10", False),
    ("StudyTime", "10-11", "", False),
    ("StudyUpdateDateTime", "2024", "20240131101530+0000", True),
    ("StudyUpdateDateTime", "202402", "20240229235959.999999", True),
    ("StudyUpdateDateTime", "202402", "20240301", False),
    ("StudyUpdateDateTime", "20240101-20240201", "20240201235959", True),
    ("StudyUpdateDateTime", "20240101000000+0100-", "20231231230000+0000", True),
    ("StudyUpdateDateTime", "20240101000000+0100-", "20231231225959+0000", False),
    ("StudyUpdateDateTime", "-20231231180000-0500", "20231231230000+0000", True),
    ("StudyUpdateDateTime", "-20231231180000-0500", "20231231230001+0000", False),
    ("StudyUpdateDateTime", "2024-", "20231231233000-0100", True),
    ("StudyUpdateDateTime", "2024-2025", "", False),
]
TEXT = [
    ("PatientID", "P1", "P1", True),
    ("PatientID", "P1", "p1", False),
    ("PatientID", "P1", "P1 ", True),
    ("PatientID", "P1 ", "P1", True),
    ("PatientID", "P1\\P2", "P2", True),
    ("PatientID", "P1\\P2", "P3", False),
    ("PatientID", "P?", "P1", True),
    ("PatientID", "P?", "P", False),
    ("PatientID", "*1", "P.1", True),
    ("PatientID", "*a*a", "a", False),
    ("PatientID", "*a*b*", "xxaxxbxx", True),
    ("PatientID", "ab*ba", "aba", False),
    ("PatientID", "P.1", "Px1", False),
    ("PatientID", "*", "", True),
    ("PatientID", "[P]", "P", False),
    ("PatientID", '""', "", True),
    ("PatientID", '""', " ", True),
    ("PatientID", '""', "P1", False),
    ("AccessionNumber", "A*", "", False),
    ("PatientName", "doe^john", "Doe^John", True),
    ("PatientName", "DOE*", "Doe^John", True),
    ("PatientName", "MÜLLER*", "Müller^Ute", True),
    ("PatientName", "Muller*", "Müller^Ute", False),
    ("PatientName", "*山田*", "Yamada^Tarou=山田^太郎", True),
    ("PatientName", "山田^太郎", "Yamada^Tarou=山田^太郎=やまだ", True),
    ("PatientName", "Doe^John", "Doe^John^^^", True),
    ("PatientName", "=山田*", "Yamada^Tarou=山田^太郎=やまだ", True),
    ("PatientName", "=山田*", "山田^太郎", False),
    ("PatientName", "yamada*=山田*", "Yamada^Tarou=山田^太郎=やまだ", True),
    ("PatientName", "yamada*=山口*", "Yamada^Tarou=山田^太郎=やまだ", False),
    ("PatientName", "a=", "a", True),
    ("PatientName", "Doe", "Doe^John", False),
    ("StudyInstanceUID", "1.2", "1.2", True),
    ("StudyInstanceUID", "1.2\\1.3", "1.3", True),
    ("StudyInstanceUID", "1.2\\1.3", "1.23", False),
    ("ModalitiesInStudy", "CT", "CT\\MR", True),
    ("ModalitiesInStudy", "CT\\US", "MR\\US", True),
    ("ModalitiesInStudy", "C?", "MR\\CT", True),
    ("ModalitiesInStudy", "CT", "MR", False),
    ("ModalitiesInStudy", "CT", "CTX", False),
    ("ModalitiesInStudy", '""', "", True),
    ("PatientSex", "O", "o", True),  # recorded as O
    ("NumberOfStudyRelatedSeries", "2", "2", True),
    ("NumberOfStudyRelatedSeries", "02\\3", " +2", True),
    ("NumberOfStudyRelatedSeries", "2", "20", False),
    ("OtherPatientNames", "b*", "Abel\\Baker", True),
]


@pytest.mark.parametrize(("keyword", "key", "value", "expected"), [*TEMPORAL, *TEXT])
def test_matching(keyword: str, key: str, value: str, expected: bool) -> None:
    assert Scope.parse({keyword: key}, "+0000").matches_study({keyword: value}) is expected


def test_all_keys_must_match() -> None:
    scope = Scope.parse({"PatientID": "P1", "StudyDate": "20240101-"})
    assert scope.matches_study({"PatientID": "P1", "StudyDate": "20240102"})
    assert not scope.matches_study({"PatientID": "P2", "StudyDate": "20240102"})
    assert not scope.matches_study({"PatientID": "P1"})
    assert scope.may_match_study({"PatientID": "P1"}) and not scope.may_match_study({"StudyDate": "2023"})
    assert Scope.parse({}).matches_study({})


def test_a_key_of_many_asterisks_does_not_take_for_ever() -> None:
    assert not Scope.parse({"PatientID": "*a" * 31 + "*b"}).matches_study({"PatientID": "a" * 64})


def test_a_missing_modality_is_recorded_and_matched_as_ot() -> None:
    assert Scope.parse({"Modality": "OT"}).matches_series({})
    assert not Scope.parse({"Modality": '""'}).matches_series({"Modality": ""})


def test_an_item_must_match_all_keys_of_its_sequence() -> None:
    scope = Scope.parse({"OtherPatientIDsSequence": {"PatientID": "A*", "IssuerOfPatientID": "X"}})

    def matches(*items: dict[str, str]) -> bool:
        return scope.matches_study({"OtherPatientIDsSequence": list(items)})

    assert matches({"PatientID": "A1", "IssuerOfPatientID": "X"})
    assert matches({"PatientID": "B"}, {"PatientID": "A1", "IssuerOfPatientID": "X"})
    assert not matches({"PatientID": "A1"}, {"PatientID": "B", "IssuerOfPatientID": "X"})
    assert not matches() and not scope.matches_study({})


def test_an_empty_sequence_matches_emptiness() -> None:
    scope = Scope.parse({"OtherPatientIDsSequence": '""'})
    assert scope.matches_study({}) and scope.matches_study({"OtherPatientIDsSequence": []})
    assert not scope.matches_study({"OtherPatientIDsSequence": [{"PatientID": "A"}]})
    below = Scope.parse({"OtherPatientIDsSequence": {"IssuerOfPatientID": '""'}})
    assert below.matches_study({"OtherPatientIDsSequence": [{"PatientID": "A"}]})
    assert not below.matches_study({})


@pytest.mark.parametrize(
    ("first_time", "last_time", "date", "time", "expected"),
    [
        ("10", "12", "20240101", "095959", False),
        ("10", "12", "20240101", "1000", True),
        ("10", "12", "20240102", "0000", True),
        ("10", "12", "20240103", "125959", True),
        ("10", "12", "20240103", "1300", False),
        ("10", "", "20240103", "2359", True),
        ("", "12", "20240101", "0000", True),
        ("18", "06", "20240102", "1200", True),
        ("10", "12", "20240101", "", False),
        ("10", "12", "20240102", "", True),
        ("10", "12", "", "1100", False),
    ],
)
def test_a_combined_range_goes_from_a_moment_to_a_moment(
    first_time: str, last_time: str, date: str, time: str, expected: bool
) -> None:
    keys = {"StudyDate": "20240101-20240103", "StudyTime": f"{first_time}-{last_time}"}
    scope = Scope.parse({**keys, "ExtendedMatchingMechanisms": "DATETIME"})
    assert scope.matches_study({"StudyDate": date, "StudyTime": time}) is expected


def test_times_are_moved_into_the_zone_of_the_keys() -> None:
    keys = {"StudyDate": "20240101", "TimezoneOffsetFromUTC": "-0500"}
    scope = Scope.parse(keys, "+0100")
    assert scope.matches_study({"StudyDate": "20240102", "StudyTime": "0559"})
    assert not scope.matches_study({"StudyDate": "20240102", "StudyTime": "0600"})
    assert not scope.matches_study({"StudyDate": "20240101", "StudyTime": "0559"})
    assert scope.matches_study({"StudyDate": "20240101", "StudyTime": ""})  # a day without a time stays that day
    of_time = Scope.parse({"StudyTime": "23", "TimezoneOffsetFromUTC": "-0500"}, "+0100")
    assert of_time.matches_study({"StudyTime": "05"}) and not of_time.matches_study({"StudyTime": "23"})
    both = {**keys, "StudyDate": "20240101-20240101", "StudyTime": "2330-", "ExtendedMatchingMechanisms": "DATETIME"}
    combined = Scope.parse(both, "+0100")
    assert combined.matches_study({"StudyDate": "20240102", "StudyTime": "0530"})
    assert not combined.matches_study({"StudyDate": "20240102", "StudyTime": "0529"})
    birth = Scope.parse({"PatientBirthDate": "19700101", "TimezoneOffsetFromUTC": "-0500"}, "+0100")
    assert birth.matches_study({"PatientBirthDate": "19700101"})
    update = Scope.parse({"StudyUpdateDateTime": "2024010110", "TimezoneOffsetFromUTC": "-0500"}, "+0100")
    assert update.matches_study({"StudyUpdateDateTime": "20240101150000+0000"})
    assert update.matches_study({"StudyUpdateDateTime": "20240101160000"})


def test_the_zone_of_an_instance_is_its_own() -> None:
    scope = Scope.parse({"ContentTime": "10", "TimezoneOffsetFromUTC": "+0000"}, "+0100")
    assert scope.matches_instance({"ContentTime": "11"})
    assert scope.matches_instance({"ContentTime": "13", "TimezoneOffsetFromUTC": "+0300"})


@pytest.mark.parametrize(
    ("key", "name", "expected"),
    [
        ("Doe^John", "John^Doe", True),
        ("Doe", "DOE^JOHN", True),
        ("Doe John", "Doe^John", True),
        ("Müller", "Muller^Ute", True),
        ("OBrien", "O'Brien^Pat", True),
        ("Jean-Luc", "Jeanluc^X", True),
        ("Meier", "Meyer^Ann", True),
        ("Schmidt", "Schimdt^Ann", True),
        ("Schneider", "Shneidr^Ann", True),
        ("Schneider", "Shnidr^Ann", False),
        ("Ann", "Anna^X", False),
        ("Doe^Doe", "Doe^John", False),
        ("Doe^Jo*", "Johanna^Doe", True),
        ("山田", "Yamada^Tarou=山田^太郎", True),
        ("山田", "Yamada^Tarou=山口^太郎", False),
        ("Yamada^太郎", "Yamada^Tarou=山田^太郎", False),
        ("Straße", "STRASSE^X", True),
        ("^", "Doe^John", False),
    ],
)
def test_fuzzy_names(key: str, name: str, expected: bool) -> None:
    scope = Scope.parse({"PatientName": key, "ExtendedMatchingMechanisms": "FUZZY"})
    assert scope.matches_study({"PatientName": name}) is expected


NAMES = strategies.text("ab^= *?ä", min_size=1, max_size=8).filter(lambda text: text.strip() and text.count("=") < 3)


@given(NAMES, strategies.text("ab^= ä", max_size=8))
def test_fuzzy_finds_all_that_is_found_without(key: str, name: str) -> None:
    def matches(**mechanisms: str) -> bool:
        return Scope.parse({"PatientName": key, **mechanisms}).matches_study({"PatientName": name})

    assert matches(ExtendedMatchingMechanisms="FUZZY") or not matches()


# Any scope against a filter that knows nothing of tables, patterns or precompiled tests


def glob(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(glob(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and glob(pattern[1:], text[1:])


def text_filter(key: str, values: list[str]) -> bool:
    if key == '""':
        return values == [""]
    return any(glob(part.rstrip(" "), value) for part in key.split("\\") for value in values)


def name_filter(key: str, value: str) -> bool:
    if key == '""':
        return value == ""
    groups = [group.rstrip("^") for group in value.split("=")]
    candidates = [value, "=".join(groups), *groups]
    key = "\\".join(part.rstrip(" ").rstrip("=") for part in key.lower().split("\\"))
    if text_filter(key, [candidate.lower() for candidate in candidates]):
        return True
    groups = [group.lower() for group in groups] + ["", "", ""]
    return any(
        "=" in part and all(not wanted or glob(wanted, found) for wanted, found in zip(part.split("="), groups))
        for part in key.split("\\")
    )


def moment(date: str, time: str, end: bool = False) -> datetime.datetime:
    """The first or the last microsecond of what a date and a time stand for."""
    start = datetime.datetime(int(date[:4]), int(date[4:6]), int(date[6:8]))
    units = [3600, 60, 1]
    parts = [int(time[place : place + 2]) for place in range(0, min(len(time), 6), 2)]
    start += datetime.timedelta(seconds=sum(part * unit for part, unit in zip(parts, units)))
    length = datetime.timedelta(seconds=units[len(parts) - 1] if parts else 86400)
    return start + length - datetime.timedelta(microseconds=1) if end else start


def between(found: datetime.datetime, first: datetime.datetime | None, last: datetime.datetime | None) -> bool:
    return (first is None or first <= found) and (last is None or found <= last)


def temporal_filter(keys: dict[str, str], date: str, time: str, zone: int) -> bool:
    """``keys`` of StudyDate and StudyTime, with what is asked for besides."""
    day = "20000101"
    if "TimezoneOffsetFromUTC" in keys and time:
        offset = keys["TimezoneOffsetFromUTC"]
        to = (int(offset[1:3]) * 60 + int(offset[3:])) * (-1 if offset[0] == "-" else 1)
        there = moment(date or day, time) + datetime.timedelta(minutes=to - zone)
        date, time = there.strftime("%Y%m%d") if date else "", there.strftime("%H%M%S")
    of_date, of_time = keys.get("StudyDate", ""), keys.get("StudyTime", "")
    if keys.get("ExtendedMatchingMechanisms") == "DATETIME" and "-" in of_date and "-" in of_time:
        (first, last), (from_time, to_time) = of_date.split("-"), of_time.split("-")
        return date != "" and between(
            moment(date, time), moment(first, from_time) if first else None, moment(last, to_time, True) if last else None
        )
    result = True
    if of_date:
        first, last = of_date.split("-") if "-" in of_date else (of_date, of_date)
        limits = (moment(first, "") if first else None, moment(last, "", True) if last else None)
        result = date != "" and between(moment(date, ""), *limits)
    if of_time:
        first, last = of_time.split("-") if "-" in of_time else (of_time, of_time)
        limits = (moment(day, first) if first else None, moment(day, last, True) if last else None)
        result = result and time != "" and between(moment(day, time), *limits)
    return result


DATES = strategies.dates(datetime.date(2024, 2, 27), datetime.date(2024, 3, 2)).map(lambda day: day.strftime("%Y%m%d"))
TIMES = strategies.builds(
    lambda time, length: time.strftime("%H%M%S")[:length], strategies.times(), strategies.sampled_from([2, 4, 6])
)


def ranges(values: strategies.SearchStrategy[str]) -> strategies.SearchStrategy[str]:
    return strategies.one_of(
        values, values.map(lambda value: f"{value}-"), values.map(lambda value: f"-{value}"),
        strategies.builds(lambda first, last: f"{first}-{last}", values, values),
    )


@given(
    strategies.fixed_dictionaries(
        {},
        optional={
            "StudyDate": ranges(DATES), "StudyTime": ranges(TIMES), "ExtendedMatchingMechanisms": strategies.just("DATETIME"),
            "TimezoneOffsetFromUTC": strategies.sampled_from(["+0000", "-0930", "+1345"]),
        },
    ),
    strategies.lists(strategies.tuples(DATES | strategies.just(""), TIMES | strategies.just("")), min_size=1, max_size=8),
)
def test_dates_and_times_as_a_plain_filter_has_them(keys: dict[str, str], records: list[tuple[str, str]]) -> None:
    try:
        scope = Scope.parse(keys, "+0100")
    except InvalidScope as error:
        assert "not after its last" in str(error)
        return
    for date, time in records:
        found = scope.matches_study({"StudyDate": date, "StudyTime": time})
        assert found == temporal_filter(keys, date, time, 60), (date, time)


def keys_of(letters: str, wild: bool = True) -> strategies.SearchStrategy[str]:
    parts = strategies.text(letters + ("*?" if wild else ""), min_size=1, max_size=4).filter(str.strip)
    return strategies.lists(parts, min_size=1, max_size=2).map("\\".join) | strategies.just('""')


UIDS = strategies.sampled_from(["1.2", "1.3", "1.4"])
SCOPES = strategies.fixed_dictionaries(
    {},
    optional={
        "PatientID": keys_of("aA1 "),
        # A name has at most three groups of components (PS3.5 6.2); a key with more is refused.
        "PatientName": keys_of("aÄ^=").filter(lambda key: all(name.count("=") < 3 for name in key.split("\\"))),
        "ModalitiesInStudy": keys_of("CT_"),
        "OtherPatientIDsSequence": strategies.fixed_dictionaries({"PatientID": keys_of("a1")}),
        "Modality": keys_of("CT_"),
        "SeriesNumber": strategies.sampled_from(["1", "2\\3", '""']),
        "SOPClassUID": strategies.lists(UIDS, min_size=1, max_size=2).map("\\".join),
        "ContentLabel": keys_of("AB"),
    },
)
VALUES = strategies.text("aA1", max_size=3)
RECORDS = strategies.fixed_dictionaries(
    {
        "PatientID": VALUES,
        "PatientName": strategies.sampled_from(["", "a", "Ä^a", "aa^=ä", "a^Ä=aÄ=^a"]),
        "ModalitiesInStudy": strategies.sampled_from(["", "CT", "C\\T", "CT\\_C"]),
        "OtherPatientIDs": strategies.lists(VALUES, max_size=2),
        "Series": strategies.lists(
            strategies.fixed_dictionaries(
                {
                    "Modality": strategies.sampled_from(["C", "CT", "T_"]),
                    "SeriesNumber": strategies.sampled_from(["", "1", "02", "+3"]),
                    "Instances": strategies.lists(
                        strategies.fixed_dictionaries(
                            {"SOPClassUID": UIDS, "ContentLabel": strategies.sampled_from(["", "A", "AB", "BA"])}
                        ),
                        max_size=3,
                    ),
                }
            ),
            max_size=3,
        ),
    }
)


def study_filter(keys: dict[str, Any], study: dict[str, Any]) -> bool:
    below = keys.get("OtherPatientIDsSequence")
    tests: dict[str, Callable[[str], bool]] = {
        "PatientID": lambda key: text_filter(key, [study["PatientID"]]),
        "PatientName": lambda key: name_filter(key, study["PatientName"]),
        "ModalitiesInStudy": lambda key: text_filter(key, study["ModalitiesInStudy"].split("\\")),
    }
    return all(test(keys[keyword]) for keyword, test in tests.items() if keyword in keys) and (
        below is None or any(text_filter(below["PatientID"], [value]) for value in study["OtherPatientIDs"])
    )


def number_filter(key: str, value: str) -> bool:
    return value == "" if key == '""' else value != "" and int(value) in map(int, key.split("\\"))


def recorded(keys: dict[str, Any], study: dict[str, Any]) -> list[tuple[int, list[int]]] | None:
    """The positions of the series and instances that belong into the record, None for a study out of scope."""
    if not study_filter(keys, study):
        return None
    result = []
    for place, series in enumerate(study["Series"]):
        if "Modality" in keys and not text_filter(keys["Modality"], [series["Modality"]]):
            continue
        if "SeriesNumber" in keys and not number_filter(keys["SeriesNumber"], series["SeriesNumber"]):
            continue
        chosen = [
            number for number, instance in enumerate(series["Instances"])
            if ("SOPClassUID" not in keys or instance["SOPClassUID"] in keys["SOPClassUID"].split("\\"))
            and ("ContentLabel" not in keys or text_filter(keys["ContentLabel"], [instance["ContentLabel"]]))
        ]
        result.append((place, chosen))
    if {"SOPClassUID", "ContentLabel"} & set(keys):
        return result if any(chosen for _, chosen in result) else None
    return result if result or not {"Modality", "SeriesNumber"} & set(keys) else None


@given(SCOPES, RECORDS)
def test_any_scope_is_a_plain_filter(keys: dict[str, Any], study: dict[str, Any]) -> None:
    scope = Scope.parse(keys)
    attributes = {**study, "OtherPatientIDsSequence": [{"PatientID": value} for value in study["OtherPatientIDs"]]}
    series = [
        SeriesRecord(str(place), entry, [
            InstanceRecord(str(number), instance) for number, instance in enumerate(entry["Instances"])
        ])
        for place, entry in enumerate(study["Series"])
    ]
    found = within(scope, series) if scope.matches_study(attributes) else None
    expected = recorded(keys, study)
    if found is None or expected is None:
        assert found is expected
    else:
        assert [
            (int(entry.identifier), [int(instance.identifier) for instance in entry.instances]) for entry in found
        ] == expected
