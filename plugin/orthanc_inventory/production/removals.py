"""Records of what was deleted since the base of an increment: they keep what the base knew (PS3.3 C.38.1.2, 0008,0405)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..dicom.records import Attributes, InstanceRecord, SeriesRecord, StudyRecord
from ..dicom.rejection import removal
from ..dicom.values import without_padding
from ..host import identifier_of
from ..reader.records import Instance, Series, Study


class Removals:
    """Adds to the record of a study what its earlier record has and it has not; counts the items that it adds."""

    def __init__(self) -> None:
        self.series = 0
        self.instances = 0

    def added_to(self, record: StudyRecord, before: Study) -> StudyRecord:
        """The record with the series and instances that are gone."""
        return replace(record, series=self._series(record, before))

    def study(self, identifier: str, before: Study, moment: str) -> StudyRecord:
        """The record of a study that is gone; ``moment`` is its Item Inventory DateTime."""
        attributes = {**_gone(before.attributes), "ItemInventoryDateTime": moment}
        return StudyRecord(identifier, attributes, map(self._gone_series, before.series()))

    def _series(self, record: StudyRecord, before: Study) -> Iterator[SeriesRecord]:
        children = set(record.children)
        study = [record.attributes.get(keyword, "") for keyword in ("PatientID", "StudyInstanceUID")]
        earlier = {series.uid: series for series in before.series()}
        for series in record.series:
            known = earlier.pop(without_padding(series.attributes.get("SeriesInstanceUID", "")), None)
            if known is not None and series.instances:
                present = {without_padding(entry.attributes.get("SOPInstanceUID", "")) for entry in series.instances}
                # What is there, but has left the scope, is not gone.
                series.instances = [*series.instances] + [
                    self._gone_instance(instance)
                    for instance in known.instances()
                    if instance.uid not in present and identifier_of(*study, known.uid, instance.uid) not in children
                ]
            yield series
        for known in earlier.values():
            if identifier_of(*study, known.uid) not in children:
                yield self._gone_series(known)

    def _gone_series(self, series: Series) -> SeriesRecord:
        self.series += 1
        # That the series is gone tells that its instances are (PS3.3 Table C.38.1-1).
        instances = [InstanceRecord(instance.uid, instance.attributes) for instance in series.instances()]
        self.instances += len(instances)
        return SeriesRecord(series.uid, _gone(series.attributes), instances)

    def _gone_instance(self, instance: Instance) -> InstanceRecord:
        self.instances += 1
        return InstanceRecord(instance.uid, _gone(instance.attributes))


def _gone(attributes: Attributes) -> Attributes:
    """What was marked before keeps its reason; else none is known, for Orthanc tells none."""
    marked = attributes.get("RemovedFromOperationalUse") == "Y"
    return {**attributes, **({} if marked else removal()), "InstanceAvailability": "UNAVAILABLE"}
