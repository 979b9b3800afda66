"""When runs are due: windows by the clock on the wall, intervals, daylight saving, and a clock that is set."""

from __future__ import annotations

import datetime
import time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings, strategies

from orthanc_inventory.config import SCHEDULE_KEYS
from orthanc_inventory.dicom.scope import Scope
from orthanc_inventory.production.schedule import WEEKDAYS, Schedule, read_days, read_hours

UTC = datetime.timezone.utc
MINUTE, HOUR, DAY = (datetime.timedelta(**{unit: 1}) for unit in ("minutes", "hours", "days"))
BERLIN = "Europe/Berlin"
# Where the clock is changed: an hour at 02:00, an hour at midnight, half an hour, and never.
ZONES = [BERLIN, "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Tokyo"]


def make(zone: str = BERLIN, **keys: Any) -> Schedule:
    configured = {name: key.default for name, key in SCHEDULE_KEYS.items()}
    return Schedule({**configured, "Name": "test", **keys}, Scope.parse({}), ZoneInfo(zone))


def at(text: str, zone: str = BERLIN, fold: int = 0) -> datetime.datetime:
    """A moment by the clock on the wall."""
    return datetime.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def starts(
    schedule: Schedule, first: datetime.datetime, last: datetime.datetime, step: datetime.timedelta = MINUTE
) -> list[datetime.datetime]:
    """When runs start, each of which ends at once, if the clock goes from ``first`` to ``last``."""
    due, found, now = None, [], first
    while now < last:
        if (new := schedule.due(due, now)) is not None:
            due = new
            found.append(now)
        now += step
    return found


def wall(moments: list[datetime.datetime], zone: str = BERLIN) -> list[str]:
    return [f"{moment.astimezone(ZoneInfo(zone)):%a %d %H:%M}" for moment in moments]


# Days and hours


@pytest.mark.parametrize(
    ("days", "numbers"),
    [
        ("Monday-Friday", {0, 1, 2, 3, 4}),
        ("Saturday-Tuesday", {5, 6, 0, 1}),
        (["Sunday"], {6}),
        (["Monday-Tuesday", "Sunday"], {0, 1, 6}),
        ("Wednesday-Wednesday", {2}),
    ],
)
def test_days_are_read(days: Any, numbers: set[int]) -> None:
    assert read_days(days) == numbers


@pytest.mark.parametrize(
    "days", ["", "Mon", "monday", "Monday-", "-Monday", "Monday-Tuesday-Friday", "Monday - Friday", [], [""]]
)
def test_days_that_are_none_are_refused(days: Any) -> None:
    with pytest.raises(ValueError):
        read_days(days)


@pytest.mark.parametrize(
    ("hours", "read"), [("1-5", (1, 5)), ("0-24", (0, 24)), ("22-4", (22, 28)), ("22-0", (22, 24)), ("05-07", (5, 7))]
)
def test_hours_are_read(hours: str, read: tuple[int, int]) -> None:
    assert read_hours([hours]) == [read]


@pytest.mark.parametrize("hours", ["", "5-5", "05-5", "0-0", "25-3", "3-25", "24-2", "1", "1-", "-1", "1:30-2", "1-5-7", "a-b"])
def test_hours_that_are_no_window_are_refused(hours: str) -> None:
    with pytest.raises(ValueError):
        read_hours(["1-5", hours])
    with pytest.raises(ValueError):
        read_hours([])


# Plain weeks


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    schedule = make(Days="Friday", Hours=["22-4"])
    moments = {"2026-06-05T21:59": False, "2026-06-05T22:00": True, "2026-06-06T03:59": True, "2026-06-06T04:00": False,
               "2026-06-05T03:00": False, "2026-06-06T22:00": False}
    assert {moment: schedule.window(at(moment)) is not None for moment in moments} == moments
    window = schedule.window(at("2026-06-06T03:00"))
    assert window is not None and window.day == datetime.date(2026, 6, 5)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"Days": "Monday-Wednesday", "Hours": ["1-5"]}, ["Mon 01 01:00", "Tue 02 01:00", "Wed 03 01:00"]),
        ({"Days": "Saturday-Sunday", "Hours": ["3-4"]}, ["Sat 06 03:00", "Sun 07 03:00"]),
        ({"Every": "3d", "Hours": ["1-5"]}, ["Mon 01 01:00", "Thu 04 01:00", "Sun 07 01:00"]),
        ({"Every": "1w", "Hours": ["1-5"]}, ["Mon 01 01:00"]),
        ({"Every": "1w", "Days": ["Sunday"]}, ["Sun 07 00:00"]),
        ({"Days": "Friday", "Hours": ["22-4", "1-3"], "Every": "1d"}, ["Fri 05 01:00"]),
        ({"Days": "Tuesday", "Hours": ["1-5"], "Every": "2h"}, ["Tue 02 01:00", "Tue 02 03:00"]),
        ({"Days": "Tuesday-Wednesday", "Hours": ["1-5"], "Every": "12h"}, ["Tue 02 01:00", "Wed 03 01:00"]),
        ({"Days": "Tuesday", "Every": "12h"}, ["Tue 02 00:00", "Tue 02 12:00"]),
    ],
)
def test_runs_of_a_week(keys: dict[str, Any], expected: list[str]) -> None:
    assert wall(starts(make(**keys), at("2026-06-01T00:00"), at("2026-06-08T00:00"))) == expected


def test_a_new_schedule_begins_as_soon_as_its_window_is_open() -> None:
    schedule = make(Hours=["22-4"])
    # The window is that of the day before, so the next one is of today.
    assert wall(starts(schedule, at("2026-06-03T02:30"), at("2026-06-04T03:00"))) == ["Wed 03 02:30", "Wed 03 22:00"]


def test_of_missed_runs_one_is_made_up_for() -> None:
    schedule = make(Hours=["1-5"])
    first = schedule.due(None, at("2026-06-01T01:00"))
    # Orthanc was off from Monday on. In the middle of the window it starts at once, after it in the next one.
    assert schedule.due(first, at("2026-06-04T03:30")) == at("2026-06-04T01:00")
    assert schedule.due(first, at("2026-06-04T05:00")) is None
    assert schedule.next_start(first, at("2026-06-04T05:00")) == at("2026-06-05T01:00")
    caught_up = schedule.due(first, at("2026-06-04T03:30"))
    assert schedule.next_start(caught_up, at("2026-06-04T03:30")) == at("2026-06-05T01:00")
    # A weekly run that was missed on Monday is made on Tuesday, and the next is due on Monday.
    weekly = make(Hours=["1-5"], Every="1w")
    assert weekly.due(first, at("2026-06-09T01:00")) == at("2026-06-08T01:00")
    # By hours there are no fixed moments to return to.
    hourly = make(Every="2h")
    assert hourly.due(at("2026-06-01T01:00"), at("2026-06-01T04:59")) == at("2026-06-01T03:00")
    assert hourly.due(at("2026-06-01T01:00"), at("2026-06-04T04:59")) == at("2026-06-04T04:59")


# Daylight saving


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        # On Sunday 29 March 2026 the clock goes from 02:00 to 03:00.
        ("1-5", ["Sat 28 01:00", "Sun 29 01:00", "Mon 30 01:00"]),
        ("2-3", ["Sat 28 02:00", "Sun 29 03:00", "Mon 30 02:00"]),
        ("2-6", ["Sat 28 02:00", "Sun 29 03:00", "Mon 30 02:00"]),
        ("3-4", ["Sat 28 03:00", "Sun 29 03:00", "Mon 30 03:00"]),
        ("22-2", ["Sat 28 00:00", "Sat 28 22:00", "Sun 29 22:00", "Mon 30 22:00"]),
    ],
)
def test_no_run_is_lost_when_an_hour_does_not_exist(hours: str, expected: list[str]) -> None:
    assert wall(starts(make(Hours=[hours]), at("2026-03-28T00:00"), at("2026-03-31T00:00"))) == expected


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        # On Sunday 25 October 2026 the clock goes from 03:00 back to 02:00.
        ("1-5", ["Sat 24 01:00", "Sun 25 01:00", "Mon 26 01:00"]),
        ("2-3", ["Sat 24 02:00", "Sun 25 02:00", "Mon 26 02:00"]),
        ("3-4", ["Sat 24 03:00", "Sun 25 03:00", "Mon 26 03:00"]),
        ("22-3", ["Sat 24 00:00", "Sat 24 22:00", "Sun 25 22:00", "Mon 26 22:00"]),
    ],
)
def test_no_run_is_made_twice_when_an_hour_happens_twice(hours: str, expected: list[str]) -> None:
    assert wall(starts(make(Hours=[hours]), at("2026-10-24T00:00"), at("2026-10-27T00:00"))) == expected


def test_a_window_is_open_both_times_that_its_hour_happens() -> None:
    window = make(Hours=["2-3"]).window(at("2026-10-25T02:30"))
    assert window is not None and window.closes - window.opens == 2 * HOUR
    window = make(Hours=["2-3"]).window(at("2026-03-29T03:30"))
    assert window is not None and window.closes - window.opens == HOUR


def test_hours_pass_whatever_the_clock_shows() -> None:
    found = starts(make(Every="6h"), at("2026-10-25T00:00"), at("2026-10-26T00:00"))
    assert wall(found) == ["Sun 25 00:00", "Sun 25 05:00", "Sun 25 11:00", "Sun 25 17:00", "Sun 25 23:00"]


def test_a_day_that_does_not_exist_is_no_day_of_two_runs() -> None:
    # Samoa had no 30 December 2011.
    apia = "Pacific/Apia"
    found = starts(make(apia, Hours=["1-5"]), at("2011-12-28T00:00", apia), at("2012-01-02T00:00", apia))
    assert wall(found, apia) == ["Wed 28 01:00", "Thu 29 01:00", "Sat 31 01:00", "Sun 01 01:00"]


def test_without_a_zone_it_is_that_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", BERLIN)
    time.tzset()
    try:
        for hours in ("1-5", "2-3", "22-4"):
            ours = make(Hours=[hours])
            servers = Schedule(ours.configured, ours.scope)
            for first in ("2026-03-28T00:00", "2026-10-24T00:00"):
                span = at(first), at(first) + 3 * DAY
                assert starts(servers, *span) == starts(ours, *span) != []
    finally:
        monkeypatch.undo()
        time.tzset()


# A clock that is set


def test_a_clock_that_is_set_back_makes_no_storm() -> None:
    schedule = make(Hours=["1-5"])
    due = schedule.due(None, at("2026-06-03T01:00"))
    for minute in range(120):
        assert schedule.due(due, at("2026-06-03T00:00") + minute * MINUTE) is None
    assert schedule.next_start(due, at("2026-06-03T00:30")) == at("2026-06-04T01:00")


@pytest.mark.parametrize("every", ["1h", "1d", "1w"])
def test_a_clock_that_was_far_ahead_makes_one_run_and_does_not_end_the_schedule(every: str) -> None:
    schedule = make(Every=every)
    due = schedule.due(None, at("2062-01-01T12:00"))
    now = at("2026-06-03T12:00")
    assert schedule.next_start(due, now) == now
    due = schedule.due(due, now)
    assert due is not None and schedule.due(due, now) is None
    soon = schedule.next_start(due, now)
    assert now < soon <= now + 8 * DAY and schedule.due(due, soon) == soon


# Any schedule

_HOURS = strategies.tuples(strategies.integers(0, 23), strategies.integers(0, 24)).filter(lambda hours: hours[0] != hours[1])
_EVERY = strategies.sampled_from(["1h", "5h", "24h", "36h", "1d", "2d", "3d", "1w", "2w"])
_NIGHTS = {  # days of a change
    BERLIN: ["2026-03-29", "2026-10-25"],
    "America/New_York": ["2026-03-08", "2026-11-01"],
    "America/Sao_Paulo": ["2018-11-04", "2019-02-17"],
    "Australia/Lord_Howe": ["2026-04-05", "2026-10-04"],
    "Asia/Tokyo": ["2026-01-01", "2026-07-01"],
}


@strategies.composite
def cases(draw: strategies.DrawFn) -> tuple[Schedule, datetime.datetime]:
    """A schedule, and a moment some days before or after a change of the clock."""
    zone = draw(strategies.sampled_from(ZONES))
    days = draw(strategies.lists(strategies.sampled_from(WEEKDAYS), min_size=1, max_size=7, unique=True))
    hours = [f"{begin}-{end}" for begin, end in draw(strategies.lists(_HOURS, min_size=1, max_size=3))]
    night = at(draw(strategies.sampled_from(_NIGHTS[zone])), zone)
    first = night + draw(strategies.integers(-3 * 24 * 60, 2 * 24 * 60)) * MINUTE
    return make(zone, Days=days, Hours=hours, Every=draw(_EVERY)), first


def is_inside(schedule: Schedule, now: datetime.datetime) -> bool:
    """By the clock on the wall alone."""
    there = now.astimezone(schedule.zone)
    for window in schedule.configured["Hours"]:
        begin, end = map(int, window.split("-"))
        today = WEEKDAYS[there.weekday()] in schedule.configured["Days"]
        yesterday = WEEKDAYS[there.weekday() - 1] in schedule.configured["Days"]
        if begin < end:
            if today and begin <= there.hour < end:
                return True
        elif (today and there.hour >= begin) or (yesterday and there.hour < end):
            return True
    return False


def is_shifted(schedule: Schedule, now: datetime.datetime) -> bool:
    """Whether the clock was changed in the hours before, so that a window may stand for one that did not happen."""
    return len({(now - hours * HOUR).astimezone(schedule.zone).utcoffset() for hours in range(26)}) > 1


@given(cases())
@settings(max_examples=150)
def test_windows_are_those_of_the_clock_on_the_wall(case: tuple[Schedule, datetime.datetime]) -> None:
    schedule, first = case
    for step in range(0, 3 * 24 * 60, 10):
        now = first + step * MINUTE
        window = schedule.window(now)
        if is_inside(schedule, now):
            assert window is not None, now
        elif window is not None:
            # It stands for an hour that did not happen, and is no longer than that would have been.
            assert is_shifted(schedule, now) and window.closes - window.opens <= HOUR, now
        if window is not None:
            assert window.opens <= now < window.closes


@given(cases())
@settings(max_examples=40)
def test_the_next_start_that_is_told_is_the_next_start(case: tuple[Schedule, datetime.datetime]) -> None:
    schedule, first = case
    due, told, count = None, schedule.next_start(None, first), 0
    for step in range(0, 16 * 24 * 60, 5):
        now = first + step * MINUTE
        new = schedule.due(due, now)
        # Starts are looked for every five minutes.
        assert (new is not None) == (now >= told), (now, told)
        if new is not None:
            assert schedule.window(now) is not None and new <= now and (due is None or new > due)
            due, count = new, count + 1
        assert schedule.due(due, now) is None or new is None
        told = schedule.next_start(due, now)
    assert count


@given(cases())
@settings(max_examples=60)
def test_each_day_with_a_window_has_one_run(case: tuple[Schedule, datetime.datetime]) -> None:
    schedule = make(str(case[0].zone), Days=case[0].configured["Days"], Hours=["2-4"])
    first = at(f"{case[1].astimezone(schedule.zone):%Y-%m-%d}", str(schedule.zone))
    days = [(moment.astimezone(schedule.zone)).date() for moment in starts(schedule, first, first + 9 * DAY, 10 * MINUTE)]
    dates = {(first + hours * HOUR).astimezone(schedule.zone).date() for hours in range(9 * 24 - 2)}
    assert days == sorted(date for date in dates if WEEKDAYS[date.weekday()] in schedule.configured["Days"])
