"""orthanc-inventory export: rows go to standard output or into files that are there as a whole or not at all."""

from __future__ import annotations

import argparse
import stat
import sys
from pathlib import Path

import pytest

from orthanc_inventory.commands import CommandError, client, export
from orthanc_inventory.reader import MissingInstance
from orthanc_inventory.reports.columns import USUAL

from .exports import csv_rows, ndjson, text
from .inventories import save
from .test_export import detailed, inventory_of
from .test_parquet import read
from .test_reader import chain


@pytest.fixture
def source(tmp_path: Path) -> str:
    content, _ = inventory_of(*map(detailed, range(3)))
    folder = tmp_path / "source"
    folder.mkdir()
    save(folder, {"1.1": content})
    return str(folder)


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    export.add_arguments(parser)
    client.add_arguments(parser)
    return export.run(parser.parse_args(arguments))


def test_rows_go_to_standard_output(source: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    _, inventory = inventory_of(*map(detailed, range(3)))
    for kind in ("csv", "ndjson"):
        assert run(source, "--format", kind, "--level", "series", "--columns", "Modality,PatientID") == 0
        sys.stdout.flush()
        assert capfdbinary.readouterr().out == text(inventory, "SERIES", kind, ["Modality", "PatientID"])
    assert run(source) == 0
    sys.stdout.flush()
    assert list(csv_rows(capfdbinary.readouterr().out)[0]) == list(USUAL["INSTANCE"])


def test_rows_go_into_a_file(source: str, tmp_path: Path) -> None:
    _, inventory = inventory_of(*map(detailed, range(3)))
    for kind in ("csv", "ndjson", "parquet"):
        target = tmp_path / f"rows.{kind}"
        target.write_text("earlier")
        assert run(source, "--format", kind, "--output", str(target)) == 0
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        if kind == "parquet":
            assert read("read_parquet(?)", str(target)) == ndjson(inventory, "INSTANCE")
        else:
            assert target.read_bytes() == text(inventory, "INSTANCE", kind)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_data_set_goes_into_a_folder(source: str, tmp_path: Path) -> None:
    target = tmp_path / "set"
    assert run(source, "--format", "parquet", "--partition", "--output", str(target)) == 0
    assert sorted(path.name for path in target.iterdir()) == [f"StudyYear={year}" for year in (2000, 2001, 2002)]
    with pytest.raises(CommandError, match="set is there already; allowed: a new or empty folder"):
        run(source, "--format", "parquet", "--partition", "--output", str(target))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--columns", "Nonsense"), "columns: Nonsense is unknown at level INSTANCE; allowed: .*"),
        (("--format", "parquet"), "--output is needed: Parquet does not go to standard output"),
        (("--partition",), "--partition is for --format parquet only"),
        (("--output", "nowhere/rows.csv"), "--output: there is no folder nowhere"),
        (("--output", "/tmp"), "--output: /tmp is a folder; allowed: a file"),
    ],
)
def test_what_cannot_be_done_is_told(source: str, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=f"^{message}$"):
        run(source, *arguments)


def test_a_level_below_that_of_the_inventory_is_refused(tmp_path: Path) -> None:
    content, _ = inventory_of(level="STUDY")
    save(tmp_path, {"1.1": content})
    with pytest.raises(CommandError, match="level: the inventory has no records of level INSTANCE; allowed: STUDY"):
        run(str(tmp_path / "1.1.dcm"), "--level", "INSTANCE")


def test_parquet_needs_the_extra(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(CommandError, match=r"^Parquet needs duckdb: pip install 'orthanc-inventory\[analytics\]'$"):
        run(source, "--format", "parquet", "--output", str(tmp_path / "rows"))
    assert run(source, "--output", str(tmp_path / "rows")) == 0


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_nothing_is_left_of_what_fails(tmp_path: Path, kind: str) -> None:
    files = chain(3)
    del files["1.0"]
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    save(source, files)
    with pytest.raises(MissingInstance):
        run(str(source / "1.3.dcm"), "--format", kind, "--output", str(target / "rows"))
    assert list(target.iterdir()) == []
