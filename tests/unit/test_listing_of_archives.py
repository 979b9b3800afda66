"""Listing another archive: everything is found, or it is told that something may lack."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from orthanc_inventory.dicom.records import Skipped
from orthanc_inventory.sources.remote import PeerFailed
from orthanc_inventory.sources.remote.listing import Listing, Period

from .limited_archive import LimitedArchive, Record, study


def listed(
    archive: LimitedArchive, keys: dict[str, str] | None = None, days: Period = (None, None)
) -> tuple[set[str], list[Skipped]]:
    listing = Listing(archive.ask, keys or {}, days)
    unlisted = listing.run(is_whole=False)
    assert listing.questions == len(archive.asked)
    return set(listing.studies), unlisted


def uids(studies: list[Record]) -> set[str]:
    return {record["StudyInstanceUID"] for record in studies}


def many(count: int, undated: int = 0, seed: int = 1) -> list[Record]:
    """Studies of some patients on many days, some without a date."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        date = f"20{chance.randrange(10, 26)}{chance.randrange(1, 13):02}{chance.randrange(1, 29):02}"
        time = f"{chance.randrange(24):02}1530"
        if number < undated:
            date = time = ""
        made.append(study(f"1.{number}", f"P{number % (count // 2 + 1):04}", date, time, f"A{number:04}"))
    return made


def test_an_archive_without_a_limit_is_asked_little() -> None:
    archive = LimitedArchive(many(500, undated=5))
    assert listed(archive) == (uids(archive.studies), [])
    assert len(archive.asked) < 400


@pytest.mark.parametrize("limit", [2, 3, 7, 20, 60, 61, 100])
@pytest.mark.parametrize("tells", [False, True])
@pytest.mark.parametrize("undated", [0, 9])
def test_what_is_cut_is_found_in_parts(limit: int, tells: bool, undated: int) -> None:
    archive = LimitedArchive(many(60, undated), limit, tells)
    found, unlisted = listed(archive)
    assert found == uids(archive.studies) or unlisted
    # One patient has two studies here at most.
    if limit > 2:
        assert (found, unlisted) == (uids(archive.studies), [])


def test_an_archive_that_gives_nothing_beyond_its_limit() -> None:
    archive = LimitedArchive(many(60, 9), limit=7, tells=True, keeps=False)
    assert listed(archive) == (uids(archive.studies), [])


@pytest.mark.parametrize("limit", [5, 10])
def test_a_day_that_is_cut_is_asked_by_its_time(limit: int) -> None:
    day = [study(f"2.{number}", "", "20200101", f"{number % 24:02}{number:02}00") for number in range(50)]
    archive = LimitedArchive(day + many(3), limit)
    found, unlisted = listed(archive)
    assert found == uids(archive.studies)


def test_what_cannot_be_asked_for_in_parts_is_told() -> None:
    same = [study(f"2.{number}", "P1", "20200101", "101530", "A1") for number in range(12)]
    archive = LimitedArchive(same + many(30), limit=10)
    found, unlisted = listed(archive)
    assert len(found) < 42 and unlisted
    assert {entry.identifier for entry in unlisted} >= {"StudyDate=20200101, StudyTime=101530-101530.999999"}
    assert all("there may be more" in entry.reason and "P1" not in entry.identifier for entry in unlisted)


def test_a_single_study_is_no_cut() -> None:
    archive = LimitedArchive([study("1.1", "P1", "20200101", "101530")])
    assert listed(archive) == ({"1.1"}, [])


def test_an_empty_archive() -> None:
    assert listed(LimitedArchive([])) == (set(), [])


def test_two_patients_with_one_uid() -> None:
    shared = [study("1.1", patient, "20200101") for patient in ("P1", "P2")]
    found, unlisted = listed(LimitedArchive([*shared, study("1.2", "P2")]))
    assert len(found) == 3 and "1.2" in found and not unlisted


@pytest.mark.parametrize("behaviour", [{"wild_cards": False}, {"ranges": False}, {"ranges": False, "wild_cards": False}])
@pytest.mark.parametrize("tells", [False, True])
def test_an_archive_that_matches_in_its_own_way_is_not_believed(behaviour: dict[str, Any], tells: bool) -> None:
    archive = LimitedArchive(many(60, 9), 7, tells, **behaviour)
    found, unlisted = listed(archive)
    assert found == uids(archive.studies) or unlisted
    assert len(archive.asked) < 10_000


def test_an_archive_that_does_not_tell_upper_from_lower_case() -> None:
    studies = [study(f"1.{number}", f"Hospital-{number % 17}-x", "", "", str(number)) for number in range(60)]
    archive = LimitedArchive(studies, 10, cases=False)
    assert listed(archive) == (uids(studies), [])
    assert len(archive.asked) < 5000


def test_an_archive_that_refuses_all_is_given_up() -> None:
    with pytest.raises(PeerFailed, match="none of them holds a study"):
        listed(LimitedArchive(many(60), limit=-1, tells=True, keeps=False))


def test_a_scope_is_asked_for_and_proved_by_what_lies_outside() -> None:
    archive = LimitedArchive(many(60), limit=1000)
    assert listed(archive, {"PatientID": "P0001"}) == ({"1.1", "1.32"}, [])
    assert len(archive.asked) == 2


def test_a_period_is_asked_for_in_parts() -> None:
    archive = LimitedArchive(many(60, 9), limit=7)
    year = [record for record in archive.studies if record["StudyDate"][:3] == "201"]
    first, last = 733773, 737424  # 2010 to 2019
    found, unlisted = listed(archive, {}, (first, last))
    assert uids(year) <= found and not unlisted


PATIENTS = ["", "P", "P1", "P12", "P13", "p1", "Q 1", "Ü1", "Pä", "*", "P?"]
DATES = ["", "20200101", "20200102", "19991231", "20250630", "no date"]
TIMES = ["", "10", "1015", "101530", "101530.5", "235959.9999"]
NUMBERS = ["", "A1", "A2", "B"]


@pytest.mark.parametrize("seed", range(150))
def test_nothing_lacks_in_silence(seed: int) -> None:
    chance = random.Random(seed)
    rows = [[chance.choice(values) for values in (PATIENTS, DATES, TIMES, NUMBERS)] for _ in range(chance.randrange(40))]
    studies = [study(f"1.{number}", *row) for number, row in enumerate(rows)]
    tells, keeps, wild_cards, ranges, cases, mixes = (chance.random() < 0.6 for _ in range(6))
    order = random.Random(seed) if mixes else None
    archive = LimitedArchive(studies, chance.randrange(2, 13), tells, keeps or not tells, wild_cards, ranges, cases, order)
    try:
        found, unlisted = listed(archive)
    except PeerFailed:
        return
    if not unlisted:
        missing = [record for record in studies if record["StudyInstanceUID"] not in found]
        assert all(is_blind_spot(record, studies) for record in missing), missing
    assert len(archive.asked) < 10_000


def is_blind_spot(record: Record, studies: list[Record]) -> bool:
    """What CONFORMANCE.md says that cannot be seen: no Patient ID in ASCII; or one patient has all."""
    patient = record["PatientID"]
    if not patient or not patient.isascii() or set(patient) & set("*?"):
        return True
    alone = {other["PatientID"] for other in studies} == {patient}
    return alone and not record["AccessionNumber"] and not record["StudyDate"].isdigit()


@pytest.mark.parametrize("limit", [0, 7, 20])
def test_pages_are_believed_as_long_as_parts_agree_with_them(limit: int) -> None:
    archive = LimitedArchive(many(60, 9), limit)
    listing = Listing(archive.ask, {})
    unlisted = listing.run(is_whole=False, is_paged=True)
    assert (set(listing.studies), unlisted) == (uids(archive.studies), [])
    assert (len(archive.asked) < 6) == (limit == 0)


def test_studies_that_come_meanwhile_are_no_cut() -> None:
    archive = LimitedArchive(many(60, 9))
    late = study("3.1", "P9999", "20260101", "101530")

    def ask(keys: Mapping[str, str], take: Callable[[Any], None], begin: Callable[[], None]) -> bool:
        if len(archive.asked) == 2:
            archive.studies.append(late)
        return archive.ask(keys, take, begin)

    listing = Listing(ask, {})
    assert listing.run(is_whole=False, is_paged=True) == [] and not listing.is_cut
    assert uids(archive.studies) - {"3.1"} <= set(listing.studies) and len(archive.asked) < 8


def test_what_the_protocol_proves_is_not_asked_for_again() -> None:
    archive = LimitedArchive(many(60, 9))
    listing = Listing(archive.ask, {})
    assert listing.run(is_whole=True) == [] and len(archive.asked) == 1
