"""Series and instances are found by UID as the merged studies tell: the same ones as by a walk over everything."""

from __future__ import annotations

import tracemalloc
from io import BytesIO
from pathlib import Path

import pydicom
from hypothesis import HealthCheck, given, settings, strategies
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, UID

import orthanc_inventory
from orthanc_inventory.dicom.inventory import Reference
from orthanc_inventory.dicom.records import StudyRecord
from orthanc_inventory.reader import Inventory
from orthanc_inventory.reader.records import Instance, Series

from .inventories import file, opened, study, written

PATIENCE = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
# Few, so that they meet at all levels; some are the beginning or a part of others.
UIDS = ["1", "1.2", "1.2.3", "1.2.34", "2.3", "11.2"]
ANY_UID = strategies.sampled_from(UIDS)
STUDIES = strategies.builds(
    study,
    ANY_UID,
    strategies.dictionaries(ANY_UID, strategies.lists(ANY_UID, max_size=3), max_size=3),
    strategies.sampled_from(["20260101", "20260102", "20260103"]),
    strategies.sampled_from(["A", "B"]),
)


def tree(*files: bytes) -> dict[str, bytes]:
    """A root, 1.0, that incorporates these instances, which are called 1.1, 1.2, ..."""
    leaves = {f"1.{number}": content for number, content in enumerate(files, 1)}
    below = sum(pydicom.dcmread(BytesIO(content)).NumberOfStudyRecordsInInstance for content in files)
    return {"1.0": file("1.0", references=[Reference(uid, "", {}, ()) for uid in leaves], below=below), **leaves}


def places(found: list[Series] | list[Instance]) -> list[tuple[str, tuple[int, int, bool]]]:
    studies = [entry.series.study if isinstance(entry, Instance) else entry.study for entry in found]
    return sorted((record.inventory_uid, entry.place) for record, entry in zip(studies, found))


def all_series(inventory: Inventory) -> list[Series]:
    return [series for entry in inventory.merged_studies() for series in entry.series()]


@PATIENCE
@given(
    leaves=strategies.lists(strategies.lists(STUDIES, max_size=4), min_size=1, max_size=3),
    syntax=strategies.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]),
    undefined=strategies.booleans(),
)
def test_a_look_up_finds_what_a_walk_finds(leaves: list[list[StudyRecord]], syntax: UID, undefined: bool) -> None:
    contents = [file(f"1.{number}", records) for number, records in enumerate(leaves, 1)]
    inventory = opened(tree(*(written(pydicom.dcmread(BytesIO(content)), syntax, undefined) for content in contents)), "1.0")
    series = all_series(inventory)
    instances = [instance for entry in series for instance in entry.instances()]
    for uid in [*UIDS, "", ".", "1.2.3.4.5.6"]:
        assert places(inventory.series(uid)) == places([entry for entry in series if entry.uid == uid])
        assert places(inventory.instance(uid)) == places([entry for entry in instances if entry.uid == uid])


def test_what_is_found_tells_where_it_belongs() -> None:
    records = [study("2.1", {"3.1": ["4.1", "4.2"], "3.2": ["4.3"]}), study("2.2", {"3.1": ["4.1"]}, patient="B")]
    inventory = opened({"1.0": file("1.0", records)}, "1.0")
    assert [(entry.uid, entry.study.uid, entry.study.patient_id) for entry in inventory.series("3.1")] == [
        ("3.1", "2.1", "P"), ("3.1", "2.2", "B"),
    ]
    [instance] = inventory.instance("4.3")
    assert (instance.series.uid, instance.series.study.uid) == ("3.2", "2.1")
    assert [entry.series.study.uid for entry in inventory.instance("4.1")] == ["2.1", "2.2"]
    assert inventory.series("4.1") == inventory.instance("3.1") == inventory.instance("4") == []


def test_what_a_later_record_has_no_more_is_not_found() -> None:
    first = file("1.1", [study("2.1", {"3.1": ["4.1", "4.2"], "3.2": ["4.3"]}, "20260101")])
    later = file("1.2", [study("2.1", {"3.1": ["4.1"]}, "20260102")])
    inventory = opened(tree(first, later), "1.0")
    assert [entry.series.study.inventory_uid for entry in inventory.instance("4.1")] == ["1.2"]
    assert len(inventory.series("3.1")) == 1
    assert inventory.instance("4.2") == inventory.instance("4.3") == inventory.series("3.2") == []


def test_a_look_up_needs_no_memory_for_the_records(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        records = [study(f"2.{number}", {f"3.{number}": [f"4.{number}"]}) for number in range(count)]
        (tmp_path / "file").write_bytes(file("1.0", records))
        tracemalloc.start()
        try:
            inventory = orthanc_inventory.open(tmp_path / "file")
            assert [len(inventory.series("3.7")), len(inventory.instance(f"4.{count - 1}"))] == [1, 1]
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # Small files are read at once, large ones are mapped.
    assert peak(20_000) < peak(500) + 1_000_000
