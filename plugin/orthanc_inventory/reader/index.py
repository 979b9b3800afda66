"""Where the records of each study lie: a temporary database outside memory, made in one pass over the tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import groupby, islice

from ..dicom.decoder import Place
from .merged import MergedStudy, merge
from .records import Study
from .temporary_database import TemporaryDatabase

_SCHEMA = """
CREATE TABLE instance (number INTEGER PRIMARY KEY, uid TEXT UNIQUE);
CREATE TABLE record (
  number INTEGER PRIMARY KEY, study TEXT, patient TEXT, moment INTEGER,
  instance INTEGER, start INTEGER, stop INTEGER, explicit INTEGER
);
"""
_RECORD = "INSERT INTO record (study, patient, moment, instance, start, stop, explicit) VALUES (?, ?, ?, ?, ?, ?, ?)"
# Of records of one moment that nearest to the root is the latest.
_MERGED = """
SELECT study, patient, instance.uid, start, stop, explicit
FROM (SELECT *, min(number) OVER (PARTITION BY study, patient) AS first FROM record {condition}) AS record
JOIN instance ON instance.number = record.instance
ORDER BY {order}, moment, record.number DESC
"""
_ALL = _MERGED.format(condition="", order="first")
_ALL_BY_UID = _MERGED.format(condition="", order="study, patient")
_PLACES = "SELECT study, min(number) FROM record GROUP BY study ORDER BY study"
_ONE = _MERGED.format(condition="WHERE study = ?", order="first")
_ONE_OF_PATIENT = _MERGED.format(condition="WHERE study = ? AND patient = ?", order="first")

# Study Instance UID, Patient ID, and the inventory instance and place in it where a record lies.
_Row = tuple[str, str, str, int, int, int]


class StudyIndex:
    """``open_record`` gives the record at a place in the inventory instance with that UID."""

    def __init__(self, records: Iterable[Study], open_record: Callable[[str, Place], Study]) -> None:
        self._open_record = open_record
        self._database = TemporaryDatabase(_SCHEMA)
        self._database.insert(_RECORD, self._rows(records))
        self._database.execute("CREATE INDEX record_study ON record (study, patient)")

    def merged(self, by_uid: bool, since: int) -> Iterator[MergedStudy]:
        return self._merged(self._database.select(_ALL_BY_UID if by_uid else _ALL), since)

    def find(self, study_uid: str) -> list[MergedStudy]:
        return list(self._merged(self._database.select(_ONE, study_uid)))

    def places(self) -> Iterator[tuple[str, int]]:
        return self._database.select(_PLACES)

    def find_of_patient(self, study_uid: str, patient_id: str) -> MergedStudy:
        """The study with that UID and Patient ID, which must be there."""
        return next(self._merged(self._database.select(_ONE_OF_PATIENT, study_uid, patient_id)))

    def latest(self) -> Iterator[tuple[str, str, Study]]:
        """UID, Patient ID and latest record of each study, in the order of ``merged``."""
        for group in self._grouped(self._database.select(_ALL)):
            *_, (study, patient, uid, start, stop, explicit) = group
            yield study, patient, self._open_record(uid, (start, stop, bool(explicit)))

    @cached_property
    def number(self) -> int:
        """How many studies there are."""
        [[number]] = self._database.select("SELECT count(*) FROM (SELECT DISTINCT study, patient FROM record)")
        return int(number)

    def _rows(self, records: Iterable[Study]) -> Iterator[tuple[str, str, int, int, int, int, bool]]:
        instance, number = "", 0
        for record in records:
            if record.inventory_uid != instance:
                instance, number = record.inventory_uid, number + 1
                self._database.insert("INSERT INTO instance VALUES (?, ?)", [(number, instance)])
            yield (*record.key(), number, *record.place)

    def _merged(self, rows: Iterable[_Row], since: int = 0) -> Iterator[MergedStudy]:
        for group in islice(self._grouped(rows), since, None):
            yield merge([self._open_record(uid, (start, stop, bool(explicit))) for _, _, uid, start, stop, explicit in group])

    def _grouped(self, rows: Iterable[_Row]) -> Iterator[Iterator[_Row]]:
        """The rows of each study."""
        return (group for _, group in groupby(rows, lambda row: row[:2]))
