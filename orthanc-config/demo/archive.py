"""Fills an empty archive, and lists what an archive holds."""

from __future__ import annotations

import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pydicom.data

from . import studies
from .orthanc import Orthanc

# The plugin keeps inventories in Orthanc under this patient.
_INVENTORY_PATIENT = "ORTHANC-INVENTORY"


def fill(orthanc: Orthanc, unfinished: Path) -> None:
    """Does nothing to an archive that holds something, unless the file ``unfinished`` tells that filling it was cut off."""
    if orthanc.get("/statistics")["CountInstances"] and not unfinished.exists():
        return
    unfinished.touch()
    refused = 0
    for file in _files():
        try:
            orthanc.post("/instances", file)
        except urllib.error.HTTPError:  # some test files have no UIDs
            refused += 1
    unfinished.unlink()
    stored = orthanc.get("/statistics")["CountInstances"]
    print(f"Demo archive: {stored} objects; Orthanc refused {refused} of pydicom's test files, which have no UIDs")


def _files() -> Iterator[bytes]:
    yield from studies.files()
    for path in sorted(Path(pydicom.data.__file__).parent.rglob("*.dcm")):
        yield path.read_bytes()


def objects(orthanc: Orthanc) -> Iterator[tuple[str, str, str, str]]:
    """Patient ID, study, series and SOP Instance UID of each object that is no inventory, asked of Orthanc alone."""
    for study in orthanc.get("/studies?expand"):
        # Trailing spaces mean nothing (PS3.5 6.2), although Orthanc tells patients apart by them.
        patient = study["PatientMainDicomTags"].get("PatientID", "").rstrip(" ")
        if patient == _INVENTORY_PATIENT:
            continue
        for series in orthanc.get(f"/studies/{study['ID']}/series"):
            for instance in orthanc.get(f"/series/{series['ID']}/instances"):
                yield (
                    patient,
                    study["MainDicomTags"]["StudyInstanceUID"],
                    series["MainDicomTags"]["SeriesInstanceUID"],
                    instance["MainDicomTags"]["SOPInstanceUID"],
                )
