"""Which series and instances of a study are within a scope (PS3.3 Table C.38.1-1, (0008,0424) and (0008,0425))."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from ..dicom.records import SeriesRecord
from ..dicom.scope import Scope
from ..dicom.terms import LEVELS


def deeper(level: str, other: str) -> str:
    return max(level, other, key=LEVELS.index)


def within(scope: Scope, series: Iterable[SeriesRecord]) -> Iterable[SeriesRecord] | None:
    """The series that match, each with the instances that match; None when the study is not in scope.

    A study is in scope when one of its series matches and, with keys of instances, one instance of these. Series are read
    up to that one and no further; they are held in memory until it is found.
    """
    if scope.deepest_level == "STUDY":
        return series
    matching = _matching(scope, series)
    read: list[SeriesRecord] = []
    for entry in matching:
        read.append(entry)
        if scope.deepest_level == "SERIES" or entry.instances:
            return chain(read, matching)
    return None


def _matching(scope: Scope, series: Iterable[SeriesRecord]) -> Iterator[SeriesRecord]:
    for entry in series:
        if scope.matches_series(entry.attributes):
            instances = [instance for instance in entry.instances if scope.matches_instance(instance.attributes)]
            yield SeriesRecord(entry.identifier, entry.attributes, instances)
