"""Parquet, CSV and NDJSON hold the same records, as duckdb reads them; a Parquet file is there as a whole or not at all."""

from __future__ import annotations

import io
import stat
import sys
from pathlib import Path
from typing import Any

import duckdb
import pydicom
import pytest

from orthanc_inventory.dicom.terms import LEVELS
from orthanc_inventory.reader import Inventory, MissingInstance
from orthanc_inventory.reports import parquet
from orthanc_inventory.reports.columns import USUAL, chosen
from orthanc_inventory.reports.parquet import DuckdbMissing, ParquetError, write_parquet

from .exports import Row, csv_rows, ndjson, text
from .inventories import opened, study
from .test_export import detailed, inventory_of
from .test_reader import chain

# What breaks readers of text, and what duckdb takes for the pattern of several files.
ODD = ["a\"b", "a,b", "a\u2028b", "'q", "#", "NULL", "\\N", "\ufeffb", "=1", " b", "x" * 10_000]
NO_YEAR = "__HIVE_DEFAULT_PARTITION__"
ODD_FOLDER = "it's [a] *?{b}"


def read(source: str, *parameters: Any) -> list[Row]:
    relation = duckdb.execute(f"SELECT * FROM {source}", parameters)
    names = [column[0] for column in relation.description]
    return [dict(zip(names, row)) for row in relation.fetchall()]


def write(inventory: Inventory, level: str, target: Path, keywords: tuple[str, ...] = (), partition: bool = False) -> Path:
    write_parquet(inventory, level, chosen(level, keywords), target, partition)
    return target


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("piece", [1, 3000, parquet._PIECE])
def test_all_formats_hold_the_same_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str, piece: int) -> None:
    monkeypatch.setattr(parquet, "_PIECE", piece)
    _, inventory = inventory_of(*(detailed(number, StudyID=value) for number, value in enumerate(ODD)))
    expected = ndjson(inventory, level)
    (tmp_path / "rows.ndjson").write_bytes(text(inventory, level, "ndjson"))
    (tmp_path / "rows.csv").write_bytes(text(inventory, level, "csv"))
    found = read("read_parquet(?)", str(write(inventory, level, tmp_path / "rows.parquet")))
    assert found == expected and list(found[0]) == list(USUAL[level])
    integers = {column.keyword: "BIGINT" for column in chosen(level, []) if column.integer}
    types = {keyword: integers.get(keyword, "VARCHAR") for keyword in USUAL[level]}
    assert read("read_json(?, columns = ?)", str(tmp_path / "rows.ndjson"), types) == expected
    unguarded = ", ".join(_unguarded(keyword, types[keyword]) for keyword in types)
    source = "read_csv(?, header = true, all_varchar = true, quote = '\"', escape = '\"')"
    assert read(f"(SELECT {unguarded} FROM {source})", str(tmp_path / "rows.csv")) == expected
    # What a reader of Parquet is told without reading the rows.
    described = duckdb.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(tmp_path / "rows.parquet")]).fetchall()
    assert {entry[0]: entry[1] for entry in described} == types


def _unguarded(keyword: str, type_: str) -> str:
    return f"""CAST(regexp_replace("{keyword}", '^''', '') AS {type_}) AS "{keyword}" """


@pytest.mark.parametrize("value", ODD)
def test_odd_text_arrives(tmp_path: Path, value: str) -> None:
    # An inventory from elsewhere can say anything.
    content, _ = inventory_of(detailed(1))
    data_set = pydicom.dcmread(io.BytesIO(content))
    data_set.InventoriedStudiesSequence[0].add(pydicom.DataElement(0x00081030, "UT", value))
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, data_set)
    inventory = opened({"1.1": stream.getvalue()}, "1.1")
    [row] = read("read_parquet(?)", str(write(inventory, "STUDY", tmp_path / "rows", ("StudyDescription",))))
    assert row == {"StudyDescription": value} == csv_rows(text(inventory, "STUDY", "csv", ["StudyDescription"]))[0]


@pytest.mark.parametrize("piece", [1, parquet._PIECE])
def test_a_data_set_by_year_of_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    monkeypatch.setattr(parquet, "_PIECE", piece)
    records = [detailed(number) for number in range(40)]
    for record, date in zip(records, ("", "2020", "20200131-", "=1+12020", "/../../x")):
        record.attributes = {**record.attributes, "StudyDate": date}
    _, inventory = inventory_of(*records)
    folder = tmp_path / ODD_FOLDER
    folder.mkdir()
    for keywords in ((), ("SOPInstanceUID", "PatientID")):
        target = write(inventory, "INSTANCE", folder / f"set{len(keywords)}", keywords, partition=True)
        names = sorted(path.name for path in target.iterdir())
        assert names == sorted([f"StudyYear={NO_YEAR}", *(f"StudyYear={2000 + year}" for year in range(30))])
        assert {path.name for path in target.rglob("*.parquet")} == {"1.1.parquet"}
        assert {mode(path) for path in (target, *target.iterdir())} == {0o700}
        assert {mode(path) for path in target.rglob("*.parquet")} == {0o600}
        renamed = target.rename(tmp_path / target.name)
        found = read("read_parquet(? || '/*/*.parquet', hive_partitioning = true, hive_types_autocast = false)", str(renamed))
        by_uid = {row["SOPInstanceUID"]: row for row in ndjson(inventory, "INSTANCE", (*(keywords or USUAL["INSTANCE"]),))}
        dates = {row["SOPInstanceUID"]: row["StudyDate"] for row in ndjson(inventory, "INSTANCE")}
        assert len(found) == len(by_uid) == 400
        for row in found:
            # Early versions of duckdb tell the name of the folder.
            year, date = row.pop("StudyYear") or NO_YEAR, dates[row["SOPInstanceUID"]] or ""
            assert year == (date[:4] if len(date) == 8 and date.isdigit() else NO_YEAR)
            assert row == by_uid[row["SOPInstanceUID"]]
    # The rows of a year stand in the order of the inventory.
    ordered = read("read_parquet(?)", str(tmp_path / "set0" / "StudyYear=2010" / "1.1.parquet"))
    assert [row["SOPInstanceUID"] for row in ordered] == [uid for uid, date in dates.items() if (date or "").startswith("2010")]


def test_an_inventory_without_rows_has_columns(tmp_path: Path) -> None:
    _, inventory = inventory_of()
    relation = duckdb.execute("SELECT * FROM read_parquet(?)", [str(write(inventory, "STUDY", tmp_path / "rows"))])
    assert [column[0] for column in relation.description] == list(USUAL["STUDY"]) and relation.fetchall() == []
    assert list(write(inventory, "STUDY", tmp_path / "set", partition=True).iterdir()) == []


def test_a_file_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    _, inventory = inventory_of(detailed(1))
    target = tmp_path / "rows.parquet"
    target.write_text("earlier")
    write(inventory, "STUDY", target)
    assert len(read("read_parquet(?)", str(target))) == 1 and mode(target) == 0o600
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("partition", [False, True])
def test_nothing_is_left_of_what_fails(tmp_path: Path, partition: bool) -> None:
    files = chain(3)
    del files["1.0"]
    inventory = opened(files, "1.3")
    with pytest.raises(MissingInstance):
        write(inventory, "INSTANCE", tmp_path / "rows", partition=partition)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_of_duckdb_is_told_without_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, inventory = inventory_of(study("2.1", StudyDescription="Secret"))
    monkeypatch.setattr(parquet, "_CSV", "auto_detect = false, header = false, delim = '|'")
    with pytest.raises(ParquetError) as error:
        write(inventory, "STUDY", tmp_path / "rows")
    message = str(error.value)
    assert "Secret" not in message and "\n" not in message and str(tmp_path) in message
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_imported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    _, inventory = inventory_of(detailed(1))
    with pytest.raises(DuckdbMissing, match=r"^Parquet needs duckdb: pip install 'orthanc-inventory\[analytics\]'$"):
        write(inventory, "STUDY", tmp_path / "rows")
    assert list(tmp_path.iterdir()) == []


def test_row_groups_do_not_depend_on_the_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_PIECE", 20_000)
    _, inventory = inventory_of(*map(detailed, range(100)))
    target = write(inventory, "INSTANCE", tmp_path / "rows")
    facts = read("parquet_metadata(?)", str(target))
    assert {row["row_group_num_rows"] for row in facts} == {1000} and {row["compression"] for row in facts} == {"ZSTD"}
