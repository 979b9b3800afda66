"""A run goes on over any number of stops, also while the clock of the machine is set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import archive
from .server import Server, object_uids

STUDIES = 24
# The run rests before the study of the number that the file says.
_RESTING = """
from orthanc_inventory.production.pace import Pace

def rest(pace):
    while pace._transaction.progress.studies >= int(open(folder + "/rest").read()) and not pace._interrupted.wait(0.05):
        pass

at(Pace, 'tell', always, rest)
"""
_LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


def rest_before(server: Server, study: int) -> None:
    new = server.folder / "rest.new"
    new.write_text(str(study))
    new.rename(server.folder / "rest")


def test_a_run_survives_ten_restarts(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 6})
    rest_before(server, 3)
    server.start_with(_RESTING)
    server.store(*archive.files(STUDIES))
    uid = server.begin()
    for number in range(10):
        # Of an odd number of studies the last one is in no leaf yet.
        server.wait_until(uid, Studies=2 * number + 3)
        (server.stop, server.kill)[number % 2]()
        rest_before(server, 2 * number + 5 if number < 9 else STUDIES)
        server.start_with(_RESTING)
    transaction = server.wait_for(uid)
    assert (transaction["State"], transaction["Studies"], transaction["Skipped"]) == ("Success", STUDIES, [])
    assert server.get("/inventories") == [transaction["SOPInstanceUID"]]
    summary = server.get(f"/inventories/{transaction['SOPInstanceUID']}")
    uids = object_uids(server.studies(summary))
    assert len(uids) == len(set(uids)) == STUDIES and len(summary["InstanceUIDs"]) == STUDIES // 2 + 1
    assert server.get("/statistics")["CountInstances"] == STUDIES + len(summary["InstanceUIDs"])
    starts = [line for line in server.log_lines() if line.startswith(f"{uid} starts")]
    assert [int(line.split(" starts: ")[1].split(" of ")[0]) for line in starts] == [0, *range(2, 22, 2)]


def set_clock(server: Server, offset: str) -> None:
    new = server.folder / "clock.new"
    new.write_text(offset)
    new.rename(server.folder / "clock")
