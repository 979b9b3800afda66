"""Dates and times as text that can be compared: what a value of less precision stands for, and offsets from UTC.

A moment is ``YYYYMMDDHHMMSS.FFFFFF``, a time of day its last 13 characters. A value that stops early stands for its whole
period, from the first to the last moment of it (PS3.4 C.2.2.2.5).
"""

from __future__ import annotations

import calendar
import datetime
import re
from typing import NamedTuple

FIRST_TIME, LAST_TIME = "000000.000000", "235959.999999"
_OFFSET = re.compile(r"([+-])(0[0-9]|1[0-4])([0-5][0-9])", re.ASCII)
_MINUTES = 12  # characters of YYYYMMDDHHMM


class Period(NamedTuple):
    """The first and the last moment; empty where there is no limit."""

    first: str
    last: str

    def holds(self, moment: str) -> bool:
        return self.first <= moment and (not self.last or moment <= self.last)


def offset_minutes(offset: str) -> int | None:
    """An offset from UTC such as ``-0330`` in minutes, None if it is none: from -1200 to +1400 (PS3.3 C.12.1.1.8)."""
    match = _OFFSET.fullmatch(offset)
    if match is None:
        return None
    minutes = int(match[2]) * 60 + int(match[3])
    minutes = -minutes if match[1] == "-" else minutes
    return minutes if -720 <= minutes <= 840 else None


def server_offset() -> str:
    """The offset of the server's own time zone at this moment."""
    return datetime.datetime.now(datetime.timezone.utc).astimezone().strftime("%z")[:5]


def time_period(value: str) -> Period:
    """The period of a legal TM value."""
    return Period(value + FIRST_TIME[len(value) :], value + LAST_TIME[len(value) :])


def date_time_period(value: str, zone: int) -> Period | None:
    """The period of a DT value in UTC; ``zone`` (minutes) is where values without an offset are. None: no such day."""
    offset = zone
    if len(value) > 5 and value[-5] in "+-":
        given = offset_minutes(value[-5:])
        if given is None:
            return None
        value, offset = value[:-5], given
    if not re.fullmatch(r"[0-9]{4}(?:[0-9]{2}){0,5}|[0-9]{14}\.[0-9]{1,6}", value, re.ASCII):
        return None
    first = value + "00000101000000.000000"[len(value) :]
    try:
        days = calendar.monthrange(int(first[:4]), int(value[4:6] or 12))[1]
        last = value + "00001231235959.999999"[len(value) :]
        if len(value) == 6:
            last = f"{value}{days}235959.999999"
        return Period(shifted(first, -offset), shifted(last, -offset))
    except (ValueError, calendar.IllegalMonthError):
        return None


def shifted(moment: str, minutes: int) -> str:
    """The same moment in a zone that is so many minutes ahead. Offsets hold no seconds, so those stay.

    Raises:
        ValueError: there is no such day.
    """
    year, month, day, hour, minute = (int(moment[start:end]) for start, end in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12)))
    there = datetime.datetime(year, month, day, hour, minute)
    try:
        there += datetime.timedelta(minutes=minutes)
    except OverflowError:  # the first and the last day that the calendar has
        return moment
    return f"{there.year:04}{there.month:02}{there.day:02}{there.hour:02}{there.minute:02}{moment[_MINUTES:]}"
