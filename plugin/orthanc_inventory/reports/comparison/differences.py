"""The differences that a comparison found, outside memory, by study."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ...reader.temporary_database import TemporaryDatabase

KINDS = ("Missing", "Extra", "Different")

_SCHEMA = """
CREATE TABLE difference (
  number INTEGER PRIMARY KEY, kind TEXT, level TEXT, patient TEXT, study TEXT, series TEXT, instance TEXT, attributes TEXT
);
"""
_INSERT = "INSERT INTO difference (kind, level, patient, study, series, instance, attributes) VALUES (?, ?, ?, ?, ?, ?, ?)"
_COLUMNS = "kind, level, patient, study, series, instance, attributes"
_PAGE = f"SELECT {_COLUMNS} FROM difference {{condition}} ORDER BY study, number LIMIT ? OFFSET ?"
_NEXT = (
    f"SELECT study, number, {_COLUMNS} FROM difference"
    " WHERE (study, number) > (?, ?) {condition} ORDER BY study, number LIMIT ?"
)
_STUDIES = "SELECT DISTINCT study FROM difference WHERE kind = ? ORDER BY study LIMIT ? OFFSET ?"
# Differences that are fetched at a time.
_STEP = 1000


class Difference(NamedTuple):
    """``attributes`` have both values, that of the first and that of the second side; empty unless the kind is Different."""

    kind: str
    level: str
    patient_id: str
    study_uid: str
    series_uid: str | None
    instance_uid: str | None
    attributes: dict[str, list[str]]


class Differences:
    """Those of one study are added one after the other. What is complete can be read by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database = TemporaryDatabase(_SCHEMA)
        self._counts: Counter[str] = Counter()
        self._waiting: list[tuple[object, ...]] = []

    def add(self, difference: Difference) -> None:
        self._counts[difference.kind] += 1
        self._waiting.append((*difference[:-1], json.dumps(difference.attributes) if difference.attributes else ""))
        if len(self._waiting) == _STEP:
            self._insert()

    def complete(self) -> None:
        self._insert()
        self._database.execute("CREATE INDEX difference_study ON difference (study, number)")
        self._database.execute("CREATE INDEX difference_kind ON difference (kind, study, number)")

    def page(self, kind: str, since: int, limit: int) -> list[Difference]:
        """By Study Instance UID; ``kind`` is one of KINDS, or empty for all."""
        condition, values = ("WHERE kind = ?", [kind]) if kind else ("", [])
        with self._lock:
            rows = list(self._database.select(_PAGE.format(condition=condition), *values, limit, since))
        return [_difference(row) for row in rows]

    def all(self, kind: str) -> Iterator[Difference]:
        """The same one by one."""
        statement = _NEXT.format(condition="AND kind = ?" if kind else "")
        place: tuple[str, int] = ("", 0)
        while True:
            with self._lock:
                rows = list(self._database.select(statement, *place, *([kind] if kind else []), _STEP))
            if not rows:
                return
            place = rows[-1][:2]
            yield from (_difference(row[2:]) for row in rows)

    def count(self, kind: str) -> int:
        return sum(self._counts.values()) if not kind else self._counts[kind]

    def study_uids(self, kind: str, since: int, limit: int) -> list[str]:
        """The studies in which there is a difference of that kind, ascending."""
        with self._lock:
            return [uid for (uid,) in self._database.select(_STUDIES, kind, limit, since)]

    def _insert(self) -> None:
        self._database.insert(_INSERT, self._waiting)
        self._waiting.clear()


def _difference(row: Sequence[Any]) -> Difference:
    return Difference._make([*row[:-1], json.loads(row[-1] or "{}")])
