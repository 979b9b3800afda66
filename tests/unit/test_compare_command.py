"""orthanc-inventory compare: forms of the answer, exit codes, and what is refused in one line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from .inventories import file, save
from .test_commands import ran
from .test_comparison import FIRST, SECOND


@pytest.fixture
def old(tmp_path: Path) -> str:
    return str(save(tmp_path, {"1.1": file("1.1", FIRST)}) / "1.1.dcm")


@pytest.fixture
def new(tmp_path: Path) -> str:
    (tmp_path / "new").mkdir()
    return str(save(tmp_path / "new", {"1.2": file("1.2", SECOND)}))


def test_a_report_is_for_people(old: str, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, output, errors = ran(capsys, "compare", old, new)
    assert (code, errors) == (1, "") and output.startswith("Comparison at level INSTANCE: different\n")
    assert "33.33% of the instances of the first are in the second." in output
    assert "Missing   STUDY    2.2\n" in output and "PatientID: 'P' -> 'Q'" in output
    code, output, _ = ran(capsys, "compare", old, old)
    assert code == 0 and output.startswith("Comparison at level INSTANCE: the same\n")


def test_lists_are_for_programs(old: str, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, output, _ = ran(capsys, "compare", old, new, "--json")
    told = json.loads(output)
    assert code == 1 and (told["First"], told["Second"], told["TotalDifferences"]) == ("1.1", "1.2", 6)
    assert len(told["Differences"]) == 6
    same = json.loads(ran(capsys, "compare", old, old, "--format", "json")[1])
    assert same["Same"] and same["Differences"] == []
    rows = list(csv.DictReader(io.StringIO(ran(capsys, "compare", old, new, "--format", "csv", "--kind", "Extra")[1])))
    assert [row["StudyInstanceUID"] for row in rows] == ["2.1", "2.4"]
    assert ran(capsys, "compare", old, new, "--format", "uids")[1].splitlines() == ["2.1", "2.2"]


def test_all_differences_are_told(tmp_path: Path, old: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"9.{number}" for number in range(2500)]
    (tmp_path / "list.csv").write_text("\n".join(["StudyInstanceUID", *names]))
    code, output, _ = ran(capsys, "compare", str(tmp_path / "list.csv"), old, "--level", "study", "--format", "uids")
    assert code == 1 and output.splitlines() == sorted(names)
    output = ran(capsys, "compare", str(tmp_path / "list.csv"), old, "--level", "study", "--json", "--kind", "Missing")[1]
    told = json.loads(output)
    assert [entry["StudyInstanceUID"] for entry in told["Differences"]] == sorted(names) and told["First"] is None


@pytest.mark.parametrize("level", ["STUDY", "SERIES", "INSTANCE"])
def test_an_export_is_the_same_as_its_inventory(
    tmp_path: Path, old: str, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ran(capsys, "export", old, "--level", level)[1]
    (tmp_path / "rows.csv").write_text(rows, newline="")
    code, output, _ = ran(capsys, "compare", old, str(tmp_path / "rows.csv"), "--level", level)
    assert code == 0 and "PatientName" in output, output


def test_bad_input_is_one_line(tmp_path: Path, old: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "list.csv").write_text("StudyInstanceUID,PatientID\n2.1\n")
    (tmp_path / "studies.csv").write_text("StudyInstanceUID\n2.1\n")
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(Path(old).read_bytes()[:-20])
    for arguments, problem in {
        (old, str(tmp_path / "list.csv"), "--level", "STUDY"): "list.csv, line 2: there are 1 cells, and not 2",
        (old, str(tmp_path / "studies.csv")): "common is level STUDY",
        (old, old, "--level", "PATIENT"): "--level",
        (old, old, "--attributes", "PatientID,Nonsense"): "attributes: Nonsense cannot be compared; allowed keywords: ",
        (old, old, "--kind", "Lost"): "--kind",
        (old, old, "--format", "xml"): "--format",
        (old, str(broken)): "broken.dcm, byte ",
        (old, str(tmp_path / "nothing")): "nothing",
    }.items():
        code, output, errors = ran(capsys, "compare", *arguments)
        [line] = errors.splitlines()
        assert (code, output) == (2, "") and problem in line
