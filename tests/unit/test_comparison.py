"""Comparing two sides: what is missing, extra, different; by example."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

import orthanc_inventory
from orthanc_inventory.dicom.inventory import Reference
from orthanc_inventory.dicom.records import InstanceRecord, SeriesRecord, StudyRecord
from orthanc_inventory.reports.comparison import Comparison, Interrupted, InvalidChoice, InventorySide, compare, order
from orthanc_inventory.reports.comparison.differences import Difference
from orthanc_inventory.reports.comparison.forms import csv_lines, document, study_uids, text_lines

from .inventories import CT, file, opened, save, study, written

EXPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"
LEVELS = ("STUDY", "SERIES", "INSTANCE")


def side(*studies: StudyRecord, level: str = "INSTANCE", uid: str = "1.1", **more: Any) -> InventorySide:
    return InventorySide(opened({uid: file(uid, studies, level=level, **more)}, uid))


def instance(uid: str, access: Sequence[Mapping[str, Any]] = (), **more: Any) -> InstanceRecord:
    attributes = {"SOPClassUID": CT, "SOPInstanceUID": uid, "FileAccessSequence": list(access), **more}
    return InstanceRecord("instance", attributes)


def with_files(*files: Mapping[str, Any], uid: str = "2.1.1.1", **more: Any) -> StudyRecord:
    """A study of one instance."""
    accesses = [{"FileAccessURI": "./a", "ContainerFileType": "DICOM", "MACAlgorithm": "MD5", **entry} for entry in files]
    record = study("2.1")
    record.series = [
        SeriesRecord("series", {"SeriesInstanceUID": "2.1.1", "Modality": "CT"}, [instance(uid, accesses, **more)])
    ]
    return record


def listed(comparison: Comparison, kind: str = "") -> list[tuple[str, str, str]]:
    """Kind, level and UID of each difference."""
    found = comparison.differences.page(kind, 0, 1000)
    assert list(comparison.differences.all(kind)) == found and comparison.differences.count(kind) == len(found)
    return [(entry.kind, entry.level, entry.instance_uid or entry.series_uid or entry.study_uid) for entry in found]


def numbers(comparison: Comparison, level: str) -> tuple[int, ...]:
    return tuple(comparison.counts[level][key] for key in ("First", "Second", "Missing", "Extra", "Different"))


FIRST = [
    study("2.1", {"2.1.1": ["2.1.1.1", "2.1.1.2"], "2.1.2": ["2.1.2.1"]}),
    study("2.2", {"2.2.1": ["2.2.1.1", "2.2.1.2"]}),
    study("2.3", {"2.3.1": ["2.3.1.1"]}),
]
SECOND = [
    study("2.4", {"2.4.1": ["2.4.1.1"]}),
    study("2.3", {"2.3.1": ["2.3.1.1"]}, moment="20260202000000+0000"),
    study("2.1", {"2.1.1": ["2.1.1.2"], "2.1.3": ["2.1.3.1"]}, patient="Q"),
]


def test_what_is_missing_extra_or_different_is_told_at_each_level() -> None:
    comparison = compare(side(*FIRST), side(*SECOND))
    assert listed(comparison) == [
        ("Different", "STUDY", "2.1"), ("Missing", "INSTANCE", "2.1.1.1"), ("Missing", "SERIES", "2.1.2"),
        ("Extra", "SERIES", "2.1.3"), ("Missing", "STUDY", "2.2"), ("Extra", "STUDY", "2.4"),
    ]
    # What belongs to a missing study or series is missing too.
    assert numbers(comparison, "STUDY") == (3, 3, 1, 1, 1)
    assert numbers(comparison, "SERIES") == (4, 4, 2, 2, 0)
    assert numbers(comparison, "INSTANCE") == (6, 4, 4, 2, 0)
    assert comparison.coverage == 2 / 6 and not comparison.same
    [different] = comparison.differences.page("Different", 0, 10)
    assert different == Difference("Different", "STUDY", "P", "2.1", None, None, {"PatientID": ["P", "Q"]})
    assert list(study_uids(comparison, "")) == ["2.1\n", "2.2\n"]
    assert list(study_uids(comparison, "Extra")) == ["2.1\n", "2.4\n"]
    assert list(study_uids(comparison, "", 1, 1)) == ["2.2\n"]


@pytest.mark.parametrize("level", LEVELS)
def test_an_inventory_is_the_same_as_itself(level: str) -> None:
    comparison = compare(side(*FIRST, level=level), side(*FIRST[::-1], level=level))
    assert comparison.same and comparison.coverage == 1.0 and listed(comparison) == []
    assert comparison.counts[level]["First"] == {"STUDY": 3, "SERIES": 4, "INSTANCE": 6}[level]
    assert [comparison.counts[other]["First"] for other in LEVELS[LEVELS.index(level) + 1 :]] == [0] * (2 - LEVELS.index(level))


def test_nothing_covers_nothing() -> None:
    comparison = compare(side(), side())
    assert comparison.same and comparison.coverage is None
    assert compare(side(*FIRST), side()).coverage == 0.0


def test_the_level_is_that_of_both_or_is_asked_for() -> None:
    studies, series, instances = (side(*FIRST, level=level) for level in LEVELS)
    for one, other, common in [(studies, instances, "STUDY"), (instances, series, "SERIES")]:
        with pytest.raises(InvalidChoice, match=f"common is level {common}"):
            compare(one, other)
        assert compare(one, other, common.lower()).same
    with pytest.raises(InvalidChoice, match="common is SERIES"):
        compare(series, instances, "INSTANCE")
    with pytest.raises(InvalidChoice, match="level must be one of STUDY, SERIES, INSTANCE"):
        compare(series, series, "PATIENT")
    assert listed(compare(instances, side(*SECOND), "SERIES"), "Missing") == [
        ("Missing", "SERIES", "2.1.2"), ("Missing", "STUDY", "2.2"),
    ]


def test_attributes_are_chosen_by_keyword() -> None:
    changed = study("2.1", {"2.1.1": ["2.1.1.1"]}, StudyDate="20260102", StudyDescription="Thorax")
    one, other = side(study("2.1", {"2.1.1": ["2.1.1.1"]}, StudyDate="20260101")), side(changed)
    [found] = compare(one, other).differences.page("", 0, 10)
    assert found.attributes == {"StudyDate": ["20260101", "20260102"]}
    [found] = compare(one, other, attributes=["StudyDescription", "SOPClassUID"]).differences.page("", 0, 10)
    assert found.attributes == {"StudyDescription": ["", "Thorax"]}
    assert compare(one, other, attributes=["PatientID"]).same


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        (["StudyDat"], "attributes: StudyDat cannot be compared; allowed keywords: ModalitiesInStudy, ItemInv"),
        (["StudyDate", "PixelData"], "attributes: PixelData cannot be compared"),
        (["StudyInstanceUID"], "attributes: StudyInstanceUID cannot be compared"),
        (["ProcedureCodeSequence"], "attributes: ProcedureCodeSequence cannot be compared"),
        (["<img>"], "attributes: an attribute cannot be compared"),
        (["SOPClassUID"], "attributes: SOPClassUID belongs to a lower level than SERIES"),
        (["MAC"], "attributes: MAC belongs to a lower level than SERIES"),
    ],
)
def test_attributes_that_cannot_be_compared_are_refused_by_name(attributes: list[str], problem: str) -> None:
    with pytest.raises(InvalidChoice, match="^" + problem):
        compare(side(*FIRST), side(*FIRST), "SERIES", attributes)


@pytest.mark.parametrize(
    ("first", "second", "attributes"),
    [
        ({"MAC": "aa" * 16}, {"MAC": "AA" * 16}, {}),
        ({"MAC": "aa" * 16}, {"MAC": "bb" * 16}, {"MAC": ["aa" * 16, "bb" * 16]}),
        ({"FileLengthInContainer": 10}, {"FileLengthInContainer": 11}, {"FileLengthInContainer": ["10", "11"]}),
        # What one side does not know is no difference.
        ({"MAC": "aa" * 16, "FileLengthInContainer": 10}, {}, {}),
        # Another transfer syntax makes another file.
        (
            {"MAC": "aa" * 16, "FileLengthInContainer": 10, "StoredInstanceTransferSyntaxUID": EXPLICIT},
            {"MAC": "bb" * 16, "FileLengthInContainer": 11, "StoredInstanceTransferSyntaxUID": JPEG},
            {},
        ),
        (
            {"MAC": "aa" * 16, "StoredInstanceTransferSyntaxUID": EXPLICIT},
            {"MAC": "bb" * 16, "StoredInstanceTransferSyntaxUID": EXPLICIT},
            {"MAC": ["aa" * 16, "bb" * 16]},
        ),
        ({"MAC": "aa" * 16}, {"MAC": "bb" * 20, "MACAlgorithm": "SHA1"}, {}),
        ({"FileAccessURI": "./b"}, {}, {}),
    ],
)
def test_files_are_compared_where_they_can_be(
    first: dict[str, Any], second: dict[str, Any], attributes: dict[str, list[str]]
) -> None:
    found = compare(side(with_files(first)), side(with_files(second))).differences.page("", 0, 10)
    assert [entry.attributes for entry in found] == ([attributes] if attributes else [])


def test_of_several_files_those_with_the_same_transfer_syntax_are_compared() -> None:
    explicit = {"MAC": "aa" * 16, "StoredInstanceTransferSyntaxUID": EXPLICIT}
    jpeg = {"MAC": "bb" * 16, "StoredInstanceTransferSyntaxUID": JPEG}
    assert compare(side(with_files(explicit, jpeg)), side(with_files(jpeg))).same
    changed = side(with_files({**jpeg, "MAC": "cc" * 16}))
    [found] = compare(side(with_files(explicit, jpeg)), changed).differences.page("", 0, 10)
    assert found.attributes == {"MAC": ["bb" * 16, "cc" * 16]}
    asked = compare(side(with_files(explicit)), changed, attributes=["StoredInstanceTransferSyntaxUID", "MAC"])
    [found] = asked.differences.page("", 0, 10)
    assert found.attributes == {"StoredInstanceTransferSyntaxUID": [EXPLICIT, JPEG]}


@pytest.mark.parametrize(
    ("keyword", "first", "second", "same"),
    [
        ("PatientName", "Doe^John", "Doe^John^^", True),
        ("PatientName", "Doe^John", "Doe^^John", False),
        ("StudyTime", "101530", "101530.000", True),
        ("StudyTime", "101500", "1015", False),
        ("ModalitiesInStudy", "CT\\MR", "MR\\CT", True),
        ("NumberOfStudyRelatedSeries", "1", "01", True),
        ("AccessionNumber", "", "1", False),
        ("ReferringPhysicianName", "", "", True),
    ],
)
def test_values_that_mean_the_same_are_the_same(keyword: str, first: str, second: str, same: bool) -> None:
    one, other = (side(study("2.1", **{keyword: value})) for value in (first, second))
    assert compare(one, other, attributes=[keyword]).same == same


def test_numbers_of_what_is_below_are_compared_where_it_is_not_listed() -> None:
    one, other = (study("2.1", {"2.1.1": ["2.1.1.1"]}, NumberOfStudyRelatedInstances=count) for count in ("1", "2"))
    assert not compare(side(one, level="STUDY"), side(other, level="STUDY")).same
    assert not compare(side(one), side(other), "SERIES").same
    assert compare(side(one), side(other)).same


def test_studies_of_one_uid_are_paired_by_patient() -> None:
    one = side(study("2.1", {"2.1.1": ["2.1.1.1"]}, patient="A"), study("2.1", {"2.1.2": ["2.1.2.1"]}, patient="B"))
    other = side(study("2.1", {"2.1.2": ["2.1.2.1"]}, patient="B"), study("2.1", {"2.1.1": ["2.1.1.1"]}, patient="C"))
    found = compare(one, other).differences.page("", 0, 10)
    assert [(entry.kind, entry.level, entry.patient_id) for entry in found] == [
        ("Missing", "STUDY", "A"), ("Extra", "STUDY", "C"),
    ]


def test_what_is_removed_is_not_there() -> None:
    gone = study("2.2", {"2.2.1": ["2.2.1.1", "2.2.1.2"]}, RemovedFromOperationalUse="Y")
    part = study("2.1", {"2.1.1": ["2.1.1.1"]})
    removed = {"RemovedFromOperationalUse": "Y"}
    part.series = [
        SeriesRecord("", {"SeriesInstanceUID": "2.1.1", "Modality": "CT"}, [instance("2.1.1.1"), instance("2.1.1.2", **removed)]),
        SeriesRecord("", {"SeriesInstanceUID": "2.1.2", "Modality": "CT", **removed}, [instance("2.1.2.1")]),
    ]
    comparison = compare(side(*FIRST[:2]), side(part, gone))
    assert listed(comparison) == [("Missing", "INSTANCE", "2.1.1.2"), ("Missing", "SERIES", "2.1.2"), ("Missing", "STUDY", "2.2")]
    assert comparison.removed[1] == {"STUDY": 1, "SERIES": 2, "INSTANCE": 4} and not comparison.removed[0].total()
    assert compare(side(part, gone), side(part)).same


def test_a_removed_study_of_an_earlier_patient_id_does_not_hide_the_change() -> None:
    moved = side(study("2.1", patient="A", RemovedFromOperationalUse="Y"), study("2.1", patient="B"))
    [found] = compare(side(study("2.1", patient="A")), moved).differences.page("", 0, 10)
    assert found.attributes == {"PatientID": ["A", "B"]}


def test_of_several_records_the_latest_count() -> None:
    base = file("1.1", [study("2.1", {"2.1.1": ["2.1.1.1", "2.1.1.2"]}), study("2.2", {"2.2.1": ["2.2.1.1"]})])
    increment = file(
        "1.2", [study("2.1", {"2.1.1": ["2.1.1.1"]}, moment="20260201000000+0000")],
        [Reference("1.1", "00" * 32, total=2)], below=2,
    )
    now = InventorySide(opened({"1.1": base, "1.2": increment}, "1.2"))
    comparison = compare(InventorySide(opened({"1.1": base}, "1.1")), now)
    assert listed(comparison) == [("Missing", "INSTANCE", "2.1.1.2")]


def test_records_that_describe_parts_of_a_study_are_one() -> None:
    parts = side(
        study("2.1", {"2.1.1": ["2.1.1.1"]}), study("2.1", {"2.1.1": ["2.1.1.2"], "2.1.2": ["2.1.2.1"]}, moment="20260103"),
    )
    assert compare(parts, side(FIRST[0])).same and compare(side(FIRST[0]), parts).same


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_the_encoding_makes_no_difference(transfer_syntax: Any, undefined: bool) -> None:
    data_set = pydicom.dcmread(BytesIO(file("1.1", [with_files({"MAC": "aa" * 16, "FileLengthInContainer": 7}), *FIRST[1:]])))
    other = InventorySide(opened({"1.1": written(data_set, transfer_syntax, undefined)}, "1.1"))
    assert compare(side(with_files({"MAC": "aa" * 16, "FileLengthInContainer": 7}), *FIRST[1:]), other).same


def test_equal_bytes_in_another_character_set_are_no_equal_text() -> None:
    def recoded(character_set: str) -> InventorySide:
        data_set = pydicom.dcmread(BytesIO(file("1.1", [with_files({}, ContentDescription="A")])))
        data_set.SpecificCharacterSet = character_set
        data_set.InventoryPurpose = ""
        [record] = data_set.InventoriedStudiesSequence
        record.PatientName = "A"
        record.InventoriedSeriesSequence[0].InventoriedInstancesSequence[0].ContentDescription = "B"
        content = written(data_set, ExplicitVRLittleEndian).replace(b"LO\x02\0B ", b"LO\x02\0\xc4\xd6")
        return InventorySide(opened({"1.1": content}, "1.1"))

    comparison = compare(recoded("ISO_IR 100"), recoded("ISO_IR 144"), attributes=["ContentDescription"])
    [found] = comparison.differences.page("", 0, 10)
    assert found.attributes == {"ContentDescription": ["ÄÖ", b"\xc4\xd6".decode("iso8859-5")]}


def test_many_records_are_sorted_outside_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "IN_MEMORY", 3)
    shuffled = [f"2.1.1.{number}" for number in range(100, 300)]
    expected = sorted(shuffled)
    random.Random(1).shuffle(shuffled)
    many = {f"2.1.{number}": [f"2.1.{number}.1"] for number in range(2, 20)}
    one = side(study("2.1", {"2.1.1": expected, **many}))
    other = side(study("2.1", {"2.1.1": [uid for uid in shuffled if uid != "2.1.1.150"], **many}))
    assert listed(compare(one, other)) == [("Missing", "INSTANCE", "2.1.1.150")]
    assert listed(compare(other, one)) == [("Extra", "INSTANCE", "2.1.1.150")]


def test_a_uid_that_is_listed_twice_counts_once() -> None:
    twice = side(study("2.1", {"2.1.1": ["2.1.1.1", "2.1.1.1", "2.1.1.2"]}))
    comparison = compare(twice, side(study("2.1", {"2.1.1": ["2.1.1.1", "2.1.1.2"]})))
    assert comparison.same and numbers(comparison, "INSTANCE") == (2, 2, 0, 0, 0)


@pytest.mark.parametrize("padding", [b"\0", b" "])
def test_padding_is_no_part_of_a_uid(padding: bytes) -> None:
    content = file("1.1", FIRST)
    for uid in (b"2.1.1.1", b"2.1.1", b"2.1"):
        content = content.replace(uid + b"\0", uid + padding)
    assert compare(side(*FIRST), InventorySide(opened({"1.1": content}, "1.1"))).same


def test_a_comparison_can_be_stopped() -> None:
    with pytest.raises(Interrupted):
        compare(side(*FIRST), side(*SECOND), interrupted=lambda: True)


def test_trees_of_files_are_compared(tmp_path: Path) -> None:
    leaves = {f"1.2.{number}": file(f"1.2.{number}", [entry]) for number, entry in enumerate(FIRST)}
    references = [Reference(uid, "00" * 32, total=1) for uid in leaves]
    folder = save(tmp_path, {**leaves, "1.1": file("1.1", [], references, below=3)})
    comparison = compare(InventorySide(orthanc_inventory.open(folder)), side(*FIRST))
    assert comparison.same and numbers(comparison, "INSTANCE") == (6, 6, 0, 0, 0)


# Forms


def test_the_document_has_all_keys() -> None:
    comparison = compare(side(*FIRST), side(*SECOND, uid="1.2", InventoryCompletionStatus="PARTIAL"), "SERIES")
    told = document(comparison, "Missing", comparison.differences.page("Missing", 0, 1))
    assert (told["First"], told["Second"], told["Level"], told["Same"], told["Coverage"]) == ("1.1", "1.2", "SERIES", False, 0.5)
    assert told["CompletionStatus"] == {"First": "COMPLETE", "Second": "PARTIAL"}
    assert told["Studies"] == {"First": 3, "Second": 3, "Missing": 1, "Extra": 1, "Different": 1}
    assert told["Series"] == {"First": 4, "Second": 4, "Missing": 2, "Extra": 2, "Different": 0} and told["Instances"] is None
    assert told["Removed"]["First"] == {"Studies": 0, "Series": 0, "Instances": None}
    assert told["TotalDifferences"] == 2
    assert told["Differences"] == [{
        "Kind": "Missing", "Level": "SERIES", "PatientID": "P", "StudyInstanceUID": "2.1", "SeriesInstanceUID": "2.1.2",
        "SOPInstanceUID": None, "Attributes": {},
    }]


def test_csv_is_guarded_and_a_report_does_not_steer_a_terminal() -> None:
    one, other = (side(study("2.1", patient=patient, StudyID="=1+1")) for patient in ("=HYPERLINK(\"x\")", "\x1b[2Jevil"))
    comparison = compare(one, other)
    lines = "".join(csv_lines(comparison.differences.all(""))).split("\r\n")
    assert lines[0] == "Kind,Level,PatientID,StudyInstanceUID,SeriesInstanceUID,SOPInstanceUID,Attribute,First,Second"
    assert lines[1].startswith('Different,STUDY,"\'=HYPERLINK(""x"")",2.1,,,PatientID,"\'=HYPERLINK(""x"")",')
    report = "".join(text_lines(comparison, ""))
    assert "evil" in report and "\x1b" not in report


def test_a_report_tells_how_many_more_there_are() -> None:
    comparison = compare(side(*FIRST), side())
    report = "".join(text_lines(comparison, "", 0, 2))
    assert "Missing   STUDY    2.2" in report and "2.3" not in report and report.endswith("and 1 more\n")
    assert "0.00% of the instances of the first are in the second." in report
    nearly = compare(side(study("2.1", {"2.1.1": [f"2.1.1.{n}" for n in range(30000)]})), side(
        study("2.1", {"2.1.1": [f"2.1.1.{n}" for n in range(1, 30000)]})))
    assert "99.99% of" in "".join(text_lines(nearly, ""))
