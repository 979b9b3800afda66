"""The reader against pydicom: every record of a file is walked, and its UID is looked at."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pydicom
from pydicom.uid import ExplicitVRLittleEndian

import orthanc_inventory
from orthanc_inventory.dicom.encoder import StudyEncoder
from orthanc_inventory.dicom.inventory import Inventory

from ..unit.inventories import written
from .encoder import INSTANCES, SERIES, STUDIES, studies

REPETITIONS = 10


def _write(path: Path, undefined: bool) -> None:
    encode = StudyEncoder("INSTANCE").encode
    items = b"".join(encode(study)[0] for study in studies()) * REPETITIONS
    attributes = {"InventoryLevel": "INSTANCE", "InventoryCompletionStatus": "COMPLETE"}
    count = STUDIES * REPETITIONS
    path.write_bytes(Inventory("1.2.3", attributes, items, count, count).encode())
    if undefined:
        path.write_bytes(written(pydicom.dcmread(path), ExplicitVRLittleEndian, undefined=True))


def _ours(path: Path) -> list[str]:
    uids = []
    for study in orthanc_inventory.open(path).studies():
        uids.append(study.uid)
        for series in study.series():
            uids.append(series.uid)
            for instance in series.instances():
                uids.append(instance.uid)
    return uids


def _pydicom(path: Path) -> list[str]:
    uids = []
    for study in pydicom.dcmread(path).InventoriedStudiesSequence:
        uids.append(study.StudyInstanceUID)
        for series in study.InventoriedSeriesSequence:
            uids.append(series.SeriesInstanceUID)
            for instance in series.InventoriedInstancesSequence:
                uids.append(instance.SOPInstanceUID)
    return uids


def measure(undefined: bool) -> tuple[float, float]:
    """Microseconds a record, of ours and of pydicom: medians of several rounds that alternate.

    ``undefined``: the lengths of all sequences and items are.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "inventory.dcm")
        _write(path, undefined)
        uids = _ours(path)
        assert uids == _pydicom(path) and len(uids) == STUDIES * (1 + SERIES * (1 + INSTANCES)) * REPETITIONS

        def once(read: Callable[[Path], list[str]]) -> float:
            start = time.perf_counter()
            read(path)
            return (time.perf_counter() - start) / len(uids) * 1e6

        rounds = [(once(_ours), once(_pydicom)) for _ in range(7)]
    return median(ours for ours, _ in rounds), median(peer for _, peer in rounds)
