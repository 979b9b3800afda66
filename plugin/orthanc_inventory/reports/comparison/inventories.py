"""Inventories as a side of a comparison: of each study what the latest of its records tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import groupby
from operator import attrgetter
from typing import Any

from pydicom.datadict import tag_for_keyword

from ...dicom.terms import LEVELS
from ...reader import Inventory
from ...reader import records as reader
from .attributes import LENGTH, MAC, MAC_ALGORITHM, TRANSFER_SYNTAX, Chosen, File, Values
from .order import IN_MEMORY, in_order
from .sides import Entry, Study

_SPECIFIC_CHARACTER_SET, _REMOVED = 0x00080005, 0x00080405
# No item without these bytes holds the element.
_REMOVED_BYTES = b"\x08\0\x05\x04"
_FILE_TAGS = tuple(tag_for_keyword(keyword) or 0 for keyword in (LENGTH, TRANSFER_SYNTAX, MAC_ALGORITHM, MAC))  # ascending
_by_uid = attrgetter("uid")


class InventorySide:
    told = None

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self.uid: str | None = inventory.uid
        self.level = inventory.level
        self.completion_status: str | None = inventory.completion_status

    def records(self, chosen: Chosen, by_patient: bool) -> InventoryRecords:
        return InventoryRecords(self._inventory, chosen, by_patient)


class InventoryRecords:
    """Raises InvalidInventory and MissingInstance where it comes to what is broken or not there."""

    def __init__(self, inventory: Inventory, chosen: Chosen, by_patient: bool) -> None:
        self._inventory = inventory
        self._by_patient = by_patient
        self.removed: Counter[str] = Counter()
        self.chosen = chosen
        self.tags = {level: tuple(sorted(row.tag for row in rows)) for level, rows in chosen.rows.items()}
        # Whether a study is there at all, and what its text means, is looked at in the same go.
        self.tags["STUDY"] = tuple(sorted((*self.tags["STUDY"], _SPECIFIC_CHARACTER_SET, _REMOVED)))
        self._walked = 0

    def places(self) -> Iterator[tuple[str, int]]:
        return self._inventory.study_places()

    def studies(self, uid: str) -> list[Study]:
        present: list[_Study] = []
        for merged in self._inventory.study(uid):
            study = _Study(self, merged.records)
            if study.removed:
                self.count_removed("STUDY", merged.series())
            else:
                present.append(study)
        if len(present) < 2:
            return list(present)
        if not self._by_patient:
            return [_Study(self, [record for study in present for record in study.records])]
        return [*sorted(present, key=lambda study: study.patient_id)]

    def count_removed(self, level: str, series: Iterator[reader.Series]) -> None:
        """Counts a study or a series that is removed, and with it what is below."""
        depth = LEVELS.index(self.chosen.level)
        self.removed[level] += 1
        if depth == 0:
            return
        for entry in series:
            if level == "STUDY":
                self.removed["SERIES"] += 1
            if depth == 2:
                self.removed["INSTANCE"] += sum(1 for _ in entry.instances())

    def walk(self, record: reader.Series, count: int) -> None:
        """Tells that so many instances of the series were read."""
        self._walked += count
        if self._walked > IN_MEMORY:
            record.release()
            self._walked = 0

    def values(self, level: str, record: reader.Study | reader.Series | reader.Instance) -> dict[str, str]:
        return {row.keyword: record.value(row.tag) for row in self.chosen.rows[level]}


class _Study:
    """``records`` tell of it, see ``MergedStudy``; that of the first counts."""

    __slots__ = ("_parent", "content", "records", "removed")

    def __init__(self, parent: InventoryRecords, records: Sequence[reader.Study]) -> None:
        self._parent = parent
        self.records = records
        fields = records[0].value_fields(parent.tags["STUDY"])
        self.removed = fields[parent.tags["STUDY"].index(_REMOVED)][1].strip(b" \0") == b"Y"
        self.content = records[0].inherited_character_set, fields

    @property
    def patient_id(self) -> str:
        return self.records[0].patient_id

    def values(self) -> Values:
        return Values(self._parent.values("STUDY", self.records[0]))

    def series(self) -> Iterator[Entry]:
        parent = self._parent
        streams = [in_order(record.series(), record.one_series, record.release) for record in self.records]
        for uid, group in groupby(streams[0] if len(streams) == 1 else merge(*streams, key=_by_uid), _by_uid):
            parts = list(group)
            present = [part for part in parts if part.value(_REMOVED) != "Y"]
            if present:
                series = _Series(parent, present)
                yield uid, (series.encoding, present[0].value_fields(parent.tags["SERIES"])), series
            else:
                parent.count_removed("SERIES", iter(parts))


class _Series:
    """``parts`` are records of one series in several records of its study; what the first tells of the series counts."""

    __slots__ = ("_parent", "_parts", "encoding")

    def __init__(self, parent: InventoryRecords, parts: Sequence[reader.Series]) -> None:
        self._parent = parent
        self._parts = parts
        encodings = {(part.place[2], part.character_set) for part in parts}
        self.encoding: Any = encodings.pop() if len(encodings) == 1 else object()

    def values(self) -> Values:
        return Values(self._parent.values("SERIES", self._parts[0]))

    def instances(self) -> Iterator[Entry]:
        streams = [in_order(part.instances(), part.instance, part.release) for part in self._parts]
        previous, count, removed = "", 0, 0
        for record in streams[0] if len(streams) == 1 else merge(*streams, key=_by_uid):
            uid, content = record.uid, record.content
            if uid == previous:
                continue
            previous = uid
            if _REMOVED_BYTES in content and record.value(_REMOVED) == "Y":
                removed += 1
            else:
                count += 1
                yield uid, content, record
        self._parent.removed["INSTANCE"] += removed
        self._parent.walk(self._parts[0], count)

    def encoded(self, record: reader.Instance) -> Any:
        values = record.value_fields(self._parent.tags["INSTANCE"])
        return values, record.file_value_fields(_FILE_TAGS) if self._parent.chosen.files else []

    def instance_values(self, record: reader.Instance) -> Values:
        attributes = self._parent.values("INSTANCE", record)
        if not self._parent.chosen.files:
            return Values(attributes)
        return Values(attributes, [_file(access) for access in record.files()])


def _file(access: Any) -> File:
    texts = (str(access.get(keyword, "")) for keyword in (TRANSFER_SYNTAX, LENGTH, MAC_ALGORITHM, MAC))
    return File(*texts)
