"""What is recorded was so at its Item Inventory DateTime, whatever is written meanwhile; what is not recorded is told of."""

from __future__ import annotations

import datetime
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from pydicom.valuerep import DT

from . import archive
from .server import Server
from .writer import Writer, now, objects_of

# Patients whose studies rest, and of each of two writers.
_RESTING, _WRITTEN = range(1, 9), (range(11, 17), range(21, 27))


@pytest.mark.indexes("SQLite", "PostgreSQL-by-SQL")
@pytest.mark.parametrize("seconds", [8, pytest.param(120, marks=pytest.mark.long)])
@pytest.mark.parametrize("detail", ["Index", pytest.param("Files", marks=pytest.mark.long)])
def test_each_record_is_true(make_server: Callable[..., Server], seconds: int, detail: str) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    server = make_server(
        inventory={"MaxRecordsPerInstance": 40, "ThrottleDelay": 5, "StoreIn": "Directory", "Detail": detail}
    ).start()
    server.store(*(file for patient in _RESTING for file in [archive.file(patient, 1, 1, number) for number in (1, 2)]))
    writers = [Writer(server, patients, f"{seed} {number}") for number, patients in enumerate(_WRITTEN)]
    for writer in writers:
        writer.start()
    made = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline or not made:
        transaction = server.post("/inventories", {"Synchronous": True})
        assert transaction["State"] == "Success", transaction
        made.append((transaction, now()))
    for writer in writers:
        writer.stop()
    print(f"{sum(writer.changes for writer in writers)} changes, {len(made)} inventories")
    assert all(writer.changes for writer in writers)
    for transaction, end in made:
        check(server, writers, transaction, end)
    # At rest, what was changed is found, and no more.
    has_base = any(is_complete(server, transaction) for transaction, _ in made)
    increment = server.make(Base="latest" if has_base else None)
    full = server.make()
    answer = server.get(f"/inventories/{full['SOPInstanceUID']}/compare/{increment['SOPInstanceUID']}")
    assert answer["Same"], answer
    for writer in writers:
        for patient, history in writer.history.items():
            found = [objects_of(study) for study in server.studies(full) if study.PatientID == f"P{patient:04}"]
            assert found == ([history[-1].objects] if history[-1].objects else [])


def is_complete(server: Server, transaction: dict[str, Any]) -> bool:
    return server.get(f"/inventories/{transaction['SOPInstanceUID']}")["InventoryCompletionStatus"] == "COMPLETE"


def check(server: Server, writers: list[Writer], transaction: dict[str, Any], end: datetime.datetime) -> None:
    summary = server.get(f"/inventories/{transaction['SOPInstanceUID']}")
    root = server.file(summary["SOPInstanceUID"])
    begin = moment(f"{root.ContentDate}{root.ContentTime}{root.TimezoneOffsetFromUTC}")
    studies = server.studies(summary)
    patients = Counter(study.PatientID for study in studies)
    assert max(patients.values()) == 1 and all(patients[f"P{patient:04}"] for patient in _RESTING)
    # Each study of the snapshot is accounted for.
    skipped = [entry for entry in transaction["Skipped"] if entry["Level"] == "Study"]
    assert len(studies) + transaction["DeletedStudies"] + len(skipped) == transaction["TotalStudies"]
    assert (summary["InventoryCompletionStatus"] == "COMPLETE") == (not transaction["Skipped"])
    records = {study.PatientID: study for study in studies}
    unaccounted = len(skipped)
    for writer in writers:
        for patient in writer.history:
            study = records.pop(f"P{patient:04}", None)
            if study is None:
                # It was away, or had not come; else it is one of those that are named.
                unaccounted -= frozenset() not in writer.possible(patient, begin, end)
                continue
            at = moment(study.ItemInventoryDateTime)
            assert begin <= at <= end
            found = objects_of(study)
            possible = writer.possible(patient, at, at)
            assert found in possible, f"P{patient:04} at {at}: {[sorted(found ^ other) for other in possible]}"
            assert study.NumberOfStudyRelatedInstances == len(found)
            assert study.NumberOfStudyRelatedSeries == len(study.InventoriedSeriesSequence)
    assert unaccounted >= 0 and len(records) == len(_RESTING)


def moment(value: str) -> datetime.datetime:
    parsed = DT(str(value))
    assert parsed.tzinfo is not None
    return datetime.datetime.fromtimestamp(parsed.timestamp(), datetime.timezone.utc)
