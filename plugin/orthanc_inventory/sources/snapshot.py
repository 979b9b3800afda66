"""Reads the index as it was at one moment, straight from Orthanc's tables in PostgreSQL.

A snapshot is a read-only transaction in which nothing changes, whatever Orthanc does meanwhile: so nothing has to be proved
of what is read in it. PostgreSQL cannot clean up behind it, so one that has become old is given up for a new one.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..dicom.records import InstanceRecord, Skipped
from ..host import HostError
from .group import Group, Opened, Read, Resource
from .objects import Objects
from .originals import note_of
from .postgresql import Unusable, reason
from .tables import KEY_OBJECTS, SERIES, Tables

if TYPE_CHECKING:
    from psycopg import Connection, Cursor

# Seconds after which a snapshot is old.
_OLD = 900.0
# So many instances are read at once, about, and at most; so many studies at first, and at most.
_INSTANCES, _MOST_INSTANCES = 2000, 8000
_FIRST_STUDIES, _MOST_STUDIES = 16, 500
_NO_FILE = "the index names no DICOM file of it"

Rows = list[tuple[Any, ...]]


class Wanted(NamedTuple):
    """What is to be read of studies: with their instances or not, and whether a study may be in scope.

    ``may_match_head`` gets what it says of itself, ``may_match`` its series, too.
    """

    with_instances: bool = False
    may_match_head: Callable[[Resource], bool] = lambda head: True
    may_match: Callable[[Opened], bool] = lambda opened: True


@dataclass
class _Chunk:
    """Some studies, by their IDs; those that are gone are not in ``opened``.

    ``answer`` are the rows of their instances as long as they are on their way, ``rows`` when they are here, by the number of
    their series.
    """

    studies: Sequence[str]
    wanted: Wanted
    opened: Mapping[str, Opened]
    rows: dict[int, Rows]
    answer: Cursor[Any] | None


class Snapshot:
    """From its making to ``close``; the moment as of which it reads is that of the first question.

    Args:
        connect: makes a connection, or raises Unusable.

    Raises:
        Unusable: by any method but ``close``.
    """

    def __init__(self, connect: Callable[[], Connection[Any]], tables: Tables, objects: Objects) -> None:
        self._new_connection = connect
        self._tables = tables
        self._objects = objects
        self._moment: datetime.datetime | None = None
        self._begin = 0.0
        self._pending: _Chunk | None = None
        self._connect()

    def _connect(self) -> None:
        self._connection = self._new_connection()
        # A question is sent without waiting for the answer to the one before.
        self._connection.pipeline().__enter__()

    def close(self) -> None:
        with suppress(Exception):  # there may be nothing to be broken off
            self._connection.cancel()
        self._connection.close()

    def key_objects(self) -> list[str]:
        """IDs of the series of modality KO; before the first question, or as of the moment of it."""
        return [row[0] for row in self._fetched(self._send(KEY_OBJECTS))]

    def studies(self, condition: str, parameters: Sequence[Any]) -> list[str]:
        """IDs of the studies for which it is true, in the order in which they are read fastest: as they came."""
        query = f"SELECT publicid FROM resources AS study WHERE resourcetype = 1{condition} ORDER BY internalid"
        return [row[0] for row in self._ask(query, parameters)]

    def group(self, studies: Sequence[str], wanted: Wanted) -> Group:
        return _Ahead(self, studies, self._read(studies, wanted))

    def _read(self, studies: Sequence[str], wanted: Wanted) -> Iterator[_Chunk]:
        """All of the studies, some at a time: while these are worked on, PostgreSQL looks for the instances of the next."""
        place, count = 0, _FIRST_STUDIES
        following = self._ask_for(studies[:count], wanted)
        while place < len(studies):
            chunk = self._answered(following)
            place += len(chunk.studies)
            instances = sum(len(entry["Instances"]) for opened in chunk.opened.values() for entry in opened.series)
            count = min(_MOST_STUDIES, max(1, _INSTANCES * len(chunk.studies) // max(instances, 1)))
            if place < len(studies):
                following = self._ask_for(studies[place : place + count], wanted)
            yield chunk

    def give_up_if_old(self) -> None:
        """To be called now and then while nothing is asked: a run may rest between studies."""
        if self._moment is not None and time.monotonic() - self._begin > _OLD:
            if self._pending is not None:
                self._answered(self._pending)
            self._moment = None
            with suppress(Exception):  # a broken connection is found by the next question
                self._connection.execute("ROLLBACK")

    def _ask_for(self, studies: Sequence[str], wanted: Wanted) -> _Chunk:
        self.give_up_if_old()
        try:
            self._pending = self._ask_now(studies, wanted)
        except Unusable:  # the server may have ended a transaction that was idle
            self._pending = self._ask_anew(studies, wanted)
        return self._pending

    def _ask_anew(self, studies: Sequence[str], wanted: Wanted) -> _Chunk:
        self._connection.close()
        self._moment = None
        self._connect()
        return self._ask_now(studies, wanted)

    def _answered(self, chunk: _Chunk) -> _Chunk:
        """With its rows; another one, of another moment, where the connection broke meanwhile."""
        import psycopg

        self._pending = None
        if chunk.answer is None:
            return chunk
        try:
            answer = chunk.answer.fetchall()
        except psycopg.Error:
            chunk = self._ask_anew(chunk.studies, chunk.wanted)
            answer = self._fetched(chunk.answer) if chunk.answer is not None else []
        chunk.answer = None
        for row in answer:
            chunk.rows[row[0]].append(row)
        return chunk

    def _ask_now(self, studies: Sequence[str], wanted: Wanted) -> _Chunk:
        heads = {row[0]: self._tables.head(row) for row in self._ask(self._tables.heads, (list(studies),))}
        assert self._moment is not None
        moment = self._moment
        series: dict[int, list[Resource]] = {number: [] for number, head in heads.items() if wanted.may_match_head(head)}
        for row in self._ask(SERIES, (list(series),)) if series else ():
            series[row[0]].append(self._tables.series(row))
        opened: dict[str, Opened] = {}
        rows: dict[int, Rows] = {}
        in_scope: list[Resource] = []
        for number, head in heads.items():
            listed = series.get(number, [])
            head["Series"] = sorted(entry["ID"] for entry in listed)
            entry = Opened(head, listed, moment, bool(listed), is_proven=not any(map(note_of, (head, *listed))))
            if entry.in_scope and wanted.may_match(entry):
                in_scope += listed
            opened[head["ID"]] = entry._replace(instances=_Instances(self, entry, rows))
        answer = None
        if wanted.with_instances and 0 < sum(len(entry["Instances"]) for entry in in_scope) <= _MOST_INSTANCES:
            rows.update((entry["Internal"], []) for entry in in_scope)
            answer = self._send(self._tables.instances, (list(rows),))
        return _Chunk(studies, wanted, opened, rows, answer)

    def rows_of(self, series: Resource, moment: datetime.datetime) -> Rows | None:
        """Those of the instances of one series; None: they can no longer be read as of that moment."""
        try:
            return self._ask(self._tables.instances, ([series["Internal"]],)) if self._moment == moment else None
        except Unusable:
            return None

    def _ask(self, query: str, parameters: Sequence[Any]) -> Rows:
        if self._moment is None:
            # Before the question with which it begins: all that was there by then is in.
            self._moment, self._begin = datetime.datetime.now(datetime.timezone.utc), time.monotonic()
            self._send("BEGIN")
        return self._fetched(self._send(query, parameters))

    def _send(self, query: str, parameters: Sequence[Any] = ()) -> Cursor[Any]:
        import psycopg

        try:
            return self._connection.execute(query, parameters, prepare=False)
        except psycopg.Error as error:
            raise Unusable(reason(error)) from None

    @staticmethod
    def _fetched(answer: Cursor[Any]) -> Rows:
        import psycopg

        try:
            return answer.fetchall()
        except psycopg.Error as error:
            raise Unusable(reason(error)) from None

    def records(self, rows: Rows) -> tuple[list[InstanceRecord], list[Skipped]]:
        record, instance = self._objects.record, self._tables.instance
        records, skipped = [], []
        for row in rows:
            tags, metadata, size, md5 = instance(row)
            try:
                if size is None:
                    skipped.append(Skipped(row[1], "Instance", _NO_FILE))
                else:
                    records.append(record(row[1], tags, metadata, size, md5))
            except HostError as error:
                skipped.append(Skipped(row[1], "Instance", str(error)))
        return records, skipped


class _Ahead(Group):
    """Studies that are taken in their order; those before are forgotten."""

    def __init__(self, snapshot: Snapshot, studies: Sequence[str], chunks: Iterator[_Chunk]) -> None:
        super().__init__(studies, {}, set())
        self._snapshot = snapshot
        self._chunks = chunks
        self._looked: frozenset[str] = frozenset()

    def take(self, study: str) -> Opened | None:
        self._snapshot.give_up_if_old()
        while study not in self._looked:
            chunk = next(self._chunks, None)
            if chunk is None:
                return None
            self._looked, self._opened = frozenset(chunk.studies), dict(chunk.opened)
        return super().take(study)


class _Instances:
    """Those of one study, series by series: records are made when they are asked for, and rows read if they are many."""

    def __init__(self, snapshot: Snapshot, study: Opened, rows: Mapping[int, Rows]) -> None:
        self._snapshot = snapshot
        self._study = study
        self._rows = rows

    def __iter__(self) -> Iterator[Read]:
        for entry in self._study.series:
            rows = self._rows.get(entry["Internal"])
            if rows is None:
                rows = self._snapshot.rows_of(entry, self._study.moment)
            yield (entry, None, []) if rows is None else (entry, *self._snapshot.records(rows))
