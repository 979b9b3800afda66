"""Answers queries from Orthanc's index, in the order of the Record Keys (PS3.4 C.6.4.5).

Records are ordered by the IDs of their study, then of their series, then of themselves. The studies are walked in groups: what
is read depends on the group alone, and not on how many studies come before it.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any

from ..dicom.keys import Kind
from ..dicom.record_keys import NAME
from ..dicom.repository_query import UNIQUE_KEYS, RepositoryQuery
from ..dicom.response_identifiers import Branch
from ..dicom.uids import INVENTORY_STORAGE
from ..host import Host, HostError, NotFound, identifier_of
from .resources import Content, Resources, Resource
from .matches import REMOVAL, Matches, Records
from .postgresql import Unusable
from .query import IndexQuery
from .rejections import Rejections
from .snapshot import Snapshot
from .snapshots import Snapshots
from .study_order import StudyOrder, identifier_of_name, names_of
from .table_resources import TableResources

# Studies that are looked for at a time, and those of them whose records are read first; and the records of a group, about.
_LOT, _FIRST, _AIM = 64, 1, 2000
# So many UIDs of a key are looked for one by one; with more of them the archive is walked.
_LOOKED_UP = 100
# Orthanc's own code of that error.
_DATABASE_UNAVAILABLE = 37


class Repository:
    """The archive.

    Args:
        pseudo_patient: the PatientID under which inventories themselves are kept: they are never answered.
        make_rejections: what rejection notes withdraw, not read yet.
        snapshots: of the index, in one of which each query reads where they can be had.
    """

    def __init__(
        self,
        host: Host,
        resources: Resources,
        order: StudyOrder,
        query: IndexQuery,
        records: Records,
        pseudo_patient: str,
        make_rejections: Callable[[], Rejections],
        snapshots: Snapshots | None = None,
    ) -> None:
        self._host = host
        self._resources = resources
        self._order = order
        self._query = query
        self._records = records
        self._pseudo_patient = identifier_of(pseudo_patient)
        self._make_rejections = make_rejections
        self._snapshots = snapshots

    @property
    def known(self) -> Mapping[str, frozenset[str]]:
        """The keywords of the attributes that are answered, by level."""
        return self._records.known

    def find(self, query: RepositoryQuery, prior: bytes) -> Iterator[list[Branch]]:
        """The records that match, in their order, group by group; a group of studies without any gives an empty list.

        ``prior`` is the position after which they begin, empty for all.

        Raises:
            HostError
        """
        snapshot = self._snapshots.open(self._records.objects) if self._snapshots is not None else None
        if self._snapshots is None or snapshot is None:
            rejections = self._rejections(query, None)
            yield from self._find(query, prior, self._resources, self._lots(query, prior), rejections)
            return
        try:
            rejections = self._rejections(query, snapshot)
            tables = TableResources(snapshot, self._snapshots.tables)
            yield from self._find(query, prior, tables, self._lots_of_tables(query, prior, tables), rejections)
        except Unusable as why:
            raise HostError(_DATABASE_UNAVAILABLE, f"PostgreSQL cannot be read: {why}") from None
        finally:
            snapshot.close()

    def _rejections(self, query: RepositoryQuery, snapshot: Snapshot | None) -> Rejections | None:
        if not query.used & REMOVAL:
            return None
        rejections = self._make_rejections()
        rejections.read(key_objects=snapshot.key_objects() if snapshot is not None else None)
        return rejections

    def _find(
        self,
        query: RepositoryQuery,
        prior: bytes,
        resources: Resources,
        lots: Iterable[list[Resource]],
        rejections: Rejections | None,
    ) -> Iterator[list[Branch]]:
        matches = Matches(resources, self._records, query, rejections)
        own = self._of_pseudo_patient()
        size = _FIRST
        for studies in lots:
            studies = [study for study in studies if study["ID"] not in own or not _is_own(study, resources)]
            while studies:
                group, studies = studies[:size], studies[size:]
                branches, read = matches.of(group)
                if prior and names_of([group[0]["ID"]]) == [prior[:NAME]]:
                    branches = [_after(branch, prior) for branch in branches]
                yield [branch for branch in branches if branch.records]
                size = min(_LOT, 4 * size, max(1, size * _AIM // max(read, 1)))

    def _lots(self, query: RepositoryQuery, prior: bytes) -> Iterator[list[Resource]]:
        """The studies that may match from the one of a position on, sorted."""
        selected = self._selected(query)
        names: Sequence[bytes] = self._order.current() if selected is None else selected
        for start in range(bisect_left(names, prior[:NAME]), len(names), _LOT):
            identifiers = list(map(identifier_of_name, names[start : start + _LOT]))
            found = self._resources.studies(identifiers, start if selected is None else None)
            if selected is None:
                self._order.tell_gone(len(identifiers) - len(found))
            yield sorted(found, key=itemgetter("ID"))

    def _lots_of_tables(self, query: RepositoryQuery, prior: bytes, tables: TableResources) -> Iterator[list[Resource]]:
        """The same."""
        first = identifier_of_name(prior[:NAME]) if prior else ""
        named = self._named(query)
        identifiers = (
            iter([study for study in map(identifier_of_name, named) if study >= first]) if named is not None
            else tables.identifiers(first, *self._query.condition(query.scope))
        )
        while lot := list(islice(identifiers, _LOT)):
            yield sorted(tables.studies(lot, None), key=itemgetter("ID"))

    def _selected(self, query: RepositoryQuery) -> list[bytes] | None:
        """The studies that may match, sorted; None for all."""
        named = self._named(query)
        if named is not None:
            return named
        found = self._query.selected(query.scope)
        return None if found is None else sorted(names_of(found))

    def _named(self, query: RepositoryQuery) -> list[bytes] | None:
        """The studies with what the query names by its UID, sorted; None, if it does not."""
        for level, keyword in reversed(UNIQUE_KEYS.items()):
            for key in query.scope.keys:
                if key.path == (keyword,) and key.kind is not Kind.EMPTY and len(key.values) <= _LOOKED_UP:
                    return sorted({name for uid in key.values for name in names_of(self._studies_with(level, uid))})
        return None

    def _studies_with(self, level: str, uid: str) -> Iterator[str]:
        """The studies with what has this UID, whoever the patient is."""
        entries: list[dict[str, Any]] = json.loads(self._host.post("/tools/lookup", uid.encode()))
        for entry in entries:
            if entry["Type"].upper() == level:
                try:
                    yield entry["ID"] if level == "STUDY" else self._host.get_json(f"{entry['Path']}/study")["ID"]
                except NotFound:  # gone since
                    continue

    def _of_pseudo_patient(self) -> frozenset[str]:
        try:
            return frozenset(self._host.get_json(f"/patients/{self._pseudo_patient}")["Studies"])
        except NotFound:
            return frozenset()


def _is_own(study: Resource, resources: Resources) -> bool:
    """Whether a study of the pseudo patient holds inventories only: a real patient may have chosen the same ID."""
    series = resources.series([study], Content(children=True))
    instances = resources.instances(series, Content(metadata=True))
    classes: Iterable[str] = map(itemgetter("SopClassUid"), map(itemgetter("Metadata"), instances))
    return all(sop_class == INVENTORY_STORAGE for sop_class in classes)


def _after(branch: Branch, prior: bytes) -> Branch:
    """What of a branch comes after a position."""
    kept = [place for place, name in enumerate(branch.names) if branch.parent + name > prior]
    names, records = [branch.names[place] for place in kept], [branch.records[place] for place in kept]
    return branch._replace(names=names, records=records)
