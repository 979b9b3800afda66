"""Any two inventories are compared as a plain comparison of dictionaries would."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, strategies

from orthanc_inventory.dicom.records import SeriesRecord
from orthanc_inventory.dicom.terms import LEVELS
from orthanc_inventory.reports.comparison import Comparison, InventorySide, compare

from .inventories import CT, study
from .test_comparison import instance, numbers, side

MR = "1.2.840.10008.5.1.4.1.1.4"
_MODALITIES, _CLASSES = strategies.sampled_from(["CT", "MR"]), strategies.sampled_from([CT, MR])
_FLAG = strategies.sampled_from(["", "", "", "N", "Y"])
_DESCRIPTIONS = strategies.sampled_from(["", "a", "b"])
_instances = strategies.dictionaries(strategies.integers(1, 4), strategies.tuples(_CLASSES, _FLAG, _DESCRIPTIONS), max_size=4)
_series = strategies.dictionaries(strategies.integers(1, 3), strategies.tuples(_MODALITIES, _FLAG, _instances), max_size=3)
_studies = strategies.dictionaries(
    strategies.tuples(strategies.integers(1, 3), strategies.sampled_from("PQR")),
    strategies.tuples(strategies.sampled_from(["20260101", "20260102", ""]), _FLAG, _series),
    max_size=5,
)
_ATTRIBUTES = ["PatientID", "StudyDate", "Modality", "SOPClassUID", "ContentDescription"]
Archive = dict[tuple[int, str], tuple[str, str, dict[int, tuple[str, str, dict[int, tuple[str, str, str]]]]]]


def made(archive: Archive, shuffle: random.Random) -> InventorySide:
    """The inventory of an archive, its records in any order."""
    records = []
    for (number, patient), (date, removed, series) in archive.items():
        record = study(f"2.{number}", patient=patient, StudyDate=date, RemovedFromOperationalUse=removed)
        record.series = [
            SeriesRecord(
                "series",
                {"SeriesInstanceUID": f"2.{number}.{one}", "Modality": modality, "RemovedFromOperationalUse": flag},
                _shuffled([
                    instance(
                        f"2.{number}.{one}.{other}", SOPClassUID=sop_class, RemovedFromOperationalUse=gone,
                        ContentDescription=description,
                    )
                    for other, (sop_class, gone, description) in instances.items()
                ], shuffle),
            )
            for one, (modality, flag, instances) in series.items()
        ]
        shuffle.shuffle(record.series)
        records.append(record)
    return side(*_shuffled(records, shuffle))


def _shuffled(values: list[Any], shuffle: random.Random) -> list[Any]:
    shuffle.shuffle(values)
    return values


def plain(first: Archive, second: Archive) -> tuple[dict[str, list[int]], set[Any]]:
    """Counts and differences, the slow and obvious way."""
    tables = [_flat(archive) for archive in (first, second)]
    for uid in {key[0] for table in tables for key in table["STUDY"]}:
        ones, others = ([key for key in table["STUDY"] if key[0] == uid] for table in tables)
        if len(ones) == len(others) == 1 and ones != others:
            # The same study with another Patient ID.
            for level in LEVELS:
                table = tables[1][level]
                for key in [key for key in table if key[:2] == others[0]]:
                    table[(*ones[0], *key[2:])] = table.pop(key)
    counts, found = {}, set()
    for level in LEVELS:
        one, other = tables[0][level], tables[1][level]
        missing, extra = one.keys() - other.keys(), other.keys() - one.keys()
        different = {key for key in one.keys() & other.keys() if one[key] != other[key]}
        counts[level] = [len(one), len(other), len(missing), len(extra), len(different)]
        above = 3 if level == "INSTANCE" else 2
        found |= {("Missing", key) for key in missing if level == "STUDY" or key[:above] in _keys(tables[1], above)}
        found |= {("Extra", key) for key in extra if level == "STUDY" or key[:above] in _keys(tables[0], above)}
        found |= {
            ("Different", key, name, *values)
            for key in different
            for name, *values in zip(_NAMES[level], one[key], other[key])
            if values[0] != values[1]
        }
    return counts, found


_NAMES = {"STUDY": ("PatientID", "StudyDate"), "SERIES": ("Modality",), "INSTANCE": ("SOPClassUID", "ContentDescription")}


def _keys(table: dict[str, dict[Any, Any]], length: int) -> Any:
    return table["SERIES" if length == 3 else "STUDY"].keys()


def _flat(archive: Archive) -> dict[str, dict[Any, Any]]:
    table: dict[str, dict[Any, Any]] = {level: {} for level in LEVELS}
    for (number, patient), (date, removed, series) in archive.items():
        if removed != "Y":
            table["STUDY"][f"2.{number}", patient] = (patient, date)
            for one, (modality, flag, instances) in series.items():
                if flag != "Y":
                    table["SERIES"][f"2.{number}", patient, f"2.{number}.{one}"] = (modality,)
                    for other, (sop_class, gone, description) in instances.items():
                        if gone != "Y":
                            key = f"2.{number}", patient, f"2.{number}.{one}", f"2.{number}.{one}.{other}"
                            table["INSTANCE"][key] = sop_class, description
    return table


def told(comparison: Comparison) -> tuple[dict[str, list[int]], set[Any]]:
    found: set[Any] = set()
    for entry in comparison.differences.all(""):
        key = tuple(filter(None, (entry.study_uid, entry.patient_id, entry.series_uid, entry.instance_uid)))
        if entry.kind == "Different":
            found |= {("Different", key, name, *values) for name, values in entry.attributes.items()}
        else:
            assert not entry.attributes
            found.add((entry.kind, key))
    return {level: list(numbers(comparison, level)) for level in LEVELS}, found


@given(_studies, _studies, strategies.randoms(use_true_random=False))
def test_a_comparison_is_what_a_plain_one_says(first: Archive, second: Archive, shuffle: random.Random) -> None:
    one, other = made(first, shuffle), made(second, shuffle)
    comparison = compare(one, other, attributes=_ATTRIBUTES)
    counts, found = plain(first, second)
    assert told(comparison) == (counts, found)
    assert comparison.same == (not found)
    back = compare(other, one, attributes=_ATTRIBUTES)
    # Where a Patient ID differs each way tells that of its own first side.
    for level in LEVELS:
        first_count, second_count, missing, extra, different = numbers(comparison, level)
        assert numbers(back, level) == (second_count, first_count, extra, missing, different)
    strip = [{(entry.study_uid, entry.series_uid, entry.instance_uid) for entry in side.differences.all(kind)}
             for side, kind in ((comparison, "Missing"), (back, "Extra"))]
    assert strip[0] == strip[1]


@given(_studies, strategies.randoms(use_true_random=False))
def test_an_archive_is_the_same_as_itself_in_any_order(archive: Archive, shuffle: random.Random) -> None:
    assert compare(made(archive, shuffle), made(archive, shuffle), attributes=_ATTRIBUTES).same
