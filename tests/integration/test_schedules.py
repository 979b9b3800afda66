"""Schedules: runs that start, pause and go on by themselves, by a clock that the test sets."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from . import archive
from .scheduled import BERLIN, NIGHTLY, Scheduled
from .server import Server
from .waiting import wait_until

# Two studies fill a leaf.
SMALL = {"MaxRecordsPerInstance": 6}


def test_a_schedule_whose_window_is_open_starts_by_itself(make_server: Callable[..., Server]) -> None:
    """By the real clock."""
    server = make_server(inventory={"Schedules": [{"Name": "always", "Level": "STUDY", "Every": "10w"}]}).start()
    server.store(*archive.files(2))
    runs = wait_until(lambda: server.get("/inventories/transactions"), server.log)
    done = server.wait_for(runs[0])
    assert (done["Schedule"], done["Level"], done["TransactionStatus"]) == ("always", "STUDY", "COMPLETE")
    assert server.get(f"/inventories/{done['SOPInstanceUID']}")["Schedule"] == "always"
    server.stop()
    server.start()
    time.sleep(2.5)
    assert server.get("/inventories/transactions") == runs
    assert server.make()["Schedule"] is None


def test_schedules_are_listed(make_scheduled: Callable[..., Scheduled]) -> None:
    sunday = {"Name": "sunday", "Mode": "Incremental", "Days": ["Sunday"], "Every": "1w", "Level": "STUDY",
              "Scope": {"PatientName": "DOE*"}, "Keep": 3}
    scheduled = make_scheduled(NIGHTLY, sunday)
    scheduled.set("2026-06-03T12:00")
    server = scheduled.server.start()
    first, second = server.get("/inventories/schedules")
    assert first == {
        "Name": "nightly", "Mode": "Full", "Days": "Monday-Sunday", "Hours": ["1-5"], "Every": "1d", "Level": "INSTANCE",
        "Scope": {}, "Keep": 0, "Open": False, "NextRun": "20260603T230000", "LastRun": None,
    }
    assert second.items() >= sunday.items() and second["NextRun"] == "20260606T220000"
    status = server.get("/inventories/status")
    assert status["Schedules"] == [
        {"Name": "nightly", "NextRun": "20260603T230000"}, {"Name": "sunday", "NextRun": "20260606T220000"},
    ]
    assert scheduled.runs() == []
    scheduled.set("2026-06-04T01:00")
    done = server.wait_for(scheduled.wait_for_run(1))
    first = scheduled.schedule()
    keys = ("ID", "State", "TransactionStatus", "CreationTime", "CompletionTime", "SOPInstanceUID")
    assert first["Open"] and first["NextRun"] == "20260604T230000" and first["LastRun"] == {key: done[key] for key in keys}
    assert "DOE" not in server.log()


def test_a_run_keeps_to_its_window(make_scheduled: Callable[..., Scheduled]) -> None:
    scheduled = make_scheduled(**SMALL)
    scheduled.use("halt(4)")
    server = scheduled.server
    scheduled.set("2026-06-03T00:59")
    server.start()
    server.store(*archive.files(20))
    scheduled.look()
    assert scheduled.runs() == []
    scheduled.set("2026-06-03T01:00")
    uid = scheduled.wait_for_run(1)
    server.wait_until(uid, Studies=4)
    scheduled.set("2026-06-03T05:00")
    paused = server.wait_for(uid, "Paused")
    assert paused["TransactionStatusComment"] == "paused until the window of its schedule opens"
    # Not even a start of Orthanc lets it run outside.
    server.stop()
    server.let_go()
    server.start()
    scheduled.look()
    still = server.transaction(uid)
    assert still["State"] == "Paused" and still["Studies"] < 20
    assert len(scheduled.lines(uid, "starts: ")) == 1
    # At the next night it goes on, and is not a second one.
    scheduled.set("2026-06-04T01:00")
    done = server.wait_for(uid)
    assert (done["TransactionStatus"], done["Studies"], done["TransactionStatusComment"]) == ("COMPLETE", 20, "")
    second = scheduled.wait_for_run(2)
    server.wait_for(second)
    scheduled.look()
    assert scheduled.runs() == [uid, second]


def test_a_run_that_a_stop_interrupted_is_paused_when_its_window_has_closed(make_scheduled: Callable[..., Scheduled]) -> None:
    scheduled = make_scheduled(**SMALL)
    server, uid = begin(scheduled)
    server.stop()
    scheduled.set("2026-06-03T12:00")
    # However late the thread of the schedules comes to look at it.
    scheduled.use("at(schedules.Schedules, '_work', [1], lambda *arguments: time.sleep(1))")
    server.start()
    assert server.transaction(uid)["State"] == "Paused"
    # It was not even begun again.
    assert len(scheduled.lines(uid, "starts: ")) == 1


def begin(scheduled: Scheduled) -> tuple[Server, str]:
    """Starts Orthanc, and its schedule in the night to 3 June a run, which halts."""
    scheduled.use("halt(3)")
    server = scheduled.server
    scheduled.set("2026-06-03T00:59")
    server.start()
    server.store(*archive.files(20))
    scheduled.set("2026-06-03T01:00")
    uid = scheduled.wait_for_run(1)
    server.wait_until(uid, Studies=3)
    return server, uid


def change(server: Server, uid: str, what: str) -> dict[str, Any]:
    return server.post(f"/inventories/transactions/{uid}/{what}")


def test_what_a_user_paused_stays_paused(make_scheduled: Callable[..., Scheduled]) -> None:
    scheduled = make_scheduled(**SMALL)
    server, uid = begin(scheduled)
    change(server, uid, "pause")
    server.let_go()
    for moment in ("2026-06-03T03:00", "2026-06-03T05:00", "2026-06-04T01:00"):
        scheduled.set(moment)
        scheduled.look()
        assert server.transaction(uid)["State"] == "Paused"
    # It never overlaps itself: the run of the second night waits for the end of the first.
    assert scheduled.runs() == [uid]
    change(server, uid, "resume")
    assert server.wait_for(uid)["Studies"] == 20
    assert scheduled.wait_for_run(2)


def test_what_a_user_resumes_outside_the_window_goes_on(make_scheduled: Callable[..., Scheduled]) -> None:
    scheduled = make_scheduled(**SMALL)
    server, uid = begin(scheduled)
    scheduled.set("2026-06-03T05:00")
    server.wait_for(uid, "Paused")
    change(server, uid, "resume")
    scheduled.look()
    assert server.wait_for(uid, "Running")["TransactionStatusComment"] == ""
    # Until a window has been open and closes again.
    scheduled.set("2026-06-04T01:00")
    scheduled.look()
    assert server.transaction(uid)["State"] == "Running"
    scheduled.set("2026-06-04T05:00")
    server.wait_for(uid, "Paused")


def test_a_run_by_hand_runs_outside_the_window_and_moves_nothing(make_scheduled: Callable[..., Scheduled]) -> None:
    scheduled = make_scheduled(**SMALL)
    scheduled.use("halt(3)")
    server = scheduled.server
    scheduled.set("2026-06-03T12:00")
    server.start()
    server.store(*archive.files(20))
    answer = server.post("/inventories/schedules/nightly/run")
    uid = answer["ID"]
    assert answer == {"ID": uid, "Path": f"/inventories/transactions/{uid}"}
    assert uid in server.error("POST", "/inventories/schedules/nightly/run", 409)
    assert "no schedule with this name" in server.error("POST", "/inventories/schedules/weekly/run", 404)
    server.error("POST", "/inventories/schedules/nightly/run", 400, data='{"Level": "STUDY"}')
    assert server.request("GET", "/inventories/schedules/nightly/run").status_code == 405
    scheduled.look()
    server.let_go()
    assert server.wait_for(uid)["Studies"] == 20
    assert scheduled.runs() == [uid]
    standing = scheduled.schedule()
    assert standing["NextRun"] == "20260603T230000" and standing["LastRun"]["ID"] == uid
    scheduled.set("2026-06-04T01:00")
    server.wait_for(scheduled.wait_for_run(2))
    # In the window too, beside what the night has had.
    server.wait_for(server.post("/inventories/schedules/nightly/run")["ID"])
    scheduled.look()
    assert len(scheduled.runs()) == 3 and scheduled.schedule()["NextRun"] == "20260604T230000"


def test_of_starts_at_the_same_time_one_is_taken(make_scheduled: Callable[..., Scheduled]) -> None:
    scheduled = make_scheduled(**SMALL)
    scheduled.use(
        "halt(1)\nfrom orthanc_inventory.production.runs import Runs\n"
        "at(Runs, 'submit', always, lambda *arguments: time.sleep(0.3))"
    )
    server = scheduled.server
    scheduled.set("2026-06-03T00:59")
    server.start()
    server.store(*archive.files(20))
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda _: server.request("POST", "/inventories/schedules/nightly/run"), range(4))
        scheduled.set("2026-06-03T01:00")
        scheduled.look()
    # The clock may have been the first.
    assert sorted(answer.status_code for answer in answers)[1:] == [409, 409, 409]
    assert len(scheduled.runs()) == 1


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", "2-3"), ("2026-03-28", "1-5"), ("2026-10-24", "2-3")])
def test_a_night_of_a_change_of_the_clock_has_one_run(make_scheduled: Callable[..., Scheduled], day: str, hours: str) -> None:
    scheduled = make_scheduled({"Name": "nightly", "Hours": [hours], "Level": "STUDY"})
    first = datetime.datetime.fromisoformat(day).replace(tzinfo=BERLIN).astimezone(datetime.timezone.utc)
    found = []
    for step in range(-1, 2 * 24):
        now = first + datetime.timedelta(hours=step, minutes=30)
        there = now.astimezone(BERLIN)
        scheduled.set(f"{there:%Y-%m-%dT%H:%M}", there.fold)
        if step < 0:
            scheduled.server.start()
        elif there.hour < 6:
            scheduled.look()
            runs = scheduled.runs()
            for run in runs:
                scheduled.server.wait_for(run)
            found += [f"{there:%d %H:%M}"] * (len(runs) - len(found))
    first_hour = int(hours[0])
    days = int(day[-2:]), int(day[-2:]) + 1
    # In March the hour from 2 to 3 does not happen on the second day; the one after stands for it.
    shifted = first_hour + (day == "2026-03-28" and hours == "2-3")
    assert found == [f"{days[0]} 0{first_hour}:30", f"{days[1]} 0{shifted}:30"]


def test_one_missed_run_is_caught_up(make_scheduled: Callable[..., Scheduled]) -> None:
    scheduled = make_scheduled()
    server = scheduled.server
    scheduled.set("2026-06-03T01:00")
    server.start()
    server.wait_for(scheduled.wait_for_run(1))
    server.stop()
    scheduled.set("2026-06-09T12:00")
    server.start()
    scheduled.look()
    assert len(scheduled.runs()) == 1
    server.stop()
    scheduled.set("2026-06-10T04:30")
    server.start()
    server.wait_for(scheduled.wait_for_run(2))
    scheduled.look()
    assert len(scheduled.runs()) == 2 and scheduled.schedule()["NextRun"] == "20260610T230000"


def test_an_increment_builds_on_the_latest_complete_inventory(make_scheduled: Callable[..., Scheduled]) -> None:
    scheduled = make_scheduled({**NIGHTLY, "Mode": "Incremental"}, StoreIn="Directory")
    server = scheduled.server
    scheduled.set("2026-06-03T01:00")
    server.start()
    server.store(*archive.files(2))
    first = server.wait_for(scheduled.wait_for_run(1))
    assert first["Base"] is None
    assert len(scheduled.lines("a full run: there is no COMPLETE inventory of its level and scope")) == 1
    by_hand = server.make()["SOPInstanceUID"]
    scheduled.set("2026-06-04T01:00")
    increment = server.wait_for(scheduled.wait_for_run(3))
    assert (increment["State"], increment["Base"]) == ("Success", by_hand)
    # An inventory that was removed in part is no base; another level is none.
    for path in server.state_directory.rglob("*.dcm"):
        path.unlink()
    server.make(Level="STUDY")
    scheduled.set("2026-06-05T01:00")
    full = server.wait_for(scheduled.wait_for_run(5))
    assert (full["State"], full["Base"]) == ("Success", None)
    assert len(scheduled.lines("a full run")) == 2


def test_a_base_that_proves_unusable_is_followed_by_a_full_run(make_scheduled: Callable[..., Scheduled]) -> None:
    scheduled = make_scheduled({**NIGHTLY, "Mode": "Incremental"})
    scheduled.use(
        "def refuse(*arguments): raise BaseUnusable('the base is broken: make a full inventory')\n"
        "at(Increment, 'studies', always, refuse)"
    )
    server = scheduled.server
    scheduled.set("2026-06-03T01:00")
    server.start()
    server.wait_for(scheduled.wait_for_run(1))
    scheduled.set("2026-06-04T01:00")
    full = server.wait_for(scheduled.wait_for_run(3))
    failed = server.transaction(scheduled.runs()[1])
    assert (failed["TransactionStatus"], failed["ErrorDescription"]) == ("FAILURE", "the base is broken: make a full inventory")
    assert (full["TransactionStatus"], full["Base"]) == ("COMPLETE", None)
    assert len(scheduled.lines("a full run: the base of the last one cannot be used")) == 1
    scheduled.look()
    assert len(scheduled.runs()) == 3 and scheduled.schedule()["NextRun"] == "20260604T230000"


def test_a_full_queue_is_told_once_and_tried_again(make_scheduled: Callable[..., Scheduled]) -> None:
    scheduled = make_scheduled(MaximumPendingRuns=0)
    scheduled.use("halt(1)")
    server = scheduled.server
    scheduled.set("2026-06-03T00:59")
    server.start()
    server.store(*archive.files(10))
    running = server.begin()
    scheduled.set("2026-06-03T01:00")
    server.wait_for_line("nightly cannot start a run", "Inventory.MaximumPendingRuns")
    scheduled.look()
    server.let_go()
    server.wait_for(running)
    assert server.wait_for(scheduled.wait_for_run(2))["Schedule"] == "nightly"
    assert len(scheduled.lines("nightly cannot start a run", "Inventory.MaximumPendingRuns")) == 1


def test_a_store_that_takes_nothing_is_told_once_in_each_window(make_server: Callable[..., Server]) -> None:
    scheduled = Scheduled(make_server(configuration={"ReadOnly": True}, inventory={"Schedules": [NIGHTLY]}))
    scheduled.set("2026-06-03T01:00")
    server = scheduled.server.start()
    for number, moment in enumerate(("2026-06-03T04:00", "2026-06-04T01:00", "2026-06-04T04:00"), 1):
        wait_until(lambda: len(scheduled.lines("nightly cannot start a run", "ReadOnly")) >= max(1, number - 1))
        time.sleep(0.5)  # long enough for it to be told once more
        assert len(scheduled.lines("nightly cannot start a run", "ReadOnly")) == max(1, number - 1)
        scheduled.set(moment)
    assert "ReadOnly" in server.error("POST", "/inventories/schedules/nightly/run", 409)
    assert scheduled.runs() == [] and not scheduled.lines("fail")


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_the_start_of_a_run_makes_it_neither_never_nor_twice(
    make_scheduled: Callable[..., Scheduled], after: bool
) -> None:
    scheduled = make_scheduled()
    server = scheduled.server
    scheduled.set("2026-06-03T00:59")
    scheduled.use(f"at(Journal, 'add', [1], die, after={after})")
    server.start()
    server.store(*archive.files(2))
    scheduled.set("2026-06-03T01:00")
    server.wait_until_dead()
    scheduled.use()
    server.start()
    done = server.wait_for(scheduled.wait_for_run(1))
    assert (done["TransactionStatus"], done["Studies"], done["Schedule"]) == ("COMPLETE", 2, "nightly")
    scheduled.look()
    assert scheduled.runs() == [done["ID"]]


def test_a_crash_between_the_end_and_the_next_look_makes_no_second_run(make_scheduled: Callable[..., Scheduled]) -> None:
    scheduled = make_scheduled()
    server = scheduled.server
    scheduled.set("2026-06-03T00:59")
    scheduled.use("at(Journal, 'finish', [1], die, after=True)")
    server.start()
    scheduled.set("2026-06-03T01:00")
    server.wait_until_dead()
    scheduled.use()
    server.start()
    scheduled.look()
    assert len(scheduled.runs()) == 1 and scheduled.schedule()["LastRun"]["TransactionStatus"] == "COMPLETE"


def test_the_run_of_a_schedule_that_is_gone_is_told_of(make_scheduled: Callable[..., Scheduled]) -> None:
    scheduled = make_scheduled(**SMALL)
    server, uid = begin(scheduled)
    scheduled.set("2026-06-03T05:00")
    server.wait_for(uid, "Paused")
    server.stop()
    server.let_go()
    server.configuration["Inventory"] = {**SMALL, "Schedules": []}
    server.start()
    assert len(scheduled.lines(uid, "nightly", "no longer configured: resume or cancel it")) == 1
    assert server.get("/inventories/schedules") == []
    change(server, uid, "resume")
    assert server.wait_for(uid)["TransactionStatus"] == "COMPLETE"


def test_a_schedule_keeps_as_many_as_it_says(make_scheduled: Callable[..., Scheduled]) -> None:
    increments = {"Name": "chain", "Mode": "Incremental", "Level": "STUDY", "Hours": ["1-5"], "Keep": 1}
    scheduled = make_scheduled({**NIGHTLY, "Keep": 2}, increments)
    server = scheduled.server
    scheduled.set("2026-06-03T12:00")
    server.start()
    server.store(*archive.files(2))
    mine = server.make()["SOPInstanceUID"]

    def run(name: str) -> str:
        return server.wait_for(server.post(f"/inventories/schedules/{name}/run")["ID"])["SOPInstanceUID"]

    nightly, chain = [run("nightly") for _ in range(4)], [run("chain") for _ in range(3)]
    # A base stays as long as an increment is made of it.
    expected = [mine, *nightly[2:], *chain]
    wait_until(lambda: server.get("/inventories") == expected, lambda: (expected, server.get("/inventories")))


def test_a_scope_that_the_index_cannot_answer_is_refused(make_server: Callable[..., Server]) -> None:
    schedule = {"Name": "nightly", "Scope": {"StorageMediaFileSetID": "x"}}
    server = make_server(inventory={"Schedules": [schedule]}).start()
    message = server.error("GET", "/inventories/schedules", 503)
    assert message.startswith("Inventory.Schedules[0].Scope.StorageMediaFileSetID")
    server.stop()


def test_metrics_tell_of_schedules(make_scheduled: Callable[..., Scheduled]) -> None:
    scheduled = make_scheduled()
    server = scheduled.server
    scheduled.set("2026-06-03T12:00")
    server.start()

    def metrics() -> dict[str, float]:
        scheduled.look()
        lines = server.request("GET", "/tools/metrics-prometheus").text.splitlines()
        values = (line.split() for line in lines if line.startswith("orthanc_inventory_schedules_"))
        return {name.removeprefix("orthanc_inventory_schedules_"): float(value) for name, value, *_ in values}

    assert metrics() == {"failed": 0, "without_success": 0}
    scheduled.set("2026-06-03T13:00")
    assert metrics() == {"failed": 0, "without_success": 3600}
