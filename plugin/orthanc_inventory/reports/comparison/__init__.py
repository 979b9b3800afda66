"""Compares two inventories, or an inventory and a list: what is missing, extra or different, and how much is covered.

Studies are paired by Study Instance UID; where one UID stands under several patients on a side, by Patient ID as well.
What is removed from operational use is not there. All that belongs to a missing study is missing, and is counted so on each
level; the differences name the study alone, and likewise a series without its instances. Extra is the same the other way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ...dicom.terms import LEVELS
from ...reader.temporary_database import TemporaryDatabase
from .attributes import Chosen, InvalidChoice, choose, common_level
from .differences import KINDS, Difference, Differences
from .inventories import InventorySide
from .order import side_by_side
from .sides import Entry, Records, Series, Side, Study

__all__ = ["KINDS", "Comparison", "Interrupted", "InvalidChoice", "InventorySide", "Side", "compare"]


class Interrupted(Exception):
    """The comparison was asked to stop."""


class Compared(NamedTuple):
    """What was a side of a comparison: SOP Instance UID and completion status of an inventory, None for a list."""

    uid: str | None
    completion_status: str | None


@dataclass
class Comparison:
    """``counts`` are by level: First, Second, Missing, Extra, Different; ``removed`` those of each side by level."""

    first: Compared
    second: Compared
    chosen: Chosen
    counts: dict[str, Counter[str]] = field(default_factory=lambda: {level: Counter() for level in LEVELS})
    removed: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))
    differences: Differences = field(default_factory=Differences)

    @property
    def same(self) -> bool:
        return not any(counts[kind] for counts in self.counts.values() for kind in KINDS)

    @property
    def coverage(self) -> float | None:
        """What of the first is found in the second, 0 to 1, at the level of the comparison; None if the first has nothing."""
        counts = self.counts[self.chosen.level]
        return (counts["First"] - counts["Missing"]) / counts["First"] if counts["First"] else None


def compare(
    first: Side,
    second: Side,
    level: str = "",
    attributes: Sequence[str] = (),
    interrupted: Callable[[], bool] = lambda: False,
) -> Comparison:
    """Reads both sides to their ends, in memory that does not grow with them.

    Args:
        level: down to which is compared; may be left out where both sides have the same.
        attributes: keywords of what to compare; see ``choose`` for the default.
        interrupted: is asked at each study whether to stop.

    Raises:
        InvalidChoice, Interrupted
        InvalidInventory, MissingInstance, InvalidList: a side cannot be read.
    """
    chosen = choose(common_level(first.level, second.level, level), attributes, _told(first, second))
    by_patient = all(side.told is None or "PatientID" in side.told for side in (first, second))
    records = first.records(chosen, by_patient), second.records(chosen, by_patient)
    # The sides themselves, with files that are open, are not kept.
    comparison = Comparison(
        Compared(first.uid, first.completion_status),
        Compared(second.uid, second.completion_status),
        chosen,
        removed=(records[0].removed, records[1].removed),
    )
    walk = _Walk(comparison)
    for uid in _places(*records):
        if interrupted():
            raise Interrupted
        for one, other in _paired(records[0].studies(uid), records[1].studies(uid)):
            walk.study(uid, one, other)
    comparison.differences.complete()
    return comparison


def _told(first: Side, second: Side) -> set[str] | None:
    told = [set(side.told) for side in (first, second) if side.told is not None]
    return set.intersection(*told) if told else None


def _places(first: Records, second: Records) -> Iterator[str]:
    """All Study Instance UIDs, in the order in which the first side, then the second, is read from its start to its end."""
    database = TemporaryDatabase("CREATE TABLE study (uid TEXT, first INTEGER, second INTEGER)")
    pairs = side_by_side(first.places(), second.places())
    rows = (((one or other or ("",))[0], one and one[1], other and other[1]) for one, other in pairs)
    database.insert("INSERT INTO study VALUES (?, ?, ?)", rows)
    return (uid for (uid,) in database.select("SELECT uid FROM study ORDER BY first, second"))


def _paired(first: Sequence[Study], second: Sequence[Study]) -> Iterator[tuple[Study | None, Study | None]]:
    """Studies with one UID, each of another patient, ascending. One and one are a pair whatever the Patient IDs."""
    if len(first) == len(second) == 1:
        return iter([(first[0], second[0])])
    streams = (iter([(study.patient_id, study) for study in studies]) for studies in (first, second))
    return ((one and one[1], other and other[1]) for one, other in side_by_side(*streams))


class _Walk:
    """Counts and notes what differs in one study after the other."""

    def __init__(self, comparison: Comparison) -> None:
        self._chosen = comparison.chosen
        self._studies, self._series, self._instances = (comparison.counts[level] for level in LEVELS)
        self._differences = comparison.differences
        self._depth = LEVELS.index(comparison.chosen.level)
        self._uid = ""
        self._study: Study | None = None

    def study(self, uid: str, first: Study | None, second: Study | None) -> None:
        self._uid, self._study = uid, first or second
        if first is None or second is None:
            present = first or second
            if present is not None:
                side, kind = ("Second", "Extra") if first is None else ("First", "Missing")
                self._note(kind, "STUDY")
                self._alone(side, kind, self._studies)
                if self._depth > 0:
                    for series in present.series():
                        self._lone_series(side, kind, series[2])
            return
        self._both(self._studies)
        if first.content != second.content and (
            differing := self._chosen.differing("STUDY", first.values(), second.values())
        ):
            self._studies["Different"] += 1
            self._note("Different", "STUDY", attributes=differing)
        if self._depth > 0:
            for one, other in side_by_side(first.series(), second.series()):
                self._compare_series(one, other)

    def _compare_series(self, first: Entry | None, second: Entry | None) -> None:
        if first is None or second is None:
            side, kind, present = ("Second", "Extra", second) if first is None else ("First", "Missing", first)
            if present is not None:
                self._note(kind, "SERIES", present[0])
                self._lone_series(side, kind, present[2])
            return
        self._both(self._series)
        uid, content, one = first
        if content != second[1] and (differing := self._chosen.differing("SERIES", one.values(), second[2].values())):
            self._series["Different"] += 1
            self._note("Different", "SERIES", uid, attributes=differing)
        if self._depth > 1:
            self._compare_instances(uid, one, second[2])

    def _compare_instances(self, series_uid: str, one: Series, other: Series) -> None:
        counts, chosen = self._instances, self._chosen
        comparable = one.encoding == other.encoding
        both = 0
        for first, second in side_by_side(one.instances(), other.instances()):
            if first is None or second is None:
                side, kind, present = ("Second", "Extra", second) if first is None else ("First", "Missing", first)
                if present is not None:
                    self._note(kind, "INSTANCE", series_uid, present[0])
                    self._alone(side, kind, counts)
                continue
            both += 1
            if comparable and (first[1] == second[1] or one.encoded(first[2]) == other.encoded(second[2])):
                continue
            differing = chosen.differing("INSTANCE", one.instance_values(first[2]), other.instance_values(second[2]))
            if differing:
                counts["Different"] += 1
                self._note("Different", "INSTANCE", series_uid, first[0], differing)
        self._both(counts, both)

    def _lone_series(self, side: str, kind: str, series: Series) -> None:
        self._alone(side, kind, self._series)
        if self._depth > 1:
            self._alone(side, kind, self._instances, sum(1 for _ in series.instances()))

    def _alone(self, side: str, kind: str, counts: Counter[str], number: int = 1) -> None:
        counts[side] += number
        counts[kind] += number

    def _both(self, counts: Counter[str], number: int = 1) -> None:
        counts["First"] += number
        counts["Second"] += number

    def _note(
        self,
        kind: str,
        level: str,
        series_uid: str | None = None,
        instance_uid: str | None = None,
        attributes: dict[str, list[str]] | None = None,
    ) -> None:
        patient_id = self._study.patient_id if self._study else ""
        self._differences.add(Difference(kind, level, patient_id, self._uid, series_uid, instance_uid, attributes or {}))
