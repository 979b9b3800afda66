"""Trees of inventories are read as one: their records, what is missing, what contradicts itself, and the merged view."""

from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import orthanc_inventory
from orthanc_inventory.dicom.inventory import Inventory as Written
from orthanc_inventory.dicom.inventory import Reference
from orthanc_inventory.dicom.records import StudyRecord
from orthanc_inventory.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from orthanc_inventory.reader import InvalidInventory, Inventory, MissingInstance

from .inventories import CT, file, opened, save, study, uids


def reference(content: bytes, uid: str, *below: Reference, **access: str) -> Reference:
    return Reference(uid, hashlib.sha256(content).hexdigest(), access, below)


def chain(depth: int) -> dict[str, bytes]:
    """Each instance has one study and incorporates the one before; 1.0 is the innermost, the last is the root."""
    files: dict[str, bytes] = {}
    references: tuple[Reference, ...] = ()
    for number in range(depth + 1):
        uid = f"1.{number}"
        files[uid] = file(uid, [study(f"2.{number}")], references, number)
        references = (reference(files[uid], uid, *references),)
    return files


def fan(children: int, **more: Any) -> dict[str, bytes]:
    files = {f"1.{number}": file(f"1.{number}", [study(f"2.{number}")]) for number in range(1, children + 1)}
    references = [reference(content, uid) for uid, content in files.items()]
    return {"1.0": file("1.0", references=references, below=children, **more), **files}


def study_uids(inventory: Inventory) -> list[str]:
    return [entry.uid for entry in inventory.studies()]


@pytest.mark.parametrize("depth", [0, 1, 2, 32])
def test_trees_are_read_whatever_their_depth(depth: int) -> None:
    inventory = opened(chain(depth), f"1.{depth}", verify=True)
    assert study_uids(inventory) == [f"2.{number}" for number in range(depth, -1, -1)]
    assert inventory.instance_uids == [f"1.{number}" for number in range(depth, -1, -1)]
    below = [(number, f"1.{depth - number}") for number in range(1, depth + 1)]
    assert [(entry.depth, entry.uid) for entry in inventory.references()] == below
    assert inventory.total_study_records == depth + 1


def test_a_tree_deeper_than_the_limit_is_refused() -> None:
    files = chain(33)
    with pytest.raises(InvalidInventory, match=r"^1\.33, byte [0-9]+: .*deeper than 32"):
        opened(files, "1.33")


def test_a_root_with_many_references() -> None:
    inventory = opened(fan(5000), "1.0")
    assert study_uids(inventory) == [f"2.{number}" for number in range(1, 5001)]
    assert len(inventory.instance_uids) == 5001


def test_what_an_inventory_says_of_itself() -> None:
    scope = [{"GeneralMatchingSequence": [{"PatientID": "A*"}]}]
    inventory = opened(fan(2, InventoryInstanceDescription="Größe", ScopeOfInventorySequence=scope), "1.0")
    assert (inventory.uid, inventory.level, inventory.completion_status) == ("1.0", "INSTANCE", "COMPLETE")
    assert inventory.attributes["InventoryInstanceDescription"] == "Größe"
    assert inventory.attributes["ScopeOfInventorySequence"] == scope
    assert not {"InventoriedStudiesSequence", "IncorporatedInventoryInstanceSequence"} & set(inventory.attributes)
    first, _ = inventory.references()
    assert first.attributes["MACAlgorithm"] == "SHA256"


def test_records_tell_where_they_belong() -> None:
    end_points = [{"StoredInstanceBaseURI": "http://h/x/"}]
    content = file("1.1", [study("2.1", {"2.1.1": ["2.1.1.1"]}, patient="A")], StudyAccessEndPointsSequence=end_points)
    [record] = opened({"1.1": content}, "1.1").studies()
    [series] = record.series()
    [instance] = series.instances()
    assert (record.patient_id, record.inventory_uid, record.base_uri) == ("A", "1.1", "http://h/x/")
    assert instance.series is series and series.study is record
    assert "InventoriedSeriesSequence" not in record.attributes
    assert series.attributes == {"Modality": "CT", "SeriesInstanceUID": "2.1.1", "SeriesNumber": ""}
    assert instance.attributes["SOPInstanceUID"] == instance.uid == "2.1.1.1"


def test_an_encoded_record_can_be_copied_into_another_inventory() -> None:
    content = file("1.1", [study("2.1", {"2.1.1": ["2.1.1.1"]})])
    [record] = opened({"1.1": content}, "1.1").studies()
    item = record.encoded
    assert (item.transfer_syntax, item.character_set) == (EXPLICIT_VR_LITTLE_ENDIAN, "ISO_IR 192")
    attributes = {"InventoryLevel": "INSTANCE", "InventoryCompletionStatus": "COMPLETE"}
    copy = Written("1.2", attributes, item.content * 2, 2, 2).encode()
    assert uids(opened({"1.2": copy}, "1.2")) == [("2.1", [("2.1.1", ["2.1.1.1"])])] * 2


def test_a_missing_instance_ends_reading_or_is_told() -> None:
    files = fan(3)
    del files["1.2"]
    with pytest.raises(MissingInstance, match=r"1\.2 is not there") as caught:
        study_uids(opened(files, "1.0"))
    assert caught.value.uid == "1.2"
    missing: list[str] = []
    assert study_uids(opened(files, "1.0", missing=missing.append)) == ["2.1", "2.3"]
    assert missing == ["1.2"]
    with pytest.raises(MissingInstance):
        opened(files, "1.9")


def test_an_instance_that_is_incorporated_twice_is_read_once() -> None:
    leaf = file("1.1", [study("2.1")])
    nodes = {uid: file(uid, references=[reference(leaf, "1.1")], below=1) for uid in ("1.2", "1.3")}
    references = [reference(content, uid, reference(leaf, "1.1")) for uid, content in nodes.items()]
    inventory = opened({"1.0": file("1.0", references=references, below=2), "1.1": leaf, **nodes}, "1.0")
    assert study_uids(inventory) == ["2.1"]
    assert inventory.instance_uids == ["1.0", "1.2", "1.1", "1.3"]


def contradictions() -> dict[str, tuple[dict[str, bytes], str]]:
    leaf = file("1.1", [study("2.1")])
    node = file("1.2", references=[reference(leaf, "1.1")], below=1)

    def root(*references: Reference, **more: Any) -> bytes:
        return file("1.0", references=references, **{"below": 1, **more})

    itself = root(reference(leaf, "1.0"))
    cycle = root(reference(node, "1.2", reference(leaf, "1.0")))
    return {
        "self": ({"1.0": itself}, "incorporates itself"),
        "cycle": ({"1.0": cycle, "1.2": node}, "incorporates itself"),
        "less copied": ({"1.0": root(reference(node, "1.2")), "1.1": leaf, "1.2": node}, "1.2, byte .* another copy"),
        "more copied": (
            {"1.0": root(reference(node, "1.2", reference(leaf, "1.1"), reference(leaf, "1.3"))), "1.1": leaf, "1.2": node},
            "1.2, byte .* another copy",
        ),
        "deeper copied": (
            {"1.0": root(reference(leaf, "1.1", reference(leaf, "1.3"))), "1.1": leaf}, "1.1, byte .* another copy",
        ),
        "level": ({"1.0": root(reference(leaf, "1.1"), level="STUDY"), "1.1": leaf}, "1.1, byte .* not that of the root"),
        "UID": ({"1.0": root(reference(leaf, "1.7")), "1.7": leaf}, "another SOP Instance UID"),
        "root": ({"1.0": leaf}, "another SOP Instance UID"),
        "MAC": ({"1.0": root(reference(b"", "1.1")), "1.1": leaf}, "1.1, byte .* does not have the MAC"),
        "total": ({"1.0": root(reference(leaf, "1.1"), below=2), "1.1": leaf}, "1 study records, and not 2 as Total"),
        "records": (
            {"1.0": file("1.0", [study("2.1")]).replace(b"\x08\0\x27\x04UL\x04\0\1", b"\x08\0\x27\x04UL\x04\0\2")},
            "1 study records, and not 2",
        ),
        "class": ({"1.0": file("1.0").replace(b".1.1.201.1\0", b".1.1.201.2\0")}, "not Inventory Storage"),
        "meta": ({"1.0": file("1.0").replace(b"UI\x04\x001.0\0", b"UI\x04\x001.8\0", 1)}, "names another object"),
        "status": ({"1.0": file("1.0", InventoryCompletionStatus="")}, "Completion Status is missing"),
        "unknown level": ({"1.0": file("1.0").replace(b"INSTANCE", b"INSTANCY")}, "Inventory Level is not"),
        "UID of a study": ({"1.0": file("1.0", [study("2.12")]).replace(b"2.12", b"2..2")}, "value of 0020000d is no UID"),
        "UID of an instance": (
            {"1.0": file("1.0", [study("2.1", {"2.2": ["2.34"]})]).replace(b"2.34", b"2..4")}, "value of 00080018 is no UID",
        ),
    }


@pytest.mark.parametrize("case", contradictions())
def test_contradictions_are_told(case: str) -> None:
    files, problem = contradictions()[case]
    with pytest.raises(InvalidInventory, match=problem) as caught:
        uids(opened(files, "1.0", verify=True))
    assert "(PS3." in str(caught.value)


def test_macs_are_compared_on_request_only() -> None:
    files, _ = contradictions()["MAC"]
    assert study_uids(opened(files, "1.0")) == ["2.1"]
    for algorithm in ("MD5", "SHA1", "SHA256", "SHA384", "SHA512"):
        digest = hashlib.new(algorithm.lower(), files["1.1"]).hexdigest()
        root = file("1.0", references=[Reference("1.1", digest, {"MACAlgorithm": algorithm})], below=1)
        assert study_uids(opened({**files, "1.0": root}, "1.0", verify=True)) == ["2.1"]
    root = file("1.0", references=[Reference("1.1", "00" * 4, {"MACAlgorithm": "CRC32"})], below=1)
    with pytest.raises(InvalidInventory, match="MAC Algorithm of the reference is unknown"):
        study_uids(opened({**files, "1.0": root}, "1.0", verify=True))


def test_memory_does_not_grow_with_records(tmp_path: Path) -> None:
    large = [study(f"2.{number}", {f"3.{number}": [f"4.{number}"]}) for number in range(20_000)]
    small = large[:500]

    def peak(records: Sequence[StudyRecord], name: str) -> int:
        (tmp_path / name).write_bytes(file("1.0", records))
        tracemalloc.start()
        try:
            inventory = orthanc_inventory.open(tmp_path / name)
            walk = (1 for entry in inventory.studies() for series in entry.series() for _ in series.instances())
            assert sum(walk) == len(records)
            list(orthanc_inventory.open(tmp_path / name).study("2.7"))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(large, "large") < peak(small, "small") + 1_000_000


# Several records of one study: series and Item Inventory DateTime, the first nearest to the root; which remain; their series.
MERGES: dict[str, tuple[Sequence[tuple[str, str]], Sequence[int], str]] = {
    "an increment replaces": ([("ab", "20260102"), ("a", "20260101")], [0], "ab"),
    "a deleted series stays away": ([("a", "20260102"), ("ab", "20260101")], [0], "a"),
    "the order in the tree does not count": ([("a", "20260101"), ("ab", "20260102")], [1], "ab"),
    "disjoint series are united": ([("a", "20260102"), ("b", "20260101")], [0, 1], "ab"),
    "three parts": ([("a", "20260101"), ("b", "20260103"), ("c", "20260102")], [1, 2, 0], "bca"),
    "one part anew": ([("b", "20260103"), ("a", "20260102"), ("b", "20260101")], [0, 1], "ba"),
    "what was replaced does not come back": ([("b", "20260103"), ("ab", "20260102"), ("a", "20260101")], [0], "b"),
    "a later record without series replaces": ([("", "20260102"), ("a", "20260101")], [0], ""),
    "an earlier record without series is replaced": ([("a", "20260102"), ("", "20260101")], [0], "a"),
    "at one moment the one nearest to the root counts": ([("a", "20260101"), ("ab", "20260101")], [0], "a"),
    "offsets count": ([("a", "20260101100000+0100"), ("ab", "20260101093000+0000")], [1], "ab"),
    "without offset that of the instance counts": ([("a", "20260101100000"), ("ab", "20260101093000+0100")], [0], "a"),
    "fractions count": ([("a", "20260101100000.1"), ("ab", "20260101100000.09")], [0], "a"),
}


@pytest.mark.parametrize("case", MERGES)
def test_the_merged_view(case: str) -> None:
    records, remaining, series = MERGES[case]
    files: dict[str, bytes] = {}
    for place, (own, moment) in enumerate(records, 1):
        entry = study("2.1", {f"3.{ord(letter)}": [f"4.{ord(letter)}"] for letter in own}, moment, StudyID=str(place - 1))
        files[f"1.{place}"] = file(f"1.{place}", [entry])
    root = file("1.0", references=[reference(content, uid) for uid, content in files.items()], below=len(files))
    inventory = opened({"1.0": root, **files}, "1.0")
    for [merged] in (list(inventory.merged_studies()), list(inventory.merged_studies(by_uid=True)), inventory.study("2.1")):
        assert [record.attributes["StudyID"] for record in merged.records] == [str(place) for place in remaining]
        assert [entry.uid for entry in merged.series()] == [f"3.{ord(letter)}" for letter in series]
        assert merged.attributes["StudyID"] == str(remaining[0])
        assert (merged.uid, merged.patient_id) == ("2.1", "P")
    assert len(study_uids(inventory)) == len(records)


def test_records_of_other_objects_in_the_same_series_are_united() -> None:
    """An archive may hold two studies whose Patient IDs differ in padding alone; an increment has one of them anew."""
    content = file("1.1", [study("2.1", {"3.1": ["4.1"]}, "20260101"), study("2.1", {"3.1": ["4.2"]}, "20260102")])
    increment = file("1.2", [study("2.1", {"3.1": ["4.1", "4.3"]}, "20260103")])
    root = file("1.0", references=[reference(content, "1.1"), reference(increment, "1.2")], below=3)
    [merged] = opened({"1.0": root, "1.1": content, "1.2": increment}, "1.0").merged_studies()
    assert [instance.uid for entry in merged.series() for instance in entry.instances()] == ["4.1", "4.3", "4.2"]


def test_a_study_of_two_patients_is_two_studies() -> None:
    records = [study("2.2", patient="B"), study("2.1", patient="B"), study("2.1", patient="A"), study("2.3")]
    inventory = opened({"1.0": file("1.0", records)}, "1.0")
    assert [(entry.uid, entry.patient_id) for entry in inventory.merged_studies()] == [
        ("2.2", "B"), ("2.1", "B"), ("2.1", "A"), ("2.3", "P"),
    ]
    assert [(entry.uid, entry.patient_id) for entry in inventory.merged_studies(by_uid=True)] == [
        ("2.1", "A"), ("2.1", "B"), ("2.2", "B"), ("2.3", "P"),
    ]
    assert [entry.patient_id for entry in inventory.study("2.1")] == ["B", "A"]
    assert inventory.study("2.9") == []


def test_a_record_without_a_moment_cannot_be_merged() -> None:
    content = file("1.0", [study("2.1", moment="20261231")]).replace(b"20261231", b"20261331")
    with pytest.raises(InvalidInventory, match="Item Inventory DateTime is no date and time"):
        list(opened({"1.0": content}, "1.0").merged_studies())


def test_the_root_file_finds_the_others(tmp_path: Path) -> None:
    files = fan(3)
    save(tmp_path, files)
    (tmp_path / "1.2.dcm").rename(tmp_path / "whatever")
    (tmp_path / "1.3.dcm").rename(tmp_path / "1.3")
    (tmp_path / "notes.txt").write_text("no DICOM")
    inventory = orthanc_inventory.open(tmp_path / "1.0.dcm", verify=True)
    assert study_uids(inventory) == ["2.1", "2.2", "2.3"]
    (tmp_path / "whatever").unlink()
    with pytest.raises(MissingInstance):
        study_uids(orthanc_inventory.open(tmp_path / "1.0.dcm"))


def test_the_root_is_the_file_that_was_named(tmp_path: Path) -> None:
    (tmp_path / "1.0.dcm").write_bytes(file("1.0", [study("2.1")]))
    (tmp_path / "new.dcm").write_bytes(file("1.0", [study("2.2")]))
    assert study_uids(orthanc_inventory.open(tmp_path / "new.dcm")) == ["2.2"]
    with pytest.raises(MissingInstance):
        orthanc_inventory.open(tmp_path / "new.dcm", "1.7")


def test_a_folder_has_one_root_or_the_user_chooses(tmp_path: Path) -> None:
    save(tmp_path, chain(2))
    (tmp_path / "below").mkdir()
    (tmp_path / "1.1.dcm").rename(tmp_path / "below" / "odd")
    assert study_uids(orthanc_inventory.open(tmp_path)) == ["2.2", "2.1", "2.0"]
    save(tmp_path, {"1.9": file("1.9", [study("2.9")])})
    with pytest.raises(InvalidInventory, match=r"several inventories, choose one by uid: 1\.[29], 1\.[29] "):
        orthanc_inventory.open(tmp_path)
    assert study_uids(orthanc_inventory.open(str(tmp_path), uid="1.9")) == ["2.9"]
    assert study_uids(orthanc_inventory.open(tmp_path, "1.1")) == ["2.1", "2.0"]
    with pytest.raises(MissingInstance):
        orthanc_inventory.open(tmp_path, "1.5")


def test_a_folder_without_inventory_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no DICOM")
    with pytest.raises(InvalidInventory, match="no inventory in it"):
        orthanc_inventory.open(tmp_path)
    with pytest.raises(InvalidInventory, match="notes.txt, byte 0: .*no DICM"):
        orthanc_inventory.open(tmp_path / "notes.txt")
    with pytest.raises(FileNotFoundError):
        orthanc_inventory.open(tmp_path / "nothing")


def with_uri(uri: str, leaf: bytes, base: str = "") -> bytes:
    end_points: Mapping[str, Any] = {"InventoryAccessEndPointsSequence": [{"StoredInstanceBaseURI": base}]} if base else {}
    return file("1.0", references=[reference(leaf, "1.1", FileAccessURI=uri, ContainerFileType="DICOM")], below=1, **end_points)


def test_file_access_uris_are_followed_on_this_machine_only(tmp_path: Path) -> None:
    leaf = file("1.1", [study("2.1")])
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (there / "a leaf").write_bytes(leaf)
    root = here / "root"
    root.write_bytes(with_uri((there / "a leaf").as_uri(), leaf))
    assert study_uids(orthanc_inventory.open(root)) == ["2.1"]
    root.write_bytes(with_uri("./a%20leaf", leaf, there.as_uri() + "/"))
    assert study_uids(orthanc_inventory.open(root)) == ["2.1"]
    outside = ("../there/a%20leaf", ""), ("http://127.0.0.1:9/x", ""), ("./x", "http://127.0.0.1:9/"), ("file:///dev/zero", "")
    for uri, base in outside:
        root.write_bytes(with_uri(uri, leaf, base))
        with pytest.raises(MissingInstance):
            study_uids(orthanc_inventory.open(root))


@pytest.mark.parametrize("mode", ["small", "mapped", "stream"])
def test_any_stream_will_do(mode: str, tmp_path: Path) -> None:
    content = file("1.0", [study("2.1")], InventoryPurpose="x" * 10_000, InventoryInstanceDescription="y")
    if mode == "mapped":
        content = file("1.0", [study(f"2.{number}") for number in range(30_000)])
        assert len(content) > 5_000_000
    if mode == "stream":
        (tmp_path / "x").write_bytes(gzip.compress(content))

        def open_instance(uid: str) -> Any:
            return gzip.open(tmp_path / "x")
    else:
        (tmp_path / "x").write_bytes(content)

        def open_instance(uid: str) -> Any:
            return open(tmp_path / "x", "rb")

    assert len(study_uids(Inventory("1.0", open_instance))) == (30_000 if mode == "mapped" else 1)


def test_the_example_of_the_readme_runs(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    [example] = re.findall(r"^## Reading inventories in Python$.*?^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    (tmp_path / "inventory.dcm").write_bytes(file("1.0", [study("2.1", {"2.1.1": ["2.1.1.1"]}, StudyDate="20260131")]))
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["INSTANCE COMPLETE 20260101", "P 2.1 20260131", f"2.1.1.1 {CT} []"]
