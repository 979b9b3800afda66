"""What pydicom finds in an inventory, as the rows of an export should be, and exports as they are read back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pydicom
from pydicom.dataset import Dataset

from orthanc_inventory.dicom.terms import LEVELS
from orthanc_inventory.dicom.uris import resolve
from orthanc_inventory.reader import Inventory
from orthanc_inventory.reports.columns import available, chosen
from orthanc_inventory.reports.export import text_rows
from orthanc_inventory.reports.formats import TEXT_FORMATS
from orthanc_inventory.reports.guarded_csv import unguard

Row = dict[str, Any]
INHERITED = (
    "RemovedFromOperationalUse", "ReasonForRemovalCodeSequence", "InstanceAvailability", "StorageMediaFileSetID",
    "StoredInstanceBaseURI",
)


def plain_columns(level: str) -> list[str]:
    """All columns but whole sequences."""
    return [keyword for keyword, column in available(level).items() if column.vr != "SQ"]


def text(inventory: Inventory, level: str, kind: str, keywords: Sequence[str] = ()) -> bytes:
    columns = chosen(level, keywords)
    return b"".join(text_rows(inventory, level, columns, TEXT_FORMATS[kind](columns)))


def ndjson(inventory: Inventory, level: str, keywords: Sequence[str] = ()) -> list[Row]:
    return [json.loads(line) for line in text(inventory, level, "ndjson", keywords).decode().split("\n")[:-1]]


def csv_rows(content: bytes) -> list[Row]:
    """Without guards; None where a cell is empty."""
    head, *rows = csv.reader(io.StringIO(content.decode(), newline=""))
    return [{keyword: unguard(cell) or None for keyword, cell in zip(head, row, strict=True)} for row in rows]


def as_text(rows: Sequence[Row]) -> list[Row]:
    """As CSV can tell of them."""
    return [{keyword: None if value is None else str(value) for keyword, value in row.items()} for row in rows]


def by_pydicom(file: bytes, level: str, keywords: Sequence[str]) -> list[Row]:
    columns = available(level)
    rows = []
    for records in _records(pydicom.dcmread(io.BytesIO(file)), level):
        row: Row = {}
        for keyword in keywords:
            column = columns[keyword]
            record: Dataset | None = records[LEVELS.index(column.level)]
            if keyword in INHERITED:
                record = next((entry for entry in reversed(records) if entry.get(keyword)), None)
            elif column.sequence:
                record = next(iter(record.get(column.sequence) or []), None)
            value = _value(record, keyword)
            if keyword in ("FileAccessURI", "FolderAccessURI") and value:
                bases = (_value(entry, "StoredInstanceBaseURI") for entry in reversed(records))
                value = resolve(value, next(filter(None, bases), ""))
            row[keyword] = value
        if any(_value(record, "RemovedFromOperationalUse") == "Y" for record in records):
            row["RemovedFromOperationalUse"] = "Y"
        rows.append(row)
    return rows


def _records(inventory: Dataset, level: str) -> Iterator[tuple[Dataset, ...]]:
    for study in inventory.InventoriedStudiesSequence:
        if level == "STUDY":
            yield (study,)
            continue
        for series in study.InventoriedSeriesSequence:
            if level == "SERIES":
                yield study, series
            else:
                yield from ((study, series, instance) for instance in series.InventoriedInstancesSequence)


def _value(record: Dataset | None, keyword: str) -> Any:
    if record is None or keyword not in record or record[keyword].is_empty:
        return None
    element = record[keyword]
    if element.VR == "OB":
        return element.value.hex()
    if element.VR in ("IS", "US", "UL", "UV"):
        return int(element.value)
    values = element.value if element.VM > 1 else [element.value]
    return "\\".join(map(str, values)) or None
