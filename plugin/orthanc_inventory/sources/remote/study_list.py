"""The studies of another archive as they are found, each once, in a file that has no name: there may be millions."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping

from ...dicom.records import Attributes
from ...reader.temporary_database import TemporaryDatabase

COLUMNS = ("StudyInstanceUID", "PatientID", "AccessionNumber", "StudyDate", "StudyTime")

_SCHEMA = """
CREATE TABLE studies (
    StudyInstanceUID TEXT NOT NULL, PatientID TEXT NOT NULL, AccessionNumber TEXT NOT NULL, StudyDate TEXT NOT NULL,
    StudyTime TEXT NOT NULL, PRIMARY KEY (StudyInstanceUID, PatientID)) WITHOUT ROWID;
CREATE INDEX studies_by_patient ON studies (PatientID);
"""
_AFTER_ALL = "\U0010ffff"
_SEPARATOR = "#"


class StudyList(Collection[str]):
    """Identifiers: the Study Instance UID and, where several patients share it, a digest of the Patient ID."""

    def __init__(self) -> None:
        self._database = TemporaryDatabase(_SCHEMA)

    def add(self, record: Attributes) -> None:
        row = [str(record.get(keyword) or "") for keyword in COLUMNS]
        self._database.insert("INSERT OR IGNORE INTO studies VALUES (?, ?, ?, ?, ?)", [row])

    def __len__(self) -> int:
        return self._count("StudyInstanceUID != ''")

    def __iter__(self) -> Iterator[str]:
        groups = "SELECT StudyInstanceUID FROM studies GROUP BY StudyInstanceUID HAVING COUNT(*) > 1"
        shared = {uid for (uid,) in self._database.select(groups)}
        named = "SELECT StudyInstanceUID, PatientID FROM studies WHERE StudyInstanceUID != ''"
        for uid, patient in self._database.select(f"{named} ORDER BY StudyInstanceUID, PatientID"):
            yield f"{uid}{_SEPARATOR}{digest_of(patient)}" if uid in shared else uid

    def __contains__(self, identifier: object) -> bool:
        return any(entry == identifier for entry in self)

    @property
    def without_uid(self) -> int:
        """Records that have no Study Instance UID, so that nothing below them can be asked for."""
        return self._count("StudyInstanceUID = ''")

    def count_beginning(self, keyword: str, start: str, keys: Mapping[str, str]) -> int:
        """The studies with values of an attribute that begin so; those of them that have the values of ``keys``."""
        conditions = [f"{keyword} >= ?", f"{keyword} < ?", *_equal(keys)]
        return self._count(" AND ".join(conditions), start, start + _AFTER_ALL, *keys.values())

    def values(self, keyword: str, keys: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """All values of an attribute of the studies that have the values of ``keys``, each with the Study Dates that it has."""
        condition = " AND ".join(("1", *_equal(keys)))
        return self._database.select(f"SELECT DISTINCT {keyword}, StudyDate FROM studies WHERE {condition}", *keys.values())

    def _count(self, condition: str, *parameters: str) -> int:
        [(count,)] = self._database.select(f"SELECT COUNT(*) FROM studies WHERE {condition}", *parameters)
        return int(count)


def _equal(keys: Mapping[str, str]) -> list[str]:
    return [f"{keyword} = ?" for keyword in keys]


def split_identifier(identifier: str) -> tuple[str, str]:
    """Study Instance UID, and the digest of the Patient ID or nothing."""
    uid, _, digest = identifier.partition(_SEPARATOR)
    return uid, digest


def digest_of(patient: str) -> str:
    return hashlib.sha256(patient.encode("utf-8", "replace")).hexdigest()[:16]
