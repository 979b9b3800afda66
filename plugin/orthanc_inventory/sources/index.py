"""Study records from Orthanc's index, each read consistently.

How the index is asked depends on what this Orthanc can do and is fast at: see ``Strategy``.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from ..dicom.attributes import SERIES, STUDY
from ..dicom.records import Attributes, InstanceRecord, SeriesRecord, Skipped, StudyRecord
from ..dicom.scope import Scope
from ..dicom.uids import INVENTORY_STORAGE
from ..host import Host, HostError, NotFound
from . import Encoded, Moved, StudyDeleted, StudyUnreadable
from .data_sets import DataSets, add_other_patient_ids, completed
from .details import Details
from .originals import Originals, date_time
from .query import IndexQuery
from .rejections import Marks, Rejections
from .selection import deeper, within

# How often a study is read when it keeps changing meanwhile.
ATTEMPTS = 3
# LastUpdate counts seconds: of a study that changed this lately (seconds) it does not tell whether it changed again.
_RESTLESS = datetime.timedelta(seconds=2)
# Instance Availability (0008,0056): what Orthanc lists can be fetched at once. Study and series say it for their instances.
_AVAILABILITY = "ONLINE"


class Strategy(Protocol):
    """One way of asking Orthanc's index for series and instances."""

    name: str

    def series(self, study: str) -> list[dict[str, Any]]:
        """The series of a study as Orthanc expands them: ID, MainDicomTags, Instances (IDs)."""

    def instances(
        self, study: str, series: list[dict[str, Any]], skipped: list[Skipped]
    ) -> Iterator[tuple[dict[str, Any], list[InstanceRecord]]]:
        """Each of the series with its instance records; instances that cannot be read are added to ``skipped``.

        Raises:
            Moved: the instances are no longer those that ``series`` lists.
        """


class IndexSource:
    """The archive behind the plugin, a ``Source``.

    Args:
        pseudo_patient: the PatientID under which inventories themselves are kept; they are never records.
        access: Retrieve AE Title and Retrieve URL, the same for each study.
        originals: finds what modified resources were before.
        rejections: what rejection notes withdraw.
        details: reads headers of objects too; None: the index is enough.
    """

    def __init__(
        self,
        host: Host,
        strategy: Strategy,
        query: IndexQuery,
        pseudo_patient: str,
        access: Attributes,
        originals: Originals,
        rejections: Rejections,
        details: Details | None = None,
    ) -> None:
        self._host = host
        self._strategy = strategy
        self._query = query
        self._pseudo_patient = pseudo_patient
        self._access = access
        self._originals = originals
        self._rejections = rejections
        self.withdrawn: Mapping[str, str] = {}
        self._details = details
        self._of_study, self._of_series = DataSets(STUDY), DataSets(SERIES)

    @property
    def name(self) -> str:
        return self._strategy.name + (f"; headers by {self._details.name}" if self._details else "")

    def begin(self) -> None:
        self._rejections.read()
        self.withdrawn = self._rejections.withdrawn

    def check(self, scope: Scope) -> None:
        self._query.check(scope)

    def all_studies(self) -> Sequence[str]:
        return self._host.get_json("/studies")

    def children(self, study: str) -> tuple[str, list[str]]:
        try:
            head = self._host.get_json(f"/studies/{study}")
            return head.get("LastUpdate", ""), _identifiers(self._strategy.series(study))
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
        return self._query.studies(scope)

    def read(
        self, study: str, level: str, scope: Scope, encode: Callable[[StudyRecord], Encoded]
    ) -> tuple[Encoded, list[Skipped]] | None:
        for _ in range(ATTEMPTS):
            try:
                return self._read(study, level, scope, encode)
            except Moved:
                continue
            except NotFound:
                if not self._exists(study):
                    raise StudyDeleted from None
            except HostError as error:
                raise StudyUnreadable(str(error)) from None
        raise StudyUnreadable(f"it changed each time while it was read, {ATTEMPTS} times")

    def _exists(self, study: str) -> bool:
        try:
            self._host.get(f"/studies/{study}")
        except NotFound:
            return False
        except HostError as error:
            raise StudyUnreadable(str(error)) from None
        return True

    def _read(
        self, study: str, level: str, scope: Scope, encode: Callable[[StudyRecord], Encoded]
    ) -> tuple[Encoded, list[Skipped]] | None:
        head = self._host.get_json(f"/studies/{study}")
        attributes = dict(self._of_study.from_index({**head["PatientMainDicomTags"], **head["MainDicomTags"]}, {}))
        if not scope.may_match_study(attributes) or not scope.matches_labels(head.get("Labels", ())):
            return None
        if attributes.get("PatientID") == self._pseudo_patient and self._is_inventory(study):
            return None
        series = self._strategy.series(study)
        # All that is recorded is what these lists name: whatever comes later is found to differ from them.
        now = datetime.datetime.now(datetime.timezone.utc)
        if {entry["ID"] for entry in series} != set(head["Series"]):
            raise Moved
        last_update = head.get("LastUpdate", "")
        attributes |= {
            **self._access,
            "ItemInventoryDateTime": now.strftime("%Y%m%d%H%M%S.%f+0000"),
            "StudyUpdateDateTime": date_time(last_update),
            "InstanceAvailability": _AVAILABILITY,
            "ModalitiesInStudy": "\\".join(sorted({entry["MainDicomTags"].get("Modality") or "OT" for entry in series})),
            "NumberOfStudyRelatedSeries": str(len(series)),
            "NumberOfStudyRelatedInstances": str(sum(len(entry["Instances"]) for entry in series)),
        }
        marks = self._rejections.marks(series)
        attributes |= marks.study
        add_other_patient_ids(attributes)
        if not scope.may_match_study(attributes):
            return None
        details: dict[str, Attributes] = {}
        unread = 0
        if self._details is not None:
            of_study, details, unread = self._details.of_study(series)
            attributes = completed(attributes, of_study)
        skipped: list[Skipped] = []
        recorded = self._originals.of_study(head, attributes)
        if not scope.matches_study(recorded):
            return None
        records = within(scope, self._series(study, series, deeper(level, scope.deepest_level), skipped, details, marks))
        if records is None:
            if skipped:
                raise StudyUnreadable("some of its instances cannot be read, so that it may be in scope or not")
            return None
        # At the level of instances those headers are read for their instances, and counted there.
        unread = 0 if level == "INSTANCE" else unread
        encoded = encode(StudyRecord(study, recorded, records, unread, _identifiers(series), last_update))
        if self._last_update(study) != last_update:
            raise Moved
        if last_update >= (now - _RESTLESS).strftime("%Y%m%dT%H%M%S") or not last_update:
            if _children(self._strategy.series(study)) != _children(series):
                raise Moved
        return encoded, skipped

    def _series(
        self,
        study: str,
        series: list[dict[str, Any]],
        level: str,
        skipped: list[Skipped],
        details: Mapping[str, Attributes],
        marks: Marks,
    ) -> Iterator[SeriesRecord]:
        if level == "INSTANCE":
            for entry, instances in self._strategy.instances(study, series, skipped):
                if self._details is not None:
                    self._details.add_to_instances(instances)
                self._originals.add_to_instances(entry, instances)
                marks.add_to(instances)
                yield SeriesRecord(entry["ID"], self._series_attributes(entry, details, marks), instances)
        else:
            for entry in series:
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

    def _is_inventory(self, study: str) -> bool:
        """Whether a study of the pseudo patient holds inventories only: a real patient may have chosen the same ID."""
        unreadable: list[Skipped] = []
        series = self._strategy.instances(study, self._strategy.series(study), unreadable)
        records = (record for _, instances in series for record in instances)
        return all(record.attributes["SOPClassUID"] == INVENTORY_STORAGE for record in records) and not unreadable


def _children(series: list[dict[str, Any]]) -> dict[str, set[str]]:
    return {entry["ID"]: set(entry["Instances"]) for entry in series}


def _identifiers(series: list[dict[str, Any]]) -> list[str]:
    """IDs of the series, then of their instances."""
    return [entry["ID"] for entry in series] + [instance for entry in series for instance in entry["Instances"]]
