"""An archive of any size, written straight into the tables of Orthanc's index in PostgreSQL: files behind it there are none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg

from orthanc_inventory.host import identifier_of

from ..integration.archive import uid
from .archive import INSTANCES, SERIES

_MOMENT = "20250314T101500"
_TABLES = {
    "resources": ("internalid", "resourcetype", "publicid", "parentid"),
    "maindicomtags": ("id", "taggroup", "tagelement", "value"),
    "dicomidentifiers": ("id", "taggroup", "tagelement", "value"),
    "metadata": ("id", "type", "value", "revision"),
    "attachedfiles": (
        "id", "filetype", "uuid", "compressedsize", "uncompressedsize", "compressiontype", "uncompressedhash", "compressedhash",
        "revision",
    ),
    "patientrecyclingorder": ("patientid",),
}
_IDENTIFIERS = {"00100010", "00100020", "00100030", "0020000D", "00080020", "00080050", "00081030", "0020000E", "00080018"}
_BATCH = 400
Rows = dict[str, list[tuple[Any, ...]]]


def fill(connection: psycopg.Connection[Any], instances: int) -> None:
    """Adds studies to the empty index that Orthanc has made there; none may be running.

    ``connection`` is that of a superuser, as the triggers that count each row are left out and the counts written at the end.
    """
    studies = instances // (SERIES * INSTANCES)
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        for start in range(0, studies, _BATCH):
            rows: Rows = {table: [] for table in _TABLES}
            for number in range(start, min(start + _BATCH, studies)):
                _add_study(rows, number)
            for table, columns in _TABLES.items():
                _copy(connection, table, columns, rows[table])
        counts = (studies, studies, studies * SERIES, studies * SERIES * INSTANCES)
        for key, count in enumerate(counts, 2):
            connection.execute("UPDATE globalintegers SET value = %s WHERE key = %s", (count, key))
        size = counts[-1] * _SIZE
        connection.execute("UPDATE globalintegers SET value = %s WHERE key IN (0, 1)", (size,))
        connection.execute("SELECT setval('resources_internalid_seq', (SELECT max(internalid) FROM resources))")
    connection.execute("ANALYZE")


_SIZE = 526_000


def _copy(connection: psycopg.Connection[Any], table: str, columns: Iterable[str], rows: list[tuple[Any, ...]]) -> None:
    with connection.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _numbers(study: int) -> Iterator[int]:
    """As Orthanc numbers its resources: each before its children."""
    in_study = 2 + SERIES * (1 + INSTANCES)
    return iter(range(1 + study * in_study, 1 + (study + 1) * in_study))


def _add_study(rows: Rows, number: int) -> None:
    numbers = _numbers(number)
    patient_id, study_uid = f"P{number:07}", uid(number, 1)
    patient_tags = {"00100010": f"Family{number}^Given", "00100020": patient_id, "00100030": "19700101", "00100040": "O"}
    patient = _add(rows, next(numbers), 0, None, [patient_id], patient_tags, {7: _MOMENT})
    rows["patientrecyclingorder"].append((patient,))
    date = f"{2000 + number % 25}{1 + number % 12:02}{1 + number % 28:02}"
    study_tags = {
        **patient_tags, "00080020": date, "00080030": "101530", "00080050": f"A{number:07}", "00080090": "Referring^Doctor",
        "00081030": "Thorax", "0020000D": study_uid, "00200010": "1",
    }
    study = _add(rows, next(numbers), 1, patient, [patient_id, study_uid], study_tags, {7: _MOMENT})
    for series_number in range(1, SERIES + 1):
        series_uid = uid(number, 1, series_number)
        tags = {
            "00080021": date, "00080060": "CT", "0008103E": f"Series {series_number}", "0020000E": series_uid,
            "00200011": str(series_number),
        }
        identifiers = [patient_id, study_uid, series_uid]
        series = _add(rows, next(numbers), 2, study, identifiers, tags, {3: "PACS", 7: _MOMENT})
        for instance in range(1, INSTANCES + 1):
            instance_uid = uid(number, 1, series_number, instance)
            _add_instance(rows, next(numbers), series, identifiers, instance_uid, instance)


def _add_instance(rows: Rows, number: int, series: int, identifiers: list[str], instance_uid: str, position: int) -> None:
    tags = {
        "00080012": "20250314", "00080013": "101500", "00080018": instance_uid, "00200012": "1", "00200013": str(position),
        "00200032": f"-150\\-150\\{position}.5", "00200037": "1\\0\\0\\0\\1\\0",
    }
    metadata = {
        1: str(position), 2: _MOMENT, 3: "PACS", 8: "DicomProtocol", 9: "1.2.840.10008.1.2.1", 10: "1.2.840.10008.5.1.4.1.1.2",
        11: "127.0.0.1", 12: "ORTHANC",
    }
    _add(rows, number, 3, series, [*identifiers, instance_uid], tags, metadata)
    md5 = hashlib.md5(instance_uid.encode(), usedforsecurity=False).hexdigest()
    uuid = f"{md5[:8]}-{md5[8:12]}-{md5[12:16]}-{md5[16:20]}-{md5[20:]}"
    rows["attachedfiles"].append((number, 1, uuid, _SIZE, _SIZE, 1, md5, md5, 0))


def _add(
    rows: Rows,
    number: int,
    level: int,
    parent: int | None,
    identifiers: list[str],
    tags: dict[str, str],
    metadata: dict[int, str],
) -> int:
    rows["resources"].append((number, level, identifier_of(*identifiers), parent))
    for tag, value in tags.items():
        row = (number, int(tag[:4], 16), int(tag[4:], 16))
        rows["maindicomtags"].append((*row, value))
        if tag in _IDENTIFIERS:
            rows["dicomidentifiers"].append((*row, value.upper()))
    rows["metadata"].extend((number, kind, value, 0) for kind, value in metadata.items())
    return number
