"""The clock of the machine is set while the plugin works: an hour back, a day forward, and right again."""

from __future__ import annotations

import datetime
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.valuerep import DT

from . import archive
from .resting import RESTING, rest_before, rest_no_more
from .server import Server, object_uids

STUDIES = 8
# By Debian's package libfaketime, for this machine and, in the folder of the test, for what runs in a chroot.
_LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
_PATIENCE = 120.0
_OFFSETS = {"+0": datetime.timedelta(), "-1h": datetime.timedelta(hours=-1), "+1d": datetime.timedelta(days=1)}
# Of a single study, so that its runs are not taken for those of the test.
_HOURLY = {
    "Name": "hourly", "Mode": "Full", "Hours": ["0-24"], "Every": "1h", "Level": "STUDY", "Scope": {"PatientID": "P0001"},
}


class Clock:
    """The one that Orthanc and all in its process look at; the time that passes is as always."""

    def __init__(self, server: Server) -> None:
        self._folder = server.folder
        library = shutil.copy(_LIBRARY, server.folder)
        server.environment.update(
            LD_PRELOAD=str(library), FAKETIME_TIMESTAMP_FILE=str(server.folder / "clock"), FAKETIME_NO_CACHE="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
        )
        self.set("+0")

    def set(self, offset: str) -> None:
        new = self._folder / "clock.new"
        new.write_text(offset)
        new.rename(self._folder / "clock")


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    return make_server(
        inventory={"MaxRecordsPerInstance": 6, "Retention": {"Days": 3}, "Schedules": [_HOURLY]}
    )


def scheduled(server: Server) -> list[dict[str, Any]]:
    return [entry for entry in server.get("/inventories/transactions?expand") if entry["Schedule"]]


def wait_for_scheduled(server: Server, number: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while len(scheduled(server)) < number:
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.1)


def test_a_clock_that_is_set_harms_nothing(server: Server) -> None:
    clock = Clock(server)
    rest_no_more(server)
    began = datetime.datetime.now(datetime.timezone.utc)
    server.start_with(RESTING)
    server.store(*archive.files(STUDIES))
    # A schedule that was never asked begins at once.
    wait_for_scheduled(server, 1)
    server.wait_for(scheduled(server)[0]["ID"])
    first = server.make()
    rest_before(server, 3)
    uid = server.begin()
    server.wait_until(uid, Studies=3)
    clock.set("-1h")
    server.store(archive.file(20, 1), archive.file(STUDIES, 1, 1, 2))
    rest_before(server, 5)
    server.wait_until(uid, Studies=5)
    clock.set("+1d")
    server.store(archive.file(21, 1))
    # Of all the runs that a day would have had, one.
    wait_for_scheduled(server, 2)
    rest_no_more(server)
    transaction = server.wait_for(uid)
    ended = datetime.datetime.now(datetime.timezone.utc)
    assert (transaction["State"], transaction["Studies"], transaction["Skipped"]) == ("Success", STUDIES, [])
    assert 0 <= transaction["EffectiveRuntime"] <= (ended - began).total_seconds()
    second = server.get(f"/inventories/{transaction['SOPInstanceUID']}")
    assert second["InventoryCompletionStatus"] == "COMPLETE"
    records = server.studies(second)
    assert len(set(object_uids(records))) == len(object_uids(records)) == sum(
        study.NumberOfStudyRelatedInstances for study in records
    )
    # Each record tells the moment that the clock showed when it was read.
    for study in records:
        moment = datetime.datetime.fromtimestamp(DT(str(study.ItemInventoryDateTime)).timestamp(), datetime.timezone.utc)
        assert any(began + offset <= moment <= ended + offset for offset in _OFFSETS.values()), study.ItemInventoryDateTime
    server.wait_for(scheduled(server)[1]["ID"])
    clock.set("-1h")
    third = server.make()
    check_order(server, first, second, third)
    # An increment begins with the newest, whatever the clock said of it, and finds all that changed.
    server.store(archive.file(22, 1))
    increment = server.make(Base="latest")
    assert increment["Base"] == third["SOPInstanceUID"] and increment["Studies"] == STUDIES + 3
    full = server.make()
    assert server.get(f"/inventories/{increment['SOPInstanceUID']}/compare/{full['SOPInstanceUID']}")["Same"]
    # A schedule whose last run seems to lie far ahead begins anew.
    wait_for_scheduled(server, 3)
    server.wait_for(scheduled(server)[2]["ID"])
    check_order(server, first, second, third, increment, full)
    server.stop()
    server.start_with(RESTING)
    check_order(server, first, second, third, increment, full)
    assert len(scheduled(server)) == 3 and not [line for line in server.log_lines() if "fail" in line]


def check_order(server: Server, *summaries: dict[str, Any]) -> None:
    """Of the inventories that no schedule made: as they were made. All are whole, and no UID was given twice."""
    kept = server.get("/inventories?expand")
    assert [entry["SOPInstanceUID"] for entry in kept if not entry["Schedule"]] == [
        summary["SOPInstanceUID"] for summary in summaries
    ]
    uids = {uid for entry in kept for uid in entry["InstanceUIDs"]}
    own = [uid for entry in kept for uid in entry["InstanceUIDs"] if entry["Base"] is None]
    assert len(own) == len(set(own)) <= len(uids) and not any(entry["Missing"] for entry in kept)
