"""Studies, series and instances for queries, from Orthanc's tables in PostgreSQL: the same as ``resources``, by a snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .find import Resource
from .resources import Content
from .snapshot import Snapshot
from .tables import SERIES, Tables

# IDs of studies in the first answer and in the largest; each has more than the one before.
_FIRST, _MOST = 64, 4096


class TableResources:
    """What it answers belongs together, and has numbers of the tables that its own questions need.

    Raises:
        Unusable: by any method.
    """

    def __init__(self, snapshot: Snapshot, tables: Tables) -> None:
        self._snapshot = snapshot
        self._tables = tables

    def identifiers(self, first: str, condition: str, parameters: Sequence[str]) -> Iterator[str]:
        """Of the studies for which the condition is true, in their order, from the first on: what is before costs nothing."""
        size = _FIRST
        while True:
            found = self._snapshot.studies_from(first, condition, parameters, size)
            yield from found
            if len(found) < size:
                return
            # No ID is between one and the same with something after it.
            first, size = f"{found[-1]} ", min(_MOST, 4 * size)

    def studies(self, identifiers: Sequence[str], place: int | None) -> list[Resource]:
        return [self._tables.head(row) for row in self._snapshot.ask(self._tables.heads, (list(identifiers),))]

    def series(self, studies: Sequence[Resource], content: Content) -> list[Resource]:
        above = {study["Internal"]: study["ID"] for study in studies}
        series = [self._tables.series(row) for row in self._snapshot.ask(SERIES, (list(above),))]
        return [{**entry, "ParentStudy": above[entry["InternalStudy"]]} for entry in series]

    def instances(self, series: Sequence[Resource], content: Content) -> list[Resource]:
        above = {entry["Internal"]: entry["ID"] for entry in series}
        found = []
        for row in self._snapshot.ask(self._tables.instances, (list(above),)):
            tags, metadata, size, md5 = self._tables.instance(row)
            found.append({
                "ID": row[1], "ParentSeries": above[row[0]], "MainDicomTags": tags, "Metadata": metadata,
                "Size": "" if size is None else size, "MD5": md5,
            })
        return found
