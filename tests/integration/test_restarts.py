"""A run goes on over any number of stops, however Orthanc ends."""

from __future__ import annotations

from collections.abc import Callable

from . import archive
from .resting import RESTING, rest_before, rest_no_more
from .server import Server, object_uids

STUDIES = 24


def test_a_run_survives_ten_restarts(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 6})
    rest_before(server, 3)
    server.start_with(RESTING)
    server.store(*archive.files(STUDIES))
    uid = server.begin()
    for number in range(10):
        # Two make a leaf: of an odd number of studies the last one is in none yet.
        server.wait_until(uid, Studies=2 * number + 3)
        (server.stop, server.kill)[number % 2]()
        rest_before(server, 2 * number + 5)
        server.start_with(RESTING)
    rest_no_more(server)
    transaction = server.wait_for(uid)
    assert (transaction["State"], transaction["Studies"], transaction["Skipped"]) == ("Success", STUDIES, [])
    assert server.get("/inventories") == [transaction["SOPInstanceUID"]]
    summary = server.get(f"/inventories/{transaction['SOPInstanceUID']}")
    uids = object_uids(server.studies(summary))
    assert len(uids) == len(set(uids)) == STUDIES and len(summary["InstanceUIDs"]) == STUDIES // 2 + 1
    assert server.get("/statistics")["CountInstances"] == STUDIES + len(summary["InstanceUIDs"])
    starts = [line for line in server.log_lines() if line.startswith(f"{uid} starts")]
    assert [int(line.split(" starts: ")[1].split(" of ")[0]) for line in starts] == [0, *range(2, 22, 2)]
