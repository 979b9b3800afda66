"""When a schedule may run: its windows of days and hours, and the moments at which a run is due. It has no clock.

Hours are those of the clock on the wall, daylight saving included; moments are in UTC. An hour that happens twice counts from
its first time on. A window that lies in an hour that does not happen opens when that hour would, and stays open as long.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from ..dicom.scope import Scope

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FULL, INCREMENTAL = "Full", "Incremental"

_DAY = datetime.timedelta(days=1)
_UNITS = {"h": datetime.timedelta(hours=1), "d": _DAY, "w": 7 * _DAY}


class Window(NamedTuple):
    """From ``opens`` until before ``closes``, in UTC. It belongs to the ``day`` on which it opens, also over midnight."""

    day: datetime.date
    opens: datetime.datetime
    closes: datetime.datetime


@dataclass(frozen=True)
class Schedule:
    """An entry of ``Schedules`` in the configuration, with all its keys; ``zone`` None is that of the server."""

    configured: Mapping[str, Any]
    scope: Scope
    zone: datetime.tzinfo | None = None

    @property
    def name(self) -> str:
        return self.configured["Name"]

    @cached_property
    def _weekdays(self) -> frozenset[int]:
        return read_days(self.configured["Days"])

    @cached_property
    def _hours(self) -> list[tuple[int, int]]:
        return sorted(read_hours(self.configured["Hours"]))

    @cached_property
    def _interval(self) -> datetime.timedelta:
        every = self.configured["Every"]
        return int(every[:-1]) * _UNITS[every[-1]]

    @property
    def _counts_hours(self) -> bool:
        return self.configured["Every"].endswith("h")

    def window(self, now: datetime.datetime) -> Window | None:
        """The one that is open; of several, that which opened last."""
        found = None
        for window in self._windows(self._date(now) - 2 * _DAY):
            if window.opens > now:
                return found
            if now < window.closes:
                found = window
        return found

    def due(self, last: datetime.datetime | None, now: datetime.datetime) -> datetime.datetime | None:
        """The moment for which a run has to start now, None: no run has to.

        Of several runs that were missed only the last one is due. ``last`` is what was answered for the run before.
        """
        window = self.window(now)
        if window is None:
            return None
        if last is None or self._is_impossible(last, now):
            return now if self._counts_hours else window.opens
        due = self._after(last)
        if due > now:
            return None
        if self._counts_hours:
            return due if now - due < self._interval else now
        while (later := self._after(due)) <= now:
            due = later
        return due

    def next_start(self, last: datetime.datetime | None, now: datetime.datetime) -> datetime.datetime:
        """When the next run will start, if it can."""
        if last is not None and not self._is_impossible(last, now) and (due := self._after(last)) > now:
            return due
        return self._open_from(now)

    def _is_impossible(self, last: datetime.datetime, now: datetime.datetime) -> bool:
        """A run that is far in the future: the clock was wrong, and the schedule begins anew."""
        return last > now + self._interval

    def _after(self, last: datetime.datetime) -> datetime.datetime:
        """When the run after that one is due: by hours that pass, or by days of the calendar."""
        if self._counts_hours:
            return self._open_from(last + self._interval)
        return next(self._windows(self._date(last) + self._interval)).opens

    def _open_from(self, moment: datetime.datetime) -> datetime.datetime:
        """The first moment from this one on at which a window is open."""
        windows = self._windows(self._date(moment) - 2 * _DAY)
        return max(moment, next(window.opens for window in windows if window.closes > moment))

    def _date(self, moment: datetime.datetime) -> datetime.date:
        return moment.astimezone(self.zone).date()

    def _windows(self, day: datetime.date) -> Iterator[Window]:
        """Those of this day and all that follow, in the order in which they open."""
        while True:
            if day.weekday() in self._weekdays:
                for begin, end in self._hours:
                    opens, closes = self._moment(day, begin), self._moment(day, end)
                    yield Window(day, opens, closes if closes > opens else opens + datetime.timedelta(hours=end - begin))
            day += _DAY

    def _moment(self, day: datetime.date, hour: int) -> datetime.datetime:
        there = datetime.datetime.combine(day + hour // 24 * _DAY, datetime.time(hour % 24), self.zone)
        # Not ``astimezone``: without a zone it takes the wrong offset in the hour that does not happen.
        return datetime.datetime.fromtimestamp(there.timestamp(), datetime.timezone.utc)


def read_days(value: str | Sequence[str]) -> frozenset[int]:
    """The numbers of the days that ``"Monday-Friday"`` or ``["Sunday"]`` means, Monday being 0.

    Raises:
        ValueError: it means none.
    """
    found: set[int] = set()
    for days in [value] if isinstance(value, str) else value:
        first, last = (WEEKDAYS.index(day) for day in (days.split("-", 1) * 2)[:2])
        found.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    if not found:
        raise ValueError("no day")
    return frozenset(found)


def read_hours(value: Sequence[str]) -> list[tuple[int, int]]:
    """Begin and end of each of such windows as ``"1-5"``; an end above 24 is on the day after.

    Raises:
        ValueError: there is none, or an hour that no day has, or one that is begin and end.
    """
    found = []
    for hours in value:
        match = re.fullmatch(r"([0-9]{1,2})-([0-9]{1,2})", hours, re.ASCII)
        begin, end = (int(match[1]), int(match[2])) if match else (0, 0)
        if begin == end or begin > 23 or end > 24:
            raise ValueError("no window")
        found.append((begin, end if end > begin else end + 24))
    if not found:
        raise ValueError("no window")
    return found
