"""Studies as the latest of their records tell (PS3.17 YYYY.7.4, YYYY.7.10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .records import Series, Study


class MergedStudy:
    """One study; ``records`` tell of it, the latest first: more than one where its series are split over them."""

    __slots__ = ("records",)

    def __init__(self, records: Sequence[Study]) -> None:
        self.records = tuple(records)

    @property
    def uid(self) -> str:
        return self.records[0].uid

    @property
    def patient_id(self) -> str:
        return self.records[0].patient_id

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Those of the latest record, as of its Item Inventory DateTime."""
        return self.records[0].attributes

    def series(self) -> Iterator[Series]:
        for record in self.records:
            yield from record.series()


def merge(records: Sequence[Study]) -> MergedStudy:
    """The records of one study, the earliest first.

    A record is complete as far as its maker knew. So a later one takes the place of each earlier one with which it shares an
    instance, or a series where not both list instances, and of those without series; what was removed stands in it, with Removed
    from Operational Use. Records that share nothing describe parts of the study in different places, or studies that an
    archive holds apart, as their Patient IDs differ in what is no part of the value (PS3.5 6.2). These are united.
    """
    if len(records) == 1:
        return MergedStudy(records)
    current: list[tuple[set[str], set[str], Study]] = []
    for record in records:
        series: set[str] = set()
        instances: set[str] = set()
        for entry in record.series():
            series.add(entry.uid)
            instances.update(instance.uid for instance in entry.instances())
        current = [earlier for earlier in current if _share_nothing(series, instances, *earlier[:2])]
        current.append((series, instances, record))
    return MergedStudy([record for _, _, record in reversed(current)])


def _share_nothing(series: set[str], instances: set[str], other_series: set[str], other_instances: set[str]) -> bool:
    if instances and other_instances:
        return instances.isdisjoint(other_instances)
    return bool(series) and bool(other_series) and series.isdisjoint(other_series)
