"""Makes an inventory by REST, as any script can, and compares it with the archive."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pydicom

from . import archive
from .orthanc import Failure, Orthanc


def make(orthanc: Orthanc) -> dict[str, Any]:
    """Makes an inventory with a line that shows its progress, and answers its summary."""
    run = orthanc.post("/inventories", json.dumps({"Purpose": "Demo"}).encode())
    while True:
        transaction = orthanc.get(run["Path"])
        _show(transaction)
        if transaction["State"] not in ("Pending", "Running"):
            break
        time.sleep(0.2)
    if transaction["State"] != "Success":
        raise Failure(f"the inventory ended as {transaction['TransactionStatus']}: {transaction['TransactionStatusComment']}")
    return orthanc.get(f"/inventories/{transaction['SOPInstanceUID']}")


def _show(transaction: dict[str, Any]) -> None:
    records = sum(transaction[level] for level in ("Studies", "Series", "Instances"))
    line = f"Inventory: {transaction['Progress']:3} %, {transaction['TotalStudies']} studies in the archive, {records} records"
    # A terminal shows one line that changes.
    waiting = sys.stdout.isatty() and transaction["State"] in ("Pending", "Running")
    print(line, end="\r" if waiting else "\n", flush=True)


def show(orthanc: Orthanc, summary: dict[str, Any]) -> None:
    uid = summary["SOPInstanceUID"]
    print(f"Inventory {uid} is {summary['InventoryCompletionStatus']}:")
    print(f"  {summary['Studies']} studies, {summary['Series']} series, {summary['Instances']} instances")
    print(f"  {len(summary['InstanceUIDs'])} inventory instances, {summary['Size']} bytes")
    print("Addresses to open:")
    print(f"  {orthanc.url}/app/explorer.html")
    print(f"  {orthanc.url}/inventories/{uid}")
    print(f"  {orthanc.url}/inventories/{uid}/file")


def check(orthanc: Orthanc, summary: dict[str, Any]) -> None:
    """Raises Failure unless the inventory is COMPLETE and has exactly the objects of the archive."""
    if summary["InventoryCompletionStatus"] != "COMPLETE":
        raise Failure(f"the inventory is {summary['InventoryCompletionStatus']}")
    listed, held = sorted(_records(orthanc, summary)), sorted(archive.objects(orthanc))
    if listed != held:
        missing, extra = len(set(held) - set(listed)), len(set(listed) - set(held))
        raise Failure(f"{len(listed)} records for {len(held)} objects: {missing} are missing, {extra} are not in the archive")
    print(f"Checked: each of the {len(held)} objects in the archive has its record, and there is no other record")


def _records(orthanc: Orthanc, summary: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for uid in summary["InstanceUIDs"]:
        inventory = pydicom.dcmread(BytesIO(orthanc.read(f"/inventories/{uid}/file")))
        for study in inventory.InventoriedStudiesSequence:
            for series in study.InventoriedSeriesSequence:
                for instance in series.InventoriedInstancesSequence:
                    yield study.PatientID or "", study.StudyInstanceUID, series.SeriesInstanceUID, instance.SOPInstanceUID
