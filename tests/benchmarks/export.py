"""Exports of instances against a plain loop over pydicom data sets that writes the same rows."""

from __future__ import annotations

import csv
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pydicom

import orthanc_inventory
from orthanc_inventory.dicom.encoder import StudyEncoder
from orthanc_inventory.dicom.inventory import Inventory
from orthanc_inventory.reports.columns import chosen
from orthanc_inventory.reports.export import text_rows
from orthanc_inventory.reports.formats import TEXT_FORMATS
from orthanc_inventory.reports.guarded_csv import guard
from orthanc_inventory.reports.parquet import write_parquet

from .encoder import INSTANCES, SERIES, STUDIES, studies

PATIENTS = 20
ROWS = PATIENTS * STUDIES * SERIES * INSTANCES
_COLUMNS = chosen("INSTANCE", [])
_KEYWORDS = [column.keyword for column in _COLUMNS]


def _write(path: Path) -> None:
    encode = StudyEncoder("INSTANCE").encode
    items = b""
    for patient in range(PATIENTS):
        for study in studies():
            study.attributes = {**study.attributes, "PatientID": f"P{patient}"}
            items += encode(study)[0]
    attributes = {"InventoryLevel": "INSTANCE", "InventoryCompletionStatus": "COMPLETE"}
    path.write_bytes(Inventory("1.2.3", attributes, items, PATIENTS * STUDIES, PATIENTS * STUDIES).encode())


def _text(kind: str) -> Callable[[Path], bytes]:
    def export(path: Path) -> bytes:
        return b"".join(text_rows(orthanc_inventory.open(path), "INSTANCE", _COLUMNS, TEXT_FORMATS[kind](_COLUMNS)))

    return export


def _parquet(path: Path) -> bytes:
    target = path.with_name("rows.parquet")
    write_parquet(orthanc_inventory.open(path), "INSTANCE", _COLUMNS, target)
    return target.read_bytes()


def _pydicom(path: Path) -> bytes:
    target = io.StringIO(newline="")
    writer = csv.writer(target)
    writer.writerow(_KEYWORDS)
    for study in pydicom.dcmread(path).InventoriedStudiesSequence:
        for series in study.InventoriedSeriesSequence:
            for instance in series.InventoriedInstancesSequence:
                records = (instance.FileAccessSequence[0], instance, series, study)
                row = []
                for keyword in _KEYWORDS:
                    value = next((record.get(keyword) for record in records if keyword in record), None)
                    value = "" if value is None else value
                    row.append(value.hex() if isinstance(value, bytes) else guard(str(value)))
                writer.writerow(row)
    return target.getvalue().encode()


def measure() -> tuple[dict[str, float], float]:
    """Rows a second of each format, and of pydicom: medians of several rounds that alternate."""
    exports = {"csv": _text("csv"), "ndjson": _text("ndjson"), "parquet": _parquet}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "inventory.dcm")
        _write(path)
        assert exports["csv"](path) == _pydicom(path)

        def once(export: Callable[[Path], bytes]) -> float:
            start = time.perf_counter()
            export(path)
            return ROWS / (time.perf_counter() - start)

        rounds = [[once(export) for export in (*exports.values(), _pydicom)] for _ in range(5)]
    *ours, peer = (median(rates) for rates in zip(*rounds))
    return dict(zip(exports, ours)), peer
