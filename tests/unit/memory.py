"""An archive and a store in memory: what a Producer needs besides its journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from typing import BinaryIO

from orthanc_inventory.dicom.inventory import Inventory
from orthanc_inventory.dicom.records import InstanceRecord, SeriesRecord, Skipped, StudyRecord
from orthanc_inventory.dicom.scope import Scope
from orthanc_inventory.host import identifier_of
from orthanc_inventory.sources import Encoded, StudyDeleted, StudyUnreadable
from orthanc_inventory.sources.group import Group
from orthanc_inventory.sources.selection import within
from orthanc_inventory.stores import InstanceGone, Run, StoreError


def study_id(number: int) -> str:
    """Such as Orthanc has."""
    return identifier_of(f"P{number}", f"1.{number}")


def study(number: int, series: int = 1, instances: int = 1) -> StudyRecord:
    attributes = {
        "StudyInstanceUID": f"1.{number}",
        "PatientID": f"P{number}",
        "PatientName": f"Family{number}^Given",
        "ItemInventoryDateTime": "20260101000000+0000",
        "ModalitiesInStudy": "CT",
        "RetrieveAETitle": "ORTHANC",
    }
    return StudyRecord(study_id(number), attributes, [_series(number, place, instances) for place in range(series)])


def _series(number: int, place: int, instances: int) -> SeriesRecord:
    uid = f"1.{number}.{place}"
    objects = [
        InstanceRecord(
            f"instance-{uid}.{instance}",
            {
                "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
                "SOPInstanceUID": f"{uid}.{instance}",
                "FileAccessSequence": [{
                    "FileAccessURI": f"./instances/{uid}.{instance}/file",
                    "ContainerFileType": "DICOM",
                    "StoredInstanceTransferSyntaxUID": "1.2.840.10008.1.2.1",
                    "MACAlgorithm": "MD5",
                    "MAC": "00112233445566778899aabbccddeeff",
                }],
            },
        )
        for instance in range(instances)
    ]
    return SeriesRecord(f"series-{uid}", {"SeriesInstanceUID": uid, "Modality": "CT"}, objects)


class MemorySource:
    """``gone`` and ``unreadable`` are identifiers of studies; ``reads`` remembers what was asked for."""

    name = "memory"

    def __init__(self, *studies: StudyRecord) -> None:
        self._studies = {entry.identifier: entry for entry in studies}
        self.gone: set[str] = set()
        self.unreadable: set[str] = set()
        self.reads: list[str] = []
        self.withdrawn: dict[str, str] = {}
        self.notes: list[str] | None = None
        self.unlisted: list[Skipped] = []
        self.is_open = False

    def begin(self) -> None:
        self.is_open = True

    def end(self) -> None:
        self.is_open = False

    def catch_up(self) -> None:
        """It is always as it is now."""

    def all_studies(self) -> Sequence[str]:
        return list(self._studies)

    def children(self, study: str, group: Group | None = None) -> tuple[str, Sequence[str]]:
        return "", self._studies[study].children

    def all_children(self) -> Iterator[tuple[str, str, Sequence[str]]]:
        return ((study, *self.children(study)) for study in self._studies)

    def studies_of(self, level: str, identifier: str) -> Sequence[str]:
        return []

    def studies_with(self, uid: str) -> Sequence[str]:
        return [entry.identifier for entry in self._studies.values() if entry.attributes["StudyInstanceUID"] == uid]

    def check(self, scope: Scope) -> None:
        """Everything can be answered."""

    def studies(self, scope: Scope) -> Sequence[str]:
        return list(self._studies)

    def group(self, studies: Sequence[str], level: str, scope: Scope, uids: Sequence[str] = ()) -> Group:
        return Group(studies[:1], {}, set())

    def read(
        self,
        study: str,
        level: str,
        scope: Scope,
        encode: Callable[[StudyRecord], Encoded],
        group: Group | None = None,
    ) -> tuple[Encoded, list[Skipped]] | None:
        self.reads.append(study)
        if study in self.gone:
            raise StudyDeleted
        if study in self.unreadable:
            raise StudyUnreadable("the index is damaged")
        record = self._studies[study]
        if not scope.matches_study(record.attributes):
            return None
        series = within(scope, record.series)
        return None if series is None else (encode(StudyRecord(study, record.attributes, series)), [])


class MemoryStore:
    """``room`` is how many instances fit."""

    def __init__(self, room: int = 10**6) -> None:
        self.files: dict[str, bytes] = {}
        self.room = room

    def check(self, size: int) -> None:
        if len(self.files) >= self.room:
            raise StoreError("the store is full")

    def put(self, run: Run, inventory: Inventory, file: bytes, number: int) -> str:
        self.check(len(file))
        self.files[inventory.uid] = file
        return ""

    def read(self, run: Run, uid: str) -> Iterator[bytes | memoryview]:
        if uid not in self.files:
            raise InstanceGone
        return iter([self.files[uid]])

    def open(self, run: Run, uid: str) -> BinaryIO:
        return BytesIO(b"".join(self.read(run, uid)))

    def present(self, run: Run, uids: Iterable[str]) -> set[str]:
        return set(uids) & set(self.files)

    def keep_only(self, run: Run, uids: Iterable[str]) -> None:
        kept = set(uids)
        self.files = {uid: file for uid, file in self.files.items() if uid in kept}
