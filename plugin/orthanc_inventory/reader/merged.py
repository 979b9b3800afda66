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

    A record is complete as far as its maker knew. So a later one takes the place of each earlier one with which it
    shares a series, and of those without series; removed series stand in it, with Removed from Operational Use.
    Records that share none describe parts of the study in different places, and are united.
    """
    if len(records) == 1:
        return MergedStudy(records)
    current: list[tuple[set[str], Study]] = []
    for record in records:
        series = {entry.uid for entry in record.series()}
        current = [(other, earlier) for other, earlier in current if series and other and series.isdisjoint(other)]
        current.append((series, record))
    return MergedStudy([record for _, record in reversed(current)])
