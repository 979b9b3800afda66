"""Values of VR DT as instants, so that they can be compared whatever their offset from UTC (PS3.5 6.2)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_DATE_TIME = re.compile(
    r"([0-9]{4})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.([0-9]{1,6}))?)?)?)?)?)?([+-][0-9]{4})?",
    re.ASCII,
)
_OFFSET = re.compile(r"[+-][0-9]{4}", re.ASCII)
_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(date_time: str, timezone: str = "") -> int:
    """Microseconds since 1970 in UTC; the beginning of what is told to the year, month, day, hour, minute or second only.

    ``timezone`` is the offset, such as "+0100", that counts where the value has none; UTC if there is none at all.

    Raises:
        ValueError: no date and time.
    """
    match = _DATE_TIME.fullmatch(date_time)
    if match is None:
        raise ValueError("not a value of VR DT")
    *parts, fraction, offset = match.groups()
    year, month, day, hour, minute, second = (int(part or first) for part, first in zip(parts, (1, 1, 1, 0, 0, 0)))
    if second > 60:
        raise ValueError("not a value of VR DT")
    # A leap second is the first of the next minute.
    instant = datetime(year, month, day, hour, minute) - _EPOCH + timedelta(seconds=second)
    return (instant - _offset(offset or timezone)) // _MICROSECOND + int((fraction or "").ljust(6, "0"))


def _offset(offset: str) -> timedelta:
    if not _OFFSET.fullmatch(offset):
        return timedelta()
    sign = -1 if offset[0] == "-" else 1
    return sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5]))
