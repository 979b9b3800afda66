"""Matching of PS3.4 C.2.2.2: the keys of a scope as tests of the attributes of a record, made once for all records.

Records are matched as they are written: their values are brought into the form that the VR allows first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from .attributes import Attribute
from .fuzzy_names import fuzzy
from .keys import BINARY, NUMERIC, Key, Kind
from .periods import FIRST_TIME, LAST_TIME, Period, date_time_period, offset_minutes, shifted, time_period
from .records import Attributes
from .values import FITTING, legal_value, without_padding
from .wild_cards import compiled, is_pattern

Test = Callable[[Attributes], bool]
ValueTest = Callable[[str], bool]
_SOME_DAY = "20000101"


class Conditions(NamedTuple):
    """How keys are matched, from Extended Matching Mechanisms (0008,040F).

    ``zone`` is the offset of dates and times in the repository, ``adjusted_to`` that of the keys, both in minutes; None
    where times are compared without regard to zones.
    """

    fuzzy: bool
    combined: bool
    zone: int
    adjusted_to: int | None


def tests(
    keys: Iterable[Key], table: Mapping[str, Attribute], conditions: Conditions, depth: int = 0
) -> list[tuple[tuple[str, ...], Test]]:
    """A test for each attribute with a key, with the keywords that it looks at; for a date and a time together, one.

    ``table`` are the rows of the records, or of the items of the sequence ``depth`` levels below them.
    """
    leaves: dict[str, Key] = {}
    nested: dict[str, list[Key]] = {}
    for key in keys:
        keyword = key.path[depth]
        if len(key.path) == depth + 1:
            leaves[keyword] = key
        else:
            nested.setdefault(keyword, []).append(key)
    result: list[tuple[tuple[str, ...], Test]] = []
    for keyword, below in nested.items():
        rows = {row.keyword: row for row in table[keyword].items}
        result.append(((keyword,), _sequence(keyword, [test for _, test in tests(below, rows, conditions, depth + 1)])))
    moments = _Moments(table, conditions)
    while leaves:
        keyword, key = leaves.popitem()
        sibling = _sibling(keyword)
        other = leaves.get(sibling)
        if conditions.combined and other and key.kind is other.kind is Kind.RANGE:
            del leaves[sibling]
            date, time = (key, other) if key.row.vr == "DA" else (other, key)
            result.append(((keyword, sibling), moments.combined(date, time)))
        else:
            looked_at = (keyword, sibling) if conditions.adjusted_to is not None and sibling in table else (keyword,)
            result.append((looked_at, _attribute(key, moments, conditions)))
    return result


def _sequence(keyword: str, below: list[Test]) -> Test:
    """One item must match all of its keys (C.2.2.2.6)."""
    return lambda attributes: any(all(test(item) for test in below) for item in attributes.get(keyword) or ())


def _attribute(key: Key, moments: "_Moments", conditions: Conditions) -> Test:
    if key.kind is Kind.EMPTY:
        return _empty(key.row)
    if key.row.vr in ("DA", "TM"):
        return moments.date_or_time(key)
    if key.row.vr == "DT":
        return moments.date_time(key)
    read = values_of(key.row)
    matches = _value(key, conditions)
    return lambda attributes: any(map(matches, read(attributes)))


def _empty(row: Attribute) -> Test:
    """An attribute that is absent is empty too (C.2.2.2.7)."""
    if row.vr == "SQ":
        return lambda attributes: not attributes.get(row.keyword)
    read = values_of(row)
    return lambda attributes: not any(read(attributes))


def _value(key: Key, conditions: Conditions) -> ValueTest:
    vr = key.row.vr
    if vr == "UI":
        return frozenset(key.values).__contains__
    if vr in NUMERIC:
        numbers = frozenset(Decimal(value.strip(" ")) for value in key.values)
        return lambda value: value != "" and Decimal(value) in numbers
    if vr == "PN":
        return _person_name(key, conditions.fuzzy)
    exact = frozenset(value for value in key.values if not is_pattern(value))
    patterns = [compiled(value) for value in key.values if is_pattern(value)]
    return lambda value: value in exact or any(pattern.fullmatch(value) for pattern in patterns)


def _person_name(key: Key, is_fuzzy: bool) -> ValueTest:
    """Without regard to case; by any component group, or all of them. What is empty at the end carries no meaning.

    A key of several groups leaves open those that are empty.
    """
    names = [value.rstrip("=") for value in key.values]
    patterns = [compiled(value, re.IGNORECASE) for value in names]
    several = [
        [(place, compiled(group, re.IGNORECASE)) for place, group in enumerate(value.split("=")) if group]
        for value in names
        if "=" in value
    ]
    similar = [fuzzy(value) for value in key.values] if is_fuzzy else []

    def matches(value: str) -> bool:
        groups = [group.rstrip("^") for group in value.split("=")]
        candidates = {value, *groups, "=".join(groups)}
        if any(pattern.fullmatch(candidate) for pattern in patterns for candidate in candidates):
            return True
        groups += [""] * 3
        if any(all(pattern.fullmatch(groups[place]) for place, pattern in name) for name in several):
            return True
        return any(test(value) for test in similar)

    return matches


def values_of(row: Attribute) -> Callable[[Attributes], list[str]]:
    """Reads the values that a record has in the form in which they are recorded; an empty text if there is none."""
    keyword, vr, default, multiple = row.keyword, row.vr, row.default, row.multiple
    fits = FITTING[vr].fullmatch if vr in FITTING else None

    def read(attributes: Attributes) -> list[str]:
        value = attributes.get(keyword)
        if value is None or value == "":
            return [default]
        if not isinstance(value, str):
            return [str(value)]
        if fits and fits(value):
            return [value]
        return _legal(vr, value, multiple).split("\\") if multiple else [_legal(vr, value, multiple) or default]

    return read


@lru_cache(maxsize=4096)
def _legal(vr: str, value: str, multiple: bool) -> str:
    value = without_padding(value)
    if vr in BINARY:
        return value if value.isdecimal() else ""
    return legal_value(vr, value, multiple)


def _sibling(keyword: str) -> str:
    """StudyTime for StudyDate, and the other way round."""
    return keyword[:-4] + {"Date": "Time", "Time": "Date"}.get(keyword[-4:], keyword[-4:] + "?")


class _Moments:
    """Tests of dates and times (C.2.2.2.5). The moment of a record is the beginning of what its value stands for."""

    def __init__(self, table: Mapping[str, Attribute], conditions: Conditions) -> None:
        self._table = table
        self._conditions = conditions
        # Only an instance tells of a time zone of its own.
        self._offset = table.get("TimezoneOffsetFromUTC")

    def _zone(self, attributes: Attributes) -> int:
        own = offset_minutes(attributes.get("TimezoneOffsetFromUTC") or "") if self._offset else None
        return self._conditions.zone if own is None else own

    def date_or_time(self, key: Key) -> Test:
        is_date = key.row.vr == "DA"
        periods = _periods(key)
        if self._conditions.adjusted_to is None or _sibling(key.row.keyword) not in self._table:
            read = values_of(key.row)
            if is_date:
                return lambda attributes: _within(read(attributes), periods)
            return lambda attributes: _within([time_period(time).first for time in read(attributes) if time], periods)
        date_keyword = key.row.keyword if is_date else _sibling(key.row.keyword)
        moment = self._moment(date_keyword)
        if is_date:
            return lambda attributes: _within([moment(attributes)[:8]], periods)
        return lambda attributes: _within([moment(attributes)[8:]], periods)

    def combined(self, date: Key, time: Key) -> Test:
        """A range from a time on the first day to a time on the last one (C.2.2.2.5.1)."""
        first_time, last_time = time.values
        first = date.values[0] and date.values[0] + (time_period(first_time).first if first_time else FIRST_TIME)
        last = date.values[1] and date.values[1] + (time_period(last_time).last if last_time else LAST_TIME)
        moment = self._moment(date.row.keyword)
        periods = [Period(first, last)]

        def matches(attributes: Attributes) -> bool:
            found = moment(attributes)
            return bool(found[:8].strip()) and _within([found + FIRST_TIME[len(found) - 8 :]], periods)

        return matches

    def _moment(self, date_keyword: str) -> Callable[[Attributes], str]:
        """Date and time of a record, in the zone of the keys if that matters; what the record lacks is left out.

        A date without a time stays as it is, a time without a date is moved on a day without a name.
        """
        read_date, read_time = values_of(self._table[date_keyword]), values_of(self._table[_sibling(date_keyword)])
        to = self._conditions.adjusted_to

        def moment(attributes: Attributes) -> str:
            (date,), (time,) = read_date(attributes), read_time(attributes)
            if time:
                time = time_period(time).first
            if to is None or not time:
                return f"{date:8}{time}" if date or time else ""
            there = shifted((date or _SOME_DAY) + time, to - self._zone(attributes))
            return there if date else f"{'':8}{there[8:]}"

        return moment

    def date_time(self, key: Key) -> Test:
        read = values_of(key.row)
        conditions = self._conditions
        zone = conditions.zone if conditions.adjusted_to is None else conditions.adjusted_to
        periods = _periods(key, zone)

        def matches(attributes: Attributes) -> bool:
            own = self._zone(attributes)
            known = (date_time_period(value, own) for value in read(attributes) if value)
            return _within([period.first for period in known if period], periods)

        return matches


def _within(moments: Iterable[str], periods: list[Period]) -> bool:
    return any(period.holds(moment) for moment in moments if moment.strip() for period in periods)


def _periods(key: Key, zone: int = 0) -> list[Period]:
    """What the values of a key stand for: each of them, or all from the first to the last."""
    def period(value: str) -> Period:
        if key.row.vr == "DA" or not value:
            return Period(value, value)
        whole = time_period(value) if key.row.vr == "TM" else date_time_period(value, zone)
        assert whole is not None, "a key was checked when it was parsed"
        return whole

    whole = [period(value) for value in key.values]
    if key.kind is Kind.RANGE:
        return [Period(whole[0].first, whole[1].last)]
    return whole
