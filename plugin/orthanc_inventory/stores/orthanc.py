"""Keeps inventories in Orthanc: one pseudo patient, one study a run, one series.

What is stored is the inventory plus the patient, study and series attributes that Orthanc demands; what is read back is
the inventory alone.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from ..dicom.inventory import Inventory, plain
from ..host import Host, HostError, NotFound, identifier_of
from . import InstanceGone, Kept, Run, StoreError

PSEUDO_PATIENT = "ORTHANC-INVENTORY"
# What is larger lies on disk while it is read (bytes).
_IN_MEMORY = 4 * 1024 * 1024
_WAY_ROUND = 'or set Inventory.StoreIn to "Directory"'


class OrthancStore:
    """``folder`` is for files without a name, each of which exists while a large instance is read."""

    def __init__(self, host: Host, folder: Path) -> None:
        self._host = host
        self._folder = folder
        self._patient = identifier_of(PSEUDO_PATIENT)

    def check(self, size: int) -> None:
        """Orthanc makes room by deleting patients: so the room must be there before (MaximumStorageMode Recycle)."""
        configuration = self._host.configuration
        if configuration.get("ReadOnly"):
            raise StoreError(f"Orthanc is ReadOnly: end that, {_WAY_ROUND}")
        patients = configuration.get("MaximumPatientCount") or 0
        megabytes = configuration.get("MaximumStorageSize") or 0
        if not patients and not megabytes:
            return
        statistics = self._host.get_json("/statistics")
        if patients and statistics["CountPatients"] + (not self._patient_exists()) > patients:
            raise StoreError(f"Orthanc has reached MaximumPatientCount ({patients}): raise it, {_WAY_ROUND}")
        # Twice the size: besides the file, Orthanc may keep a part of it as an attachment of its own.
        if megabytes and int(statistics["TotalDiskSize"]) + 2 * size >= megabytes * 1024 * 1024:
            raise StoreError(f"Orthanc has reached MaximumStorageSize ({megabytes} MB): raise it, {_WAY_ROUND}")

    def _patient_exists(self) -> bool:
        try:
            self._host.get(f"/patients/{self._patient}")
        except NotFound:
            return False
        return True

    def put(self, run: Run, inventory: Inventory, file: bytes, number: int) -> str:
        stored = inventory.encode(
            {
                "PatientID": PSEUDO_PATIENT,
                "PatientName": "Inventory",
                "StudyInstanceUID": run.study_uid,
                "StudyDate": run.date,
                "StudyTime": run.time,
                "StudyDescription": run.description,
                "SeriesInstanceUID": run.series_uid,
                "SeriesNumber": "1",
                "Modality": "OT",
                "InstanceNumber": str(number),
            }
        )
        self.check(len(stored))
        try:
            answer = json.loads(self._host.post("/instances", stored))
            if answer.get("Status") != "Success":
                raise StoreError(f"Orthanc answers {answer.get('Status')} instead of storing the inventory; is there a filter?")
            self._verify(answer["ID"], stored)
            # With the first instance of a run: until then the patient may not have been there, afterwards it stays.
            if number == 1:
                self._host.put(f"/patients/{self._patient}/protected", b"1")
        except HostError as error:
            raise StoreError(f"Orthanc does not store the inventory: {error}") from None
        return answer["ID"]

    def _verify(self, identifier: str, stored: bytes) -> None:
        """What will be read back must be what was given: IngestTranscoding or a script may have changed it."""
        try:
            kept = self._host.get(f"/instances/{identifier}/attachments/dicom/md5")
            expected = hashlib.md5(stored, usedforsecurity=False).hexdigest()
        except NotFound:  # StoreMD5ForAttachments is false
            kept = self._host.get(f"/instances/{identifier}/attachments/dicom/size")
            expected = str(len(stored))
        if kept.decode("ascii") != expected:
            self._host.delete(f"/instances/{identifier}")
            raise StoreError(f"Orthanc changed the inventory while storing it: look at IngestTranscoding, {_WAY_ROUND}")

    def read(self, run: Run, uid: str) -> Iterator[bytes | memoryview]:
        try:
            return plain(self._host.get(f"/instances/{_instance(run, uid)}/file"))
        except HostError:  # it may be listed still, but its file is lost
            raise InstanceGone from None

    def open(self, run: Run, uid: str) -> BinaryIO:
        content = b"".join(self.read(run, uid))
        if len(content) <= _IN_MEMORY:
            return BytesIO(content)
        # Several may be open at a time.
        file = tempfile.TemporaryFile(dir=self._folder)
        file.write(content)
        file.seek(0)
        return file

    def present(self, run: Run, uids: Iterable[str]) -> set[str]:
        identifiers = self._instances(run)
        return {uid for uid in uids if _instance(run, uid) in identifiers}

    def runs(self) -> list[str]:
        try:
            studies = self._host.get_json(f"/patients/{self._patient}/studies")
        except NotFound:
            return []
        tags = [study["MainDicomTags"] for study in studies]
        tags.sort(key=lambda study: (study.get("StudyDate", ""), study.get("StudyTime", "")))
        return [study["StudyInstanceUID"] for study in tags]

    def contents(self, study_uid: str) -> Kept:
        study = identifier_of(PSEUDO_PATIENT, study_uid)
        tags = self._host.get_json(f"/studies/{study}")["MainDicomTags"]
        series = self._host.get_json(f"/studies/{study}/series")
        run = Run(
            study_uid, series[0]["MainDicomTags"]["SeriesInstanceUID"], tags.get("StudyDate", ""), tags.get("StudyTime", ""),
            tags.get("StudyDescription", ""),
        )
        instances = self._host.get_json(f"/series/{series[0]['ID']}/instances")
        return Kept(run, {entry["MainDicomTags"]["SOPInstanceUID"]: entry["ID"] for entry in instances})

    def keep_only(self, run: Run, uids: Iterable[str]) -> None:
        kept = {_instance(run, uid) for uid in uids}
        for identifier in self._instances(run) - kept:
            self._delete(identifier)

    def delete(self, run: Run, uid: str) -> None:
        self._delete(_instance(run, uid))

    def _delete(self, identifier: str) -> None:
        try:
            self._host.delete(f"/instances/{identifier}")
        except NotFound:
            pass
        except HostError as error:
            raise StoreError(f"Orthanc does not delete the inventory: {error}") from None

    def _instances(self, run: Run) -> set[str]:
        """Orthanc's IDs of all that the run has put."""
        try:
            series = self._host.get_json(f"/studies/{identifier_of(PSEUDO_PATIENT, run.study_uid)}/series")
        except NotFound:
            return set()
        return {identifier for entry in series for identifier in entry["Instances"]}


def _instance(run: Run, uid: str) -> str:
    return identifier_of(PSEUDO_PATIENT, run.study_uid, run.series_uid, uid)
