"""CSV lists as a side of a comparison."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from orthanc_inventory.reports.comparison import InvalidChoice, compare
from orthanc_inventory.reports.comparison.files import is_list, open_side
from orthanc_inventory.reports.comparison.lists import InvalidList, ListSide

from .inventories import CT, file, save, study
from .test_comparison import EXPLICIT, FIRST, JPEG, SECOND, listed, numbers, side, with_files

UIDS = "StudyInstanceUID,SeriesInstanceUID,SOPInstanceUID"


def csv_list(folder: Path, *lines: str, encoding: str = "utf-8") -> ListSide:
    path = folder / "list.csv"
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode(encoding))
    assert is_list(path)
    return ListSide(path)


def lines_of(studies: Sequence[Any], shuffle: random.Random) -> list[str]:
    lines = [
        f"{instance.attributes['SOPInstanceUID']},{series.attributes['Modality']},{series.attributes['SeriesInstanceUID']},"
        f"{entry.attributes['PatientID']},{entry.attributes['StudyInstanceUID']},{CT}"
        for entry in studies
        for series in entry.series
        for instance in series.instances
    ]
    shuffle.shuffle(lines)
    return ["SOPInstanceUID,Modality,SeriesInstanceUID,PatientID,StudyInstanceUID,SOPClassUID", *lines]


def test_a_list_in_any_order_is_the_same_as_its_inventory(tmp_path: Path) -> None:
    comparison = compare(side(*FIRST), csv_list(tmp_path, *lines_of(FIRST, random.Random(1))))
    assert comparison.same and numbers(comparison, "INSTANCE") == (6, 6, 0, 0, 0)
    assert comparison.chosen.keywords == ["PatientID", "Modality", "SOPClassUID"]


def test_a_list_differs_as_its_inventory_does(tmp_path: Path) -> None:
    expected = compare(side(*FIRST), side(*SECOND))
    other = csv_list(tmp_path, *lines_of(SECOND, random.Random(2)))
    for one in (side(*FIRST), _list_of_first(tmp_path)):
        comparison = compare(one, other)
        assert listed(comparison) == listed(expected) and comparison.counts == expected.counts
        assert comparison.differences.page("", 0, 10) == expected.differences.page("", 0, 10)
    back = compare(other, side(*FIRST))
    assert listed(back, "Extra") == [("Extra", level, uid) for _, level, uid in listed(expected, "Missing")]


def _list_of_first(folder: Path) -> ListSide:
    (folder / "first").mkdir()
    return csv_list(folder / "first", *lines_of(FIRST, random.Random(3)))


def test_the_level_of_a_list_is_that_of_its_columns(tmp_path: Path) -> None:
    studies = csv_list(tmp_path, "StudyInstanceUID", "2.3", "2.1", "2.2")
    assert compare(side(*FIRST, level="STUDY"), studies).same
    with pytest.raises(InvalidChoice, match="common is level STUDY"):
        compare(side(*FIRST), studies)
    assert compare(side(*FIRST), studies, "STUDY").same
    with_series = csv_list(tmp_path, "SeriesInstanceUID,StudyInstanceUID", "2.1.1,2.1", "2.1.2,2.1", "2.2.1,2.2", "2.3.1,2.3")
    assert compare(side(*FIRST, level="SERIES"), with_series).same
    # With instances it is a list of studies too.
    instances = csv_list(tmp_path, *lines_of(FIRST, random.Random(1)))
    assert numbers(compare(side(*FIRST), instances, "STUDY"), "STUDY") == (3, 3, 0, 0, 0)


def test_without_patients_a_uid_is_one_study(tmp_path: Path) -> None:
    two = side(
        study("2.1", {"2.1.1": ["2.1.1.1"]}, patient="A"), study("2.1", {"2.1.2": ["2.1.2.1"]}, patient="B"),
    )
    comparison = compare(two, csv_list(tmp_path, UIDS, "2.1,2.1.2,2.1.2.1", "2.1,2.1.1,2.1.1.1"))
    assert comparison.same and numbers(comparison, "STUDY") == (1, 1, 0, 0, 0)
    apart = ("StudyInstanceUID,PatientID,SeriesInstanceUID,SOPInstanceUID", "2.1,B,2.1.2,2.1.2.1", "2.1,A,2.1.1,2.1.1.1")
    comparison = compare(two, csv_list(tmp_path, *apart))
    assert comparison.same and numbers(comparison, "STUDY") == (2, 2, 0, 0, 0)


def test_chosen_attributes_must_be_columns(tmp_path: Path) -> None:
    with_dates = csv_list(tmp_path, "StudyInstanceUID,StudyDate,Remark", "2.1,20260101,'=x")
    one = side(study("2.1", StudyDate="20260102"), level="STUDY")
    [found] = compare(one, with_dates).differences.page("", 0, 10)
    assert found.attributes == {"StudyDate": ["20260102", "20260101"]}
    with pytest.raises(InvalidChoice, match="attributes: AccessionNumber is no column of the list"):
        compare(one, with_dates, attributes=["AccessionNumber"])


def test_digests_are_compared_where_the_transfer_syntax_is_the_same(tmp_path: Path) -> None:
    one = side(with_files({"MAC": "aa" * 16, "StoredInstanceTransferSyntaxUID": EXPLICIT, "FileLengthInContainer": 7}))
    line = "2.1,2.1.1,2.1.1.1"
    header = f"{UIDS},MAC,StoredInstanceTransferSyntaxUID"
    assert compare(one, csv_list(tmp_path, header, f"{line},{'AA' * 16},{EXPLICIT}")).same
    assert compare(one, csv_list(tmp_path, header, f"{line},{'bb' * 16},{JPEG}")).same
    assert listed(compare(one, csv_list(tmp_path, header, f"{line},{'bb' * 16},{EXPLICIT}"))) == [
        ("Different", "INSTANCE", "2.1.1.1")
    ]
    [found] = compare(one, csv_list(tmp_path, f"{UIDS},FileLengthInContainer", f"{line},8")).differences.page("", 0, 1)
    assert found.attributes == {"FileLengthInContainer": ["7", "8"]}


def test_cells_are_taken_without_guard_and_padding(tmp_path: Path) -> None:
    one = side(study("2.1", patient="=1", PatientName="'A"), level="STUDY")
    assert compare(one, csv_list(tmp_path, "StudyInstanceUID,PatientID,PatientName", "2.1\0,'=1,''A ")).same
    assert compare(one, csv_list(tmp_path, "PatientID;StudyInstanceUID", "'=1;2.1 ", encoding="utf-8-sig")).same


def test_lines_that_are_marked_removed_are_not_there(tmp_path: Path) -> None:
    other = csv_list(
        tmp_path, f"{UIDS},RemovedFromOperationalUse", "2.1,2.1.1,2.1.1.1,", "2.1,2.1.1,2.1.1.2,Y", "2.2,2.2.1,2.2.1.1,Y"
    )
    comparison = compare(side(study("2.1", {"2.1.1": ["2.1.1.1"]})), other)
    assert comparison.same and comparison.removed[1] == {"STUDY": 1, "SERIES": 1, "INSTANCE": 2}


def test_the_same_line_twice_counts_once(tmp_path: Path) -> None:
    comparison = compare(side(FIRST[2]), csv_list(tmp_path, UIDS, *["2.3,2.3.1,2.3.1.1"] * 3))
    assert comparison.same and numbers(comparison, "INSTANCE") == (1, 1, 0, 0, 0)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "line 1: there is no column StudyInstanceUID"),
        (b"PatientID,SOPInstanceUID\r\nP,2.1\r\n", "line 1: there is no column StudyInstanceUID"),
        (b"StudyInstanceUID,SOPInstanceUID\r\n2.1,2.1.1\r\n", "line 1: there is no column SeriesInstanceUID"),
        (b"StudyInstanceUID,StudyInstanceUID\r\n2.1,2.1\r\n", "line 1: two columns have the same name"),
        (b"StudyInstanceUID,PatientID\r\n2.1,P\r\n2.2\r\n", "line 3: there are 1 cells, and not 2"),
        (b"StudyInstanceUID,PatientID\r\n2.1,P,Q\r\n", "line 2: there are 3 cells, and not 2"),
        (b"StudyInstanceUID\r\n2.1\r\n\r\nsecret\r\n", "line 4: StudyInstanceUID is no UID"),
        (b"StudyInstanceUID,PatientID\r\n,P\r\n", "line 2: StudyInstanceUID is missing"),
        (b"StudyInstanceUID,PatientID\r\n2.1,P\r\n2.2,\"P", "line 3: it is no CSV: unexpected end of data"),
        (b"StudyInstanceUID,PatientID\r\n2.1,P\r\n2.2,\"P\"x\r\n", "line 3: it is no CSV: "),
        (b"StudyInstanceUID,PatientID\r\n2.1,\xfc\r\n", "line 2: it is not text in UTF-8"),
        (b"StudyInstanceUID,PatientID,StudyDate\r\n2.1,P,1\r\n2.2,P,1\r\n2.1,P,2\r\n", "line 4: it contradicts an earlier line"),
        (b"\x89PNG\r\n\x1a\n", "line 1: it is not text in UTF-8"),
        (b"StudyInstanceUID\r\n2.1\r\n" + b"2" * (16 * 1024 * 1024 + 1), "line 3: it is longer than 16777216 bytes"),
        # In time that grows with the square of their number, this would take an hour.
        (",".join(map(str, range(500_000))).encode(), "line 1: there is no column StudyInstanceUID"),
    ],
)
def test_a_broken_list_is_told_with_its_line(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidList) as error:
        compare(side(*FIRST), ListSide(path, "the list"), "STUDY")
    assert str(error.value).startswith(f"the list, {problem}") and "\n" not in str(error.value) and "secret" not in str(error.value)


def test_files_are_told_apart(tmp_path: Path) -> None:
    inventory = save(tmp_path, {"1.1": file("1.1", FIRST)}) / "1.1.dcm"
    assert not is_list(inventory) and not is_list(tmp_path)
    assert compare(open_side(inventory), open_side(tmp_path)).same
