"""Reads the index as it was at one moment, straight from Orthanc's tables in PostgreSQL: nothing has to be proved of that."""

from __future__ import annotations

import datetime
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple

from ..dicom.records import InstanceRecord, InstanceTable, Skipped
from ..host import HostError
from . import EarlierNotes
from .group import Group, Opened, Read, Resource
from .objects import Objects
from .originals import note_of
from .postgresql import Unusable
from .rejections import KeyObjects
from .session import Rows, Session
from .tables import KEY_OBJECTS, SERIES, SOME_KEY_OBJECTS, Tables

if TYPE_CHECKING:
    from psycopg import Connection

# So many instances are read at once, about, and at most; so many studies at first, and at most; so many times ahead.
_INSTANCES, _MOST_INSTANCES = 8000, 16000
_FIRST_STUDIES, _MOST_STUDIES = 16, 500
_AHEAD = 3
_STUDIES = "SELECT publicid FROM resources AS study WHERE resourcetype = 1"
_NO_FILE = "the index names no DICOM file of it"


class Wanted(NamedTuple):
    """What is to be read of studies: with their instances or not, and whether a study may be in scope.

    ``may_match_head`` gets what it says of itself, ``may_match`` its series, too.
    """

    with_instances: bool = False
    may_match_head: Callable[[Resource], bool] = lambda head: True
    may_match: Callable[[Opened], bool] = lambda opened: True


class _Chunk(NamedTuple):
    """Some studies, by their IDs; those that are gone are not in ``opened``."""

    studies: Sequence[str]
    opened: Mapping[str, Opened]


class Snapshot:
    """From its making to ``close``; the moment as of which it reads is that of the first question.

    Args:
        connect: makes a connection, or raises Unusable.

    Raises:
        Unusable: by any method but ``close``.
    """

    def __init__(self, connect: Callable[[], Connection[Any]], tables: Tables, objects: Objects) -> None:
        self._session = Session(connect)
        self._tables = tables
        self._objects = objects
        # That are read at once now.
        self._studies = _FIRST_STUDIES

    def close(self) -> None:
        self._session.close()

    def give_up_if_old(self) -> None:
        """To be called now and then: a run may rest between studies."""
        if self._session.is_old:
            self._session.begin_to(self._session.give_up_if_old)

    def catch_up(self) -> None:
        """What is asked next is of another moment."""
        self._session.do(self._session.give_up)

    def ask(self, query: str, parameters: Sequence[Any] = ()) -> Rows:
        return self._session.do(self._session.ask, query, parameters)

    def key_objects(self, earlier: EarlierNotes | None = None) -> list[KeyObjects]:
        """The series of modality KO, as of a moment of its own: a verification has still to say when it begins."""
        series = self.ask(SOME_KEY_OBJECTS, tuple(map(list, earlier))) if earlier else self.ask(KEY_OBJECTS)
        self.catch_up()
        return series

    def studies(self, condition: str, parameters: Sequence[Any]) -> list[str]:
        """IDs of the studies for which it is true, in the order in which they are read fastest: as they came."""
        return [row[0] for row in self.ask(f"{_STUDIES}{condition} ORDER BY internalid", parameters)]

    def studies_from(self, first: str, condition: str, parameters: Sequence[Any], limit: int) -> list[str]:
        """So many of them at most, in the order of their IDs, from one on."""
        query = f"{_STUDIES} AND publicid >= %s{condition} ORDER BY publicid LIMIT %s"
        return [row[0] for row in self.ask(query, (first, *parameters, limit))]

    def group(self, studies: Sequence[str], wanted: Wanted) -> Group:
        return _Ahead(self, studies, self._read(studies, wanted))

    def _read(self, studies: Sequence[str], wanted: Wanted) -> Iterator[_Chunk]:
        """All of the studies, some at a time: while these are worked on, the next are read."""
        ahead: deque[Future[_Chunk]] = deque()
        place = 0
        while ahead or place < len(studies):
            while place < len(studies) and len(ahead) < _AHEAD:
                ahead.append(self._session.begin_to(self._chunk, studies[place : place + self._studies], wanted))
                place += self._studies
            chunk = ahead.popleft().result()
            instances = sum(len(entry["Instances"]) for opened in chunk.opened.values() for entry in opened.series)
            self._studies = min(_MOST_STUDIES, max(1, _INSTANCES * len(chunk.studies) // max(instances, 1)))
            yield chunk

    def _chunk(self, studies: Sequence[str], wanted: Wanted) -> _Chunk:
        """Of one moment; of another one, where the connection broke, as the server may end a transaction that was idle."""
        self._session.give_up_if_old()
        try:
            return self._chunk_now(studies, wanted)
        except Unusable:
            self._session.connect_again()
            return self._chunk_now(studies, wanted)

    def _chunk_now(self, studies: Sequence[str], wanted: Wanted) -> _Chunk:
        ask = self._session.ask
        heads = {row[0]: self._tables.head(row) for row in ask(self._tables.heads, (list(studies),))}
        moment = self._session.moment
        assert moment is not None
        series: dict[int, list[Resource]] = {number: [] for number, head in heads.items() if wanted.may_match_head(head)}
        for row in ask(SERIES, (list(series),)) if series else ():
            series[row[0]].append(self._tables.series(row))
        entries: list[Opened] = []
        in_scope: list[Resource] = []
        for number, head in heads.items():
            listed = series.get(number, [])
            head["Series"] = sorted(entry["ID"] for entry in listed)
            entry = Opened(head, listed, moment, bool(listed), is_proven=not any(map(note_of, (head, *listed))))
            if entry.in_scope and wanted.may_match(entry):
                in_scope += listed
            entries.append(entry)
        rows = _RowsOfSeries()
        if wanted.with_instances and 0 < sum(len(entry["Instances"]) for entry in in_scope) <= _MOST_INSTANCES:
            numbers = [entry["Internal"] for entry in in_scope]
            rows = _RowsOfSeries(numbers, self._session.begin_to_ask(self._tables.instances, (numbers,)))
        opened = {entry.head["ID"]: entry._replace(instances=_Instances(self, entry, rows)) for entry in entries}
        return _Chunk(studies, opened)

    def rows_of(self, series: Resource, moment: datetime.datetime) -> Rows | None:
        """Those of the instances of one series; None: they can no longer be read as of that moment."""
        try:
            return self._session.do(self._rows_of, series, moment)
        except Unusable:
            return None

    def _rows_of(self, series: Resource, moment: datetime.datetime) -> Rows | None:
        return self._session.ask(self._tables.instances, ([series["Internal"]],)) if self._session.moment == moment else None

    def records(self, rows: Rows) -> tuple[Sequence[InstanceRecord], list[Skipped]]:
        """Those of one series, and what of it cannot be one."""
        table = self._table(rows)
        if table is not None:
            return table, []
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

    def _table(self, rows: Rows) -> InstanceTable | None:
        """The same, made faster, where the instances are as alike as most are."""
        columns = self._tables.instances_of(rows) if rows else None
        if columns is None or columns.sizes[0] is None or not all(columns.digests):
            return None
        return self._objects.table(*columns)


class _RowsOfSeries:
    """Those of the instances of several series, by the number of each.

    They are made of the server's answer by whoever first wants one: meanwhile the server has its next question already.
    """

    def __init__(self, series: Sequence[int] = (), make: Callable[[], Rows] = list) -> None:
        self._series = series
        self._make = make
        self._made: dict[int, Rows] = {}

    def of(self, series: int) -> Rows | None:
        """None: it was not asked for them."""
        if self._series:
            self._made = {number: [] for number in self._series}
            for row in self._make():
                self._made[row[0]].append(row)
            self._series, self._make = (), list
        return self._made.get(series)


class _Ahead(Group):
    """Studies that are taken in their order; those before are forgotten."""

    def __init__(self, snapshot: Snapshot, studies: Sequence[str], chunks: Iterator[_Chunk]) -> None:
        super().__init__(studies, {}, set())
        self._snapshot = snapshot
        self._chunks = chunks
        self._looked: frozenset[str] = frozenset()

    def take(self, study: str) -> Opened | None:
        # Python changes threads every 5 ms, and the one that reads the next studies would wait as long for each part of them.
        time.sleep(0)
        self._snapshot.give_up_if_old()
        while study not in self._looked:
            chunk = next(self._chunks, None)
            if chunk is None:
                return None
            self._looked, self._opened = frozenset(chunk.studies), dict(chunk.opened)
        return super().take(study)


class _Instances:
    """Those of one study, series by series: records are made when they are asked for, and rows read if they are many."""

    def __init__(self, snapshot: Snapshot, study: Opened, rows: _RowsOfSeries) -> None:
        self._snapshot = snapshot
        self._study = study
        self._rows = rows

    def __iter__(self) -> Iterator[Read]:
        for entry in self._study.series:
            rows = self._rows.of(entry["Internal"])
            if rows is None:
                rows = self._snapshot.rows_of(entry, self._study.moment)
            yield (entry, None, []) if rows is None else (entry, *self._snapshot.records(rows))
