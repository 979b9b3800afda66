"""What an inventory lists of a study, what the archive has of it, and in what these differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..dicom.instants import microseconds
from ..dicom.records import Attributes, InstanceRecord, StudyRecord
from ..dicom.values import legal_value, without_padding
from ..host import identifier_of
from ..reader.merged import MergedStudy
from ..reader.records import Instance
from .findings import Finding, FindingKind

_REMOVED = 0x00080405
_REMOVED_TAGS = frozenset({_REMOVED})
_RELATED = {0x00201206: "NumberOfStudyRelatedSeries", 0x00201208: "NumberOfStudyRelatedInstances"}
# ReceptionDate counts seconds (in microseconds).
_SECOND = 1_000_000


class Listed:
    """What is expected of one study: all but what is marked as Removed from Operational Use (0008,0405).

    ``studies`` are those of an inventory that the archive is to have under one Study Instance UID; most often a single one.
    ``series`` are the instances by series and SOP Instance UID, without instances at a level above. ``unexpected`` are the
    UIDs of series ("" in the second place) and instances that are listed all the same: of a series no instance, perhaps.

    Raises:
        InvalidInventory
    """

    def __init__(self, studies: Sequence[MergedStudy], level: str) -> None:
        self.studies = studies
        self.level = level
        self.study_uid = studies[0].uid
        self.series: dict[str, dict[str, Instance]] = {}
        self.unexpected: set[tuple[str, str]] = set()
        self.is_expected = False
        for study in studies:
            self._add(study)

    def _add(self, study: MergedStudy) -> None:
        is_removed = study.records[0].value(_REMOVED) == "Y"
        withdrawn = False
        for series in study.series() if self.level != "STUDY" else ():
            uid = series.uid
            expected: dict[str, Instance] = {}
            gone = is_removed or series.value(_REMOVED) == "Y"
            withdrawn |= gone
            for instance in series.instances():
                if gone or instance.values(_REMOVED_TAGS, ()).get(_REMOVED) == "Y":
                    self.unexpected.add((uid, instance.uid))
                    withdrawn = True
                else:
                    expected[instance.uid] = instance
            if gone or (not expected and self.level == "INSTANCE"):
                self.unexpected.add((uid, ""))
            else:
                self.series.setdefault(uid, {}).update(expected)
        # With all that is below it the study itself is withdrawn.
        self.is_expected |= not is_removed and (bool(self.series) or not withdrawn)

    @property
    def moment(self) -> int:
        """When the last of it was read for the inventory: microseconds since 1970 in UTC."""
        return max(record.moment for study in self.studies for record in study.records)

    @property
    def items(self) -> int:
        """How many resources of the inventory's level are expected; a study that is listed without any counts as one."""
        return (sum(map(items_of, self.series.values())) or 1) if self.is_expected else 0

    def identifiers(self) -> tuple[set[str], set[str]]:
        """Orthanc's IDs of the series and instances that are expected, and of all that are listed; for a single study."""
        study = self.studies[0].patient_id, self.study_uid
        expected = {identifier_of(*study, series) for series in self.series}
        expected.update(identifier_of(*study, series, uid) for series, uids in self.series.items() for uid in uids)
        return expected, expected | {identifier_of(*study, *filter(None, uids)) for uids in self.unexpected}

    def related(self) -> dict[str, int]:
        """Numbers of series and instances in the study, where the inventory tells them."""
        texts = {
            keyword: [legal_value("IS", study.records[0].value(tag)) for study in self.studies]
            for tag, keyword in _RELATED.items()
        }
        return {keyword: sum(map(int, values)) for keyword, values in texts.items() if all(map(str.isdecimal, values))}


def items_of(instances: Mapping[str, Any]) -> int:
    """For how many items a series counts: its instances; itself, if they are not listed."""
    return len(instances) or 1


class StoredSeries(NamedTuple):
    identifier: str
    is_withdrawn: bool
    instances: dict[str, InstanceRecord]


class Stored(NamedTuple):
    """What the archive has of a study, by UID."""

    identifier: str
    attributes: Attributes
    series: dict[str, StoredSeries]

    @classmethod
    def from_record(cls, record: StudyRecord) -> Stored:
        series = {}
        for entry in record.series:
            instances = {_uid(instance.attributes, "SOPInstanceUID"): instance for instance in entry.instances}
            uid, withdrawn = _uid(entry.attributes, "SeriesInstanceUID"), _is_withdrawn(entry.attributes)
            series[uid] = StoredSeries(entry.identifier, withdrawn, instances)
        return cls(record.identifier, record.attributes, series)

    @property
    def study_uid(self) -> str:
        return _uid(self.attributes, "StudyInstanceUID")


def _uid(attributes: Attributes, keyword: str) -> str:
    return without_padding(attributes.get(keyword, ""))


def _is_withdrawn(attributes: Attributes) -> bool:
    return attributes.get("RemovedFromOperationalUse") == "Y"


def missing(listed: Listed, stored: Sequence[Stored]) -> Iterator[Finding]:
    """What is expected and not there, each at the highest level that tells all."""
    study = listed.study_uid
    if not stored:
        if listed.is_expected:
            identifier = identifier_of(listed.studies[0].patient_id, study)
            yield Finding(FindingKind.MISSING, "STUDY", study, identifier=identifier, items=listed.items)
        return
    for series, instances in listed.series.items():
        found = [entry.series[series].instances for entry in stored if series in entry.series]
        if not found:
            yield Finding(FindingKind.MISSING, "SERIES", study, series, items=items_of(instances))
            continue
        for uid in instances:
            if not any(uid in entry for entry in found):
                yield Finding(FindingKind.MISSING, "INSTANCE", study, series, uid)


def pairs(listed: Listed, stored: Sequence[Stored]) -> Iterator[tuple[str, Instance, InstanceRecord]]:
    """Each instance that is expected and there, with the UID of its series."""
    for series, instances in listed.series.items():
        for entry in stored:
            if series in entry.series:
                records = entry.series[series].instances
                yield from ((series, instance, records[uid]) for uid, instance in instances.items() if uid in records)


def different_numbers(listed: Listed, stored: Sequence[Stored]) -> Iterator[Finding]:
    """Of an inventory that does not list instances: whether the study has as many series and instances as it had."""
    attributes = {
        keyword: (number, now)
        for keyword, number in listed.related().items()
        if number != (now := sum(int(entry.attributes[keyword]) for entry in stored))
    }
    if attributes and listed.is_expected:
        identifier = stored[0].identifier
        reason = "the study has another number of series or instances"
        yield Finding(
            FindingKind.DIFFERENT, "STUDY", listed.study_uid, identifier=identifier, reason=reason, attributes=attributes
        )


def extra(listed: Listed | None, stored: Stored, level: str, moment: int) -> Iterator[Finding]:
    """What is there and not listed, each at the highest level that tells all. What is withdrawn now is not looked for.

    Args:
        listed: None: nothing of the study is.
        level: that of the inventory.
        moment: when the inventory was made, as microseconds since 1970 in UTC.
    """
    if _is_withdrawn(stored.attributes) or (listed is not None and level == "STUDY"):
        return
    found = []
    for uid, series in stored.series.items():
        if series.is_withdrawn:
            continue
        instances = {key: entry for key, entry in series.instances.items() if not _is_withdrawn(entry.attributes)}
        known = listed is not None and (uid in listed.series or (uid, "") in listed.unexpected)
        if known and listed is not None:
            expected = listed.series.get(uid, {})
            new = {
                key: entry for key, entry in instances.items()
                if level == "INSTANCE" and key not in expected and (uid, key) not in listed.unexpected
            }
            found += [_extra("INSTANCE", stored, uid, key, entry.identifier, [entry], 1, moment) for key, entry in new.items()]
        elif instances or (level != "INSTANCE" and not series.instances):
            count = len(instances) if level == "INSTANCE" else 1
            found.append(_extra("SERIES", stored, uid, "", series.identifier, instances.values(), count, moment))
    if listed is None and found:
        everything = [entry for series in stored.series.values() for entry in series.instances.values()]
        count = 1 if level == "STUDY" else sum(finding.items for finding in found)
        found = [_extra("STUDY", stored, "", "", stored.identifier, everything, count, moment)]
    yield from found


def _extra(
    level: str, stored: Stored, series: str, uid: str, identifier: str, instances: Any, count: int, moment: int
) -> Finding:
    received = min((entry.attributes.get("ReceptionDate", "") for entry in instances), default="")
    try:
        later = microseconds(received.replace("T", "")) + _SECOND > moment if received else None
    except ValueError:
        later = None
    reason = {
        None: "", True: "received after the inventory was made", False: "received before the inventory was made"
    }[later]
    return Finding(
        FindingKind.EXTRA, level, stored.study_uid, series, uid, identifier, count, reason, received=received, later=later
    )
