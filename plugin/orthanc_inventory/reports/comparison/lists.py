"""Lists as a side of a comparison: CSV whose first line names its columns by keyword.

There is one study, series or instance a line, in any order: the lines are sorted outside memory.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

from ...dicom.terms import LEVELS
from ...dicom.values import FITTING
from ...reader.temporary_database import TemporaryDatabase
from ..guarded_csv import unguard
from .attributes import LENGTH, MAC, MAC_ALGORITHM, TRANSFER_SYNTAX, Chosen, File, Values
from .sides import Entry, Study

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_PATIENT_ID, _REMOVED = "PatientID", "RemovedFromOperationalUse"
_FILE = (TRANSFER_SYNTAX, LENGTH, MAC_ALGORITHM, MAC)
_DELIMITERS = ",;\t"
# Bytes; where whole sequences are cells, lines are long.
_LONGEST_LINE = 16 * 1024 * 1024
_KEYS = ("study", "patient", "series", "instance")
# By which of these the records of a level are told apart.
_KEYS_OF = {"STUDY": _KEYS[:2], "SERIES": _KEYS[:3], "INSTANCE": _KEYS}


class InvalidList(ValueError):
    """No list, or a broken one; one line with the number of the line in the file, without its values."""

    def __init__(self, name: str, line: int, problem: str) -> None:
        super().__init__(f"{name}, line {line}: {problem}")


class ListSide:
    """Its level is the lowest whose UID has a column. ``name`` is for messages.

    Raises:
        InvalidList, OSError
    """

    uid = completion_status = None

    def __init__(self, path: Path, name: str = "") -> None:
        self._path = path
        self.name = name or str(path)
        with open(path, "rb") as file:
            first = next(_lines(file, self.name), "")
        delimiter = max(_DELIMITERS, key=first.count)
        self._delimiter = delimiter
        self.columns = [unguard(cell).strip() for cell in next(_rows([first], delimiter, self.name), (0, []))[1]]
        named = list(filter(None, self.columns))
        if len(set(named)) < len(named):
            raise InvalidList(self.name, 1, "two columns have the same name")
        present = [uid in self.columns for uid in _UIDS]
        if not present[0]:
            raise InvalidList(self.name, 1, "there is no column StudyInstanceUID; the first line must name the columns")
        if present[2] and not present[1]:
            raise InvalidList(self.name, 1, "there is no column SeriesInstanceUID, which SOPInstanceUID needs")
        self.level = LEVELS[sum(present) - 1]
        self.told = frozenset(self.columns)

    def records(self, chosen: Chosen, by_patient: bool) -> ListRecords:
        """Raises: InvalidList."""
        return ListRecords(self, chosen, by_patient)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Number and cells of each line behind the first."""
        with open(self._path, "rb") as file:
            lines = _lines(file, self.name)
            rows = _rows(lines, self._delimiter, self.name)
            next(rows)
            for number, row in rows:
                if len(row) != len(self.columns):
                    problem = f"there are {len(row)} cells, and not {len(self.columns)} as in the first line"
                    raise InvalidList(self.name, number, problem)
                yield number, row


class ListRecords:
    def __init__(self, side: ListSide, chosen: Chosen, by_patient: bool) -> None:
        self._side = side
        self._by_patient = by_patient
        self._uids = _UIDS[: LEVELS.index(chosen.level) + 1]
        self.removed: Counter[str] = Counter()
        self._files = tuple(keyword for keyword in _FILE if keyword in side.told) if chosen.files else ()
        self.keywords = {level: tuple(row.keyword for row in rows) for level, rows in chosen.rows.items()}
        cells = [(level, keyword) for level in self.keywords for keyword in self.keywords[level]]
        cells += [("INSTANCE", keyword) for keyword in self._files]
        # The name of each column in the database, by level and keyword.
        self._cells = {cell: f"cell{number}" for number, cell in enumerate(cells)}
        names = ", ".join((*_KEYS, "line", "removed", *self._cells.values()))
        self._database = database = TemporaryDatabase(f"CREATE TABLE row ({names})")
        places = ", ".join("?" * (6 + len(cells)))
        database.insert(f"INSERT INTO row VALUES ({places})", self._read([keyword for _, keyword in cells]))
        database.execute(f"CREATE INDEX row_order ON row ({names})")
        for level in self.keywords:
            self._check(level)
            keys = ", ".join(_KEYS_OF[level])
            gone = f"SELECT count(*) FROM (SELECT 1 FROM row GROUP BY {keys} HAVING min(removed) = 1)"
            self.removed[level] = next(database.select(gone))[0]
        self._select = (
            f"SELECT {', '.join(('series', 'instance', *self._cells.values()))} FROM row"
            " WHERE study = ? AND patient = ? AND removed = 0 ORDER BY series, instance, line"
        )

    def places(self) -> Iterator[tuple[str, int]]:
        # A list is asked for its studies in any order.
        return ((uid, 0) for (uid,) in self._database.select("SELECT DISTINCT study FROM row ORDER BY study"))

    def studies(self, uid: str) -> list[Study]:
        patients = "SELECT DISTINCT patient FROM row WHERE study = ? AND removed = 0 ORDER BY patient"
        return [
            _Study(self, patient, self._database.select(self._select, uid, patient))
            for (patient,) in list(self._database.select(patients, uid))
        ]

    def values(self, level: str, row: Sequence[str]) -> Values:
        """Of a row of ``_select``."""
        cells = dict(zip(self._cells, row[2:]))
        attributes = {keyword: cells[level, keyword] for keyword in self.keywords[level]}
        if level != "INSTANCE" or not self._files:
            return Values(attributes)
        return Values(attributes, [File(*(cells.get((level, keyword), "") for keyword in _FILE))])

    def _read(self, keywords: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        side, uids = self._side, self._uids
        column = side.columns.index
        uid_columns = [column(uid) for uid in uids]
        columns = [column(keyword) for keyword in keywords]
        patient = column(_PATIENT_ID) if self._by_patient else None
        removed = column(_REMOVED) if _REMOVED in side.told else None
        fitting = FITTING["UI"].fullmatch
        above = (None,) * (len(_UIDS) - len(uids))
        for number, row in side.rows():
            found = []
            for name, place in zip(uids, uid_columns):
                uid = row[place].strip(" \0")
                if not fitting(uid):
                    raise InvalidList(side.name, number, f"{name} is {'no UID' if uid else 'missing'}")
                found.append(uid)
            cells = [unguard(row[place]).strip(" ") for place in columns]
            patient_id = "" if patient is None else unguard(row[patient]).strip(" ")
            gone = int(removed is not None and row[removed] == "Y")
            yield found[0], patient_id, *found[1:], *above, number, gone, *cells

    def _check(self, level: str) -> None:
        """Lines that tell of the same must tell the same.

        Raises:
            InvalidList
        """
        names = [name for (of, _), name in self._cells.items() if of == level]
        if not names:
            return
        differ = " OR ".join(f"min({name}) <> max({name})" for name in names)
        contradictory = f"SELECT max(line) FROM row GROUP BY {', '.join(_KEYS_OF[level])} HAVING {differ} LIMIT 1"
        for (line,) in self._database.select(contradictory):
            problem = f"it contradicts an earlier line in an attribute of the same {level.lower()}"
            raise InvalidList(self._side.name, line, problem)


class _Study:
    def __init__(self, records: ListRecords, patient_id: str, rows: Iterator[Any]) -> None:
        self._records = records
        self._rows = rows
        self.patient_id = patient_id
        self._first = next(rows)
        self.content = records.values("STUDY", self._first)

    def values(self) -> Values:
        return self.content

    def series(self) -> Iterator[Entry]:
        for uid, rows in groupby(_chained(self._first, self._rows), itemgetter(0)):
            series = _Series(self._records, rows)
            yield uid, series.values(), series


class _Series:
    encoding = "list"

    def __init__(self, records: ListRecords, rows: Iterator[Any]) -> None:
        self._records = records
        self._first = next(rows)
        self._rows = rows

    def values(self) -> Values:
        return self._records.values("SERIES", self._first)

    def instances(self) -> Iterator[Entry]:
        previous = ""
        for row in _chained(self._first, self._rows):
            if row[1] != previous:
                previous = row[1]
                yield previous, row[2:], row

    def encoded(self, record: Any) -> Any:
        return record[2:]

    def instance_values(self, record: Any) -> Values:
        return self._records.values("INSTANCE", record)


def _chained(first: Any, rows: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rows


def _lines(file: BinaryIO, name: str) -> Iterator[str]:
    for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), b""), 1):
        if len(line) > _LONGEST_LINE:
            raise InvalidList(name, number, f"it is longer than {_LONGEST_LINE} bytes")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise InvalidList(name, number, "it is not text in UTF-8") from None


def _rows(lines: Iterable[str], delimiter: str, name: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise InvalidList(name, reader.line_num, f"it is no CSV: {error}") from None
