"""Exports by the route: the rows are the records, in any format; nothing stays behind."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import requests
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from orthanc_inventory.reports.columns import USUAL
from orthanc_inventory.reports.guarded_csv import unguard

from . import archive, foreign
from .server import ANALYTICS, Server
from .test_import import take

TYPES = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson", "parquet": "application/vnd.apache.parquet"}


def export(server: Server, uid: str, kind: str, folder: Path, more: str = "") -> list[dict[str, Any]]:
    """The rows of an export, with None where there is no value; numbers are text in CSV."""
    answer = server.request("GET", f"/inventories/{uid}/export?format={kind}{more}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == TYPES[kind]
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{uid}.{kind}"'
    if kind == "ndjson":
        return [json.loads(line) for line in answer.content.decode().split("\n")[:-1]]
    if kind == "csv":
        head, *rows = csv.reader(io.StringIO(answer.content.decode(), newline=""))
        return [{keyword: unguard(cell) or None for keyword, cell in zip(head, row, strict=True)} for row in rows]
    path = folder / "rows.parquet"
    path.write_bytes(answer.content)
    relation = duckdb.execute("SELECT * FROM read_parquet(?)", [str(path)])
    names = [column[0] for column in relation.description]
    return [dict(zip(names, row)) for row in relation.fetchall()]


def records(studies: list[Dataset], level: str) -> list[tuple[Dataset, ...]]:
    if level == "STUDY":
        return [(study,) for study in studies]
    series = [(study, entry) for study in studies for entry in study.InventoriedSeriesSequence]
    if level == "SERIES":
        return series
    return [(study, entry, instance) for study, entry in series for instance in entry.InventoriedInstancesSequence]


@pytest.mark.parametrize("store", ["Orthanc", "Directory"])
def test_rows_are_the_records(make_server: Callable[..., Server], tmp_path: Path, store: str) -> None:
    configuration = {"MaxRecordsPerInstance": 9, "StoreIn": store, "FileAccess": {"BaseUri": "https://pacs.example.org/"}}
    server = make_server(inventory=configuration)
    server.environment.update(ANALYTICS)
    server.start()
    server.store(*archive.files(6, 1, 2, 3), archive.file(9, 1, PatientName="=cmd|'/C calc'!A0", StudyDescription="@\"a,b"))
    summary = server.make()
    uid = summary["SOPInstanceUID"]
    studies = server.studies(summary)
    for level in ("STUDY", "SERIES", "INSTANCE"):
        keyword = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "INSTANCE": "SOPInstanceUID"}[level]
        expected = sorted(records(studies, level), key=lambda entries: str(entries[-1][keyword].value))
        for kind in TYPES:
            rows = export(server, uid, kind, tmp_path, f"&level={level.title()}")
            rows.sort(key=lambda row: row[keyword])
            assert [tuple(row) for row in rows] == [USUAL[level]] * len(expected)
            for row, (study, *below) in zip(rows, expected, strict=True):
                assert row["PatientName"] == str(study.PatientName) and row["StudyDate"] == study.StudyDate
                assert row["StudyDescription"] == study.StudyDescription and row["StudyInstanceUID"] == study.StudyInstanceUID
                assert row["ItemInventoryDateTime"] == study.ItemInventoryDateTime
                if below:
                    assert row["SeriesInstanceUID"] == below[0].SeriesInstanceUID and row["Modality"] == below[0].Modality
                if below[1:]:
                    access = below[1].FileAccessSequence[0]
                    assert row["SOPInstanceUID"] == below[1].SOPInstanceUID
                    assert (row["MACAlgorithm"], row["MAC"]) == ("MD5", access.MAC.hex())
                    assert row["FileAccessURI"] == "https://pacs.example.org/" + access.FileAccessURI.removeprefix("./")
                    number = int if kind != "csv" else str
                    assert row["FileLengthInContainer"] == number(access.FileLengthInContainer)
                    assert row["StoredInstanceTransferSyntaxUID"] == ExplicitVRLittleEndian
    whole = server.request("GET", f"/inventories/{uid}/export").content
    assert whole == server.request("GET", f"/inventories/{uid}/export?format=CSV&level=INSTANCE").content
    assert b",'=cmd|'/C calc'!A0," in whole and b",\"'@\"\"a,b\"," in whole
    assert list((server.state_directory / "exports").iterdir()) == []


def test_columns_can_be_chosen(shared_server: Server, tmp_path: Path) -> None:
    uid = shared_server.make(Level="SERIES")["SOPInstanceUID"]
    rows = export(shared_server, uid, "csv", tmp_path, "&columns=Modality%2CPatientID")
    assert sorted(map(tuple, map(dict.items, rows))) == [
        (("Modality", "CT"), ("PatientID", "P0001")), (("Modality", "CT"), ("PatientID", "P0002")),
        (("Modality", "CT"), ("PatientID", "P0003")), (("Modality", "MR"), ("PatientID", "P0003")),
    ]


def test_what_cannot_be_exported_is_refused(shared_server: Server) -> None:
    uid = shared_server.make(Level="SERIES")["SOPInstanceUID"]

    def refused(query: str) -> str:
        return shared_server.error("GET", f"/inventories/{uid}/export?{query}", 400)

    assert refused("format=xml") == "format must be one of csv, ndjson, parquet"
    assert refused("level=patient") == "level must be one of STUDY, SERIES, INSTANCE"
    assert refused("level=instance") == "level: the inventory has no records of level INSTANCE; allowed: STUDY, SERIES"
    assert refused("columns=PatientID,Nonsense").startswith("columns: Nonsense is unknown at level SERIES; allowed: ")
    assert refused("columns=PatientID,%3Cb%3E").startswith("columns: a name is unknown at level SERIES; allowed: ")
    assert refused("columns=Modality,Modality") == "columns: Modality stands there twice; allowed: each column once"
    shared_server.error("GET", "/inventories/2.25.99/export", 404)


def test_parquet_needs_the_extra(shared_server: Server) -> None:
    uid = shared_server.make()["SOPInstanceUID"]
    message = shared_server.error("GET", f"/inventories/{uid}/export?format=parquet", 503)
    assert message == "Parquet needs duckdb: pip install 'orthanc-inventory[analytics]'"
    assert not (shared_server.state_directory / "exports").exists()


def test_an_inventory_from_elsewhere(server: Server, tmp_path: Path) -> None:
    data = foreign.inventory("1.9.99", [foreign.study(number, 2, 3, RemovedFromOperationalUse="Y") for number in range(1, 4)])
    take(server, foreign.encode(data))
    rows = export(server, "1.9.99", "ndjson", tmp_path)
    assert [row["SOPInstanceUID"] for row in rows] == [entry[2].SOPInstanceUID for entry in records(
        list(data.InventoriedStudiesSequence), "INSTANCE"
    )]
    assert {row["RemovedFromOperationalUse"] for row in rows} == {"Y"} and rows[0]["PatientName"] == "Foreign1^Müller"


def test_what_a_crash_leaves_goes_at_the_next_start(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server()
    server.environment.update(ANALYTICS)
    text = "from orthanc_inventory.services.rest import exports\nat(exports, 'write_parquet', [1], die, after=True)"
    server.start_with(text)
    server.store(*archive.files(2))
    uid = server.make()["SOPInstanceUID"]
    with pytest.raises(requests.ConnectionError):
        server.request("GET", f"/inventories/{uid}/export?format=parquet")
    server.wait_until_dead()
    [left] = (server.state_directory / "exports").iterdir()
    assert left.stat().st_mode & 0o777 == 0o600 and left.parent.stat().st_mode & 0o777 == 0o700
    server.start()
    assert not (server.state_directory / "exports").exists()
    assert len(export(server, uid, "parquet", tmp_path)) == 2


def test_parquet_is_made_where_nothing_is_compiled_yet(make_server: Callable[..., Server], tmp_path: Path) -> None:
    """Python 3.14 compiles nothing in a thread of Orthanc's HTTP server: its stack is too small."""
    server = make_server()
    server.environment.update(ANALYTICS)
    server.start_with(f"import sys; sys.pycache_prefix = {str(server.folder / 'bytecode')!r}")
    server.store(*archive.files(2))
    assert len(export(server, server.make()["SOPInstanceUID"], "parquet", tmp_path)) == 2


def test_an_export_that_would_not_be_whole_is_refused(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 3, "StoreIn": "Directory"}).start()
    server.store(*archive.files(3))
    summary = server.make()
    path = next(server.state_directory.rglob(f"{summary['InstanceUIDs'][1]}.dcm"))
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    assert "cannot be read" in server.error("GET", f"/inventories/{summary['SOPInstanceUID']}/export", 409)
    path.unlink()
    assert "1 instances" in server.error("GET", f"/inventories/{summary['SOPInstanceUID']}/export", 409)


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_an_export_that_breaks_off_is_seen_to_be_broken(
    make_server: Callable[..., Server], tmp_path: Path, kind: str
) -> None:
    text = """
from orthanc_inventory.dicom.decoder import InvalidInventory
from orthanc_inventory.reader.records import Instance

def fail(*arguments):
    raise InvalidInventory("a file", 0, "it is broken", "PS3.5")

at(Instance, 'encoded_values', [1500], fail)
"""
    server = make_server().start_with(text)
    studies = [foreign.study(number, 2, 200) for number in range(1, 6)]
    take(server, foreign.encode(foreign.inventory("1.9.99", studies)))
    path = f"/inventories/1.9.99/export?format={kind}"
    answer = server.request("GET", path)
    if server.get("/inventories/status")["Capabilities"]["StreamedAnswers"]:
        assert answer.content.endswith(b'\n"this export broke off, the log of Orthanc says why')
        (tmp_path / "rows").write_bytes(answer.content)
        read = "read_csv(?, header = true, quote = '\"')" if kind == "csv" else "read_json(?, format = 'newline_delimited')"
        with pytest.raises(duckdb.Error):
            duckdb.execute(f"SELECT * FROM {read}", [str(tmp_path / "rows")]).fetchall()
    else:
        assert answer.status_code == 500
    assert "InvalidInventory in " in server.log()
    whole = server.request("GET", path)
    assert whole.status_code == 200 and whole.content.count(b"\n") == 2000 + (kind == "csv")


def test_what_cannot_be_streamed_is_refused_when_too_large(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server()
    text = "import orthanc_inventory.host; orthanc_inventory.host._LARGEST_ANSWER_IN_MEMORY = 1000"
    server.environment.update(ANALYTICS)
    server.start_with(text)
    server.store(*archive.files(9))
    uid = server.make()["SOPInstanceUID"]
    for kind in TYPES:
        if server.get("/inventories/status")["Capabilities"]["StreamedAnswers"]:
            assert len(export(server, uid, kind, tmp_path)) == 9
        else:
            message = server.error("GET", f"/inventories/{uid}/export?format={kind}", 413)
            assert message.endswith("ask for it in parts, or use the command line orthanc-inventory")
