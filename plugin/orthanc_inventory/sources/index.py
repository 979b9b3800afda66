"""Study records from Orthanc's index, each read consistently.

How the index is asked depends on what this Orthanc can do and is fast at: see ``group.Strategy``.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ..dicom.attributes import SERIES, STUDY
from ..dicom.keys import Key
from ..dicom.records import Attributes, SeriesRecord, Skipped, StudyRecord
from ..dicom.scope import Scope
from ..dicom.uids import INVENTORY_STORAGE
from ..host import Host, HostError, NotFound
from . import EarlierNotes, Encoded, Moved, StudyDeleted, StudyUnreadable
from .data_sets import DataSets, add_other_patient_ids, completed
from .details import Details
from .group import Group, Opened, Read, Strategy, is_restless, open_alone, read_group
from .objects import Objects
from .look import Look
from .originals import Originals, date_time
from .postgresql import Unusable
from .query import IndexQuery
from .rejections import KeyObjects, Marks, Rejections
from .selection import deeper, within
from .snapshot import Snapshot, Wanted
from .snapshots import Snapshots
from .study_pages import head as study_head

# How often a study is read when it keeps changing meanwhile.
ATTEMPTS = 3
# Studies of a list of all that are known ahead, so that several can be read at once.
_FOLLOWING = 16_000
# Instance Availability (0008,0056): what Orthanc lists can be fetched at once. Study and series say it for their instances.
_AVAILABILITY = "ONLINE"


class IndexSource:
    """The archive behind the plugin, a ``Source``. Its index lists all there is.

    Args:
        pseudo_patient: the PatientID under which inventories themselves are kept; they are never records.
        access: Retrieve AE Title and Retrieve URL, the same for each study.
        objects: makes the records of instances.
        originals: finds what modified resources were before.
        rejections: what rejection notes withdraw.
        details: reads headers of objects too; None: the index is enough.
        snapshots: of the index, in which a run reads where they can be had.
    """

    unlisted: Sequence[Skipped] = ()

    def __init__(
        self,
        host: Host,
        strategy: Strategy,
        query: IndexQuery,
        pseudo_patient: str,
        access: Attributes,
        objects: Objects,
        originals: Originals,
        rejections: Rejections,
        details: Details | None = None,
        snapshots: Snapshots | None = None,
    ) -> None:
        self._host = host
        self._strategy = strategy
        self._query = query
        self._pseudo_patient = pseudo_patient
        self._access = access
        self._objects = objects
        self._originals = originals
        self._rejections = rejections
        self.withdrawn: Mapping[str, str] = {}
        self.notes: Sequence[str] | None = None
        self._details = details
        self._snapshots = snapshots
        self._snapshot: Snapshot | None = None
        self._of_study, self._of_series = DataSets(STUDY), DataSets(SERIES)

    @property
    def name(self) -> str:
        parts = [self._strategy.name]
        if self._snapshots is not None:
            parts = [self._snapshots.name] if self._snapshots.name else [*parts, self._snapshots.problem]
        return "; ".join([*parts, f"headers by {self._details.name}"] if self._details else parts)

    def begin(self, earlier: Callable[[], EarlierNotes | None] = lambda: None) -> None:
        self._strategy.forget()
        self._snapshot = self._snapshots.open(self._objects) if self._snapshots is not None else None
        notes = earlier()
        self._rejections.read(notes, self._key_objects(notes))
        self.withdrawn, self.notes = self._rejections.withdrawn, self._rejections.series

    def end(self) -> None:
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None

    def catch_up(self) -> None:
        if self._snapshot is not None:
            try:
                self._snapshot.catch_up()
            except Unusable as error:
                self._lose_snapshot(error)

    def _key_objects(self, earlier: EarlierNotes | None) -> list[KeyObjects] | None:
        if self._snapshot is not None:
            try:
                return self._snapshot.key_objects(earlier)
            except Unusable as error:
                self._lose_snapshot(error)
        return None

    def _lose_snapshot(self, why: Unusable) -> None:
        """What is left is read by other means."""
        self.end()
        assert self._snapshots is not None
        self._snapshots.tell(why)

    def check(self, scope: Scope) -> None:
        self._query.check(scope)

    def unknown(self, scope: Scope) -> Sequence[Key]:
        return self._query.unknown(scope)

    def all_studies(self) -> Sequence[str]:
        return self.studies(Scope())

    def all_children(self) -> Iterator[tuple[str, str, Sequence[str]]]:
        studies = self.all_studies()
        group: Group | None = None
        for place, study in enumerate(studies):
            if group is None or study not in group.studies:
                group = self.group(studies[place : place + _FOLLOWING], "STUDY", Scope())
            try:
                yield study, *self.children(study, group)
            except StudyDeleted:
                continue

    def children(self, study: str, group: Group | None = None) -> tuple[str, list[str]]:
        if group is None and self._snapshot is not None:
            group = self.group([study], "STUDY", Scope())
        with suppress(Moved):
            opened = self._take(group, study)
            if opened is not None:
                return opened.head["LastUpdate"], _identifiers(opened.series)
        try:
            head = study_head(self._host, study)
            return head["LastUpdate"], _identifiers(self._strategy.series([head])[study])
        except NotFound:
            raise StudyDeleted from None

    def studies_of(self, level: str, identifier: str) -> Sequence[str]:
        try:
            if level == "Patient":
                return self._host.get_json(f"/patients/{identifier}")["Studies"]
            parent = "series" if level == "Series" else "instances"
            return [self._host.get_json(f"/{parent}/{identifier}/study")["ID"]]
        except NotFound:  # gone since: its deletion is a change of its own
            return []

    def studies_with(self, uid: str) -> Sequence[str]:
        found = json.loads(self._host.post("/tools/lookup", uid.encode()))
        return [entry["ID"] for entry in found if entry["Type"] == "Study"]

    def studies(self, scope: Scope) -> Sequence[str]:
        if self._snapshot is not None:
            try:
                return self._snapshot.studies(*self._query.condition(scope))
            except Unusable as error:
                self._lose_snapshot(error)
        return self._query.studies(scope)

    def group(self, studies: Sequence[str], level: str, scope: Scope, uids: Sequence[str] = ()) -> Group:
        if self._snapshot is not None:
            wanted = Wanted(
                deeper(level, scope.deepest_level) == "INSTANCE",
                lambda head: self._may_match_head(head, scope), lambda opened: self._may_match(opened, scope),
            )
            return self._snapshot.group(studies, wanted)
        if self._details is not None:  # to read the headers takes most of the time, and they are to be of the same moment
            return Group(studies[:1], {}, set())
        with_instances = deeper(level, scope.deepest_level) == "INSTANCE"
        return read_group(
            self._strategy, studies, with_instances,
            lambda head: self._may_match_head(head, scope), lambda opened: self._may_match(opened, scope), uids,
        )

    def read(
        self,
        study: str,
        level: str,
        scope: Scope,
        encode: Callable[[StudyRecord], Encoded],
        group: Group | None = None,
    ) -> tuple[Encoded, list[Skipped]] | None:
        if group is None and self._snapshot is not None:
            group = self.group([study], level, scope)
        for attempt in range(ATTEMPTS):
            try:
                opened = self._take(group, study) if not attempt else None
                return self._read(study, level, scope, encode, opened)
            except Moved:
                continue
            except NotFound:
                if not self._exists(study):
                    raise StudyDeleted from None
            except HostError as error:
                raise StudyUnreadable(str(error)) from None
        raise StudyUnreadable(f"it changed each time while it was read, {ATTEMPTS} times")

    def _take(self, group: Group | None, study: str) -> Opened | None:
        """Raises: Moved."""
        try:
            return group.take(study) if group is not None else None
        except Unusable as error:
            self._lose_snapshot(error)
            return None

    def _exists(self, study: str) -> bool:
        try:
            self._host.get(f"/studies/{study}")
        except NotFound:
            return False
        except HostError as error:
            raise StudyUnreadable(str(error)) from None
        return True

    def _read(
        self, study: str, level: str, scope: Scope, encode: Callable[[StudyRecord], Encoded], opened: Opened | None
    ) -> tuple[Encoded, list[Skipped]] | None:
        if opened and is_restless(opened):
            opened = None  # also a snapshot begins some time after its moment
        head = opened.head if opened else self._head(study)
        if not self._may_match_head(head, scope):
            return None
        opened = opened or open_alone(self._strategy, head)
        if self._of_head(head).get("PatientID") == self._pseudo_patient and self._is_inventory(opened):
            return None
        if not self._may_match(opened, scope):
            return None
        with_instances = deeper(level, scope.deepest_level) == "INSTANCE"
        look: Look | None = None
        if self._needs_proof(opened) and is_restless(opened):
            look = Look(opened)
            if with_instances:
                look.take_in(self._strategy.instances(opened.series))
            opened = opened._replace(moment=self._moment(look, study))
        series, marks = opened.series, self._rejections.marks(opened.series)
        attributes = self._attributes(opened, marks)
        details: dict[str, Attributes] = {}
        unread = 0
        if self._details is not None:
            of_study, details, unread = self._details.of_study(series)
            attributes = completed(attributes, of_study)
        skipped: list[Skipped] = []
        recorded = self._originals.of_study(head, attributes)
        if not scope.matches_study(recorded):
            return None
        again = Look(opened)
        instances = opened.instances or self._strategy.instances(series)
        if look is not None:
            instances = again.passing(instances)
        records = within(scope, self._series(opened, instances if with_instances else None, skipped, details, marks))
        if records is None:
            if skipped:
                raise StudyUnreadable("some of its instances cannot be read, so that it may be in scope or not")
            return None
        # At the level of instances those headers are read for their instances, and counted there.
        unread = 0 if level == "INSTANCE" else unread
        last_update = head["LastUpdate"]
        encoded = encode(StudyRecord(study, recorded, records, unread, _identifiers(series), last_update))
        if self._needs_proof(opened):
            self._prove(opened)
        if look is not None:
            # Who needs no series has not read them all, and it is all that is compared.
            for _ in records:
                pass
            self._look_again(look, study)
            if not look.has_same_instances(again):
                raise Moved
        return encoded, skipped

    def _moment(self, look: Look, study: str) -> datetime.datetime:
        """One right before and right after which the study was as it looked: to read all of it takes so long that an object
        can come and go in the meantime. Raises: Moved.
        """
        self._look_again(look, study)
        moment = datetime.datetime.now(datetime.timezone.utc)
        self._look_again(look, study)
        return moment

    def _look_again(self, look: Look, study: str) -> None:
        """Raises: Moved."""
        head = study_head(self._host, study)
        if not look.is_still(head, self._strategy.series([head])[study]):
            raise Moved

    def _head(self, study: str) -> dict[str, Any]:
        try:
            return study_head(self._host, study)
        except NotFound:
            raise StudyDeleted from None

    def _needs_proof(self, opened: Opened) -> bool:
        """Headers are of later than a snapshot."""
        return not opened.is_proven or self._details is not None

    def _of_head(self, head: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self._of_study.from_index({**head["PatientMainDicomTags"], **head["MainDicomTags"]}, {}))

    def _may_match_head(self, head: Mapping[str, Any], scope: Scope) -> bool:
        return scope.may_match_study(self._of_head(head)) and scope.matches_labels(head["Labels"])

    def _may_match(self, opened: Opened, scope: Scope) -> bool:
        return scope.may_match_study(self._attributes(opened, self._rejections.marks(opened.series)))

    def _attributes(self, opened: Opened, marks: Marks) -> dict[str, Any]:
        """Of the study, by its index alone."""
        series = opened.series
        attributes = {
            **self._of_head(opened.head),
            **self._access,
            "ItemInventoryDateTime": opened.moment.strftime("%Y%m%d%H%M%S.%f+0000"),
            "StudyUpdateDateTime": date_time(opened.head["LastUpdate"]),
            "InstanceAvailability": _AVAILABILITY,
            "ModalitiesInStudy": "\\".join(sorted({entry["MainDicomTags"].get("Modality") or "OT" for entry in series})),
            "NumberOfStudyRelatedSeries": str(len(series)),
            "NumberOfStudyRelatedInstances": str(sum(len(entry["Instances"]) for entry in series)),
            **marks.study,
        }
        add_other_patient_ids(attributes)
        return attributes

    def _prove(self, opened: Opened) -> None:
        """Raises: Moved, when something may have changed since the study was opened."""
        if self._last_update(opened.head["ID"]) != opened.head["LastUpdate"]:
            raise Moved

    def _series(
        self,
        opened: Opened,
        instances: Iterable[Read] | None,
        skipped: list[Skipped],
        details: Mapping[str, Attributes],
        marks: Marks,
    ) -> Iterator[SeriesRecord]:
        if instances is not None:
            for entry, found, unreadable in instances:
                if found is None:
                    raise Moved
                skipped += unreadable
                if self._details is not None:
                    self._details.add_to_instances(found)
                self._originals.add_to_instances(entry, found)
                marks.add_to(found)
                yield SeriesRecord(entry["ID"], self._series_attributes(entry, details, marks), found)
        else:
            for entry in opened.series:
                yield SeriesRecord(entry["ID"], self._series_attributes(entry, details, marks))

    def _series_attributes(self, entry: dict[str, Any], details: Mapping[str, Attributes], marks: Marks) -> Attributes:
        index = self._of_series.from_index(entry["MainDicomTags"], entry.get("Metadata", {}))
        attributes = {
            **completed(index, details.get(entry["ID"], {})),
            "InstanceAvailability": _AVAILABILITY,
            **marks.series.get(entry["ID"], {}),
        }
        return self._originals.of_series(entry, attributes)

    def _last_update(self, study: str) -> str:
        try:
            return self._host.get(f"/studies/{study}/metadata/LastUpdate").decode("ascii")
        except NotFound:  # Orthanc keeps none, or the study is gone
            return ""

    def _is_inventory(self, opened: Opened) -> bool:
        """Whether a study of the pseudo patient holds inventories only: a real patient may have chosen the same ID."""
        return all(
            instances is not None
            and not unreadable
            and all(record.attributes["SOPClassUID"] == INVENTORY_STORAGE for record in instances)
            for _, instances, unreadable in opened.instances or self._strategy.instances(opened.series)
        )


def _identifiers(series: list[dict[str, Any]]) -> list[str]:
    """IDs of the series, then of their instances."""
    return [entry["ID"] for entry in series] + [instance for entry in series for instance in entry["Instances"]]
