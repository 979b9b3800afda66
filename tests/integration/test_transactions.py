"""Transactions: states, pause, resume, cancel, and the order of those that wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from . import archive
from .server import Server, object_uids

SLOW = {"MaxRecordsPerInstance": 6, "ThrottleDelay": 40}


@pytest.fixture
def slow_server(make_server: Callable[..., Server]) -> Server:
    """20 studies, two of which fill a leaf, a second in all."""
    server = make_server(inventory=SLOW).start()
    server.store(*archive.files(20))
    return server


def change(server: Server, uid: str, what: str, **body: Any) -> dict[str, Any]:
    return server.post(f"/inventories/transactions/{uid}/{what}", body or None)


def check_whole(server: Server, transaction: dict[str, Any], studies: int = 20) -> None:
    summary = server.get(f"/inventories/{transaction['SOPInstanceUID']}")
    assert summary["InventoryCompletionStatus"] == "COMPLETE" and summary["Missing"] == []
    uids = object_uids(server.studies(summary))
    assert len(uids) == len(set(uids)) == studies == summary["Studies"] == transaction["Studies"]


@pytest.mark.newest
def test_a_run_goes_from_pending_to_success(slow_server: Server) -> None:
    answer = slow_server.post("/inventories", {"UserData": ["mine"], "Purpose": "Audit"})
    assert set(answer) == {"ID", "Path"} and answer["Path"] == f"/inventories/transactions/{answer['ID']}"
    running = slow_server.wait_until(answer["ID"], Studies=2)
    assert (running["State"], running["TransactionStatus"], running["CompletionTime"]) == ("Running", "PROCESSING", None)
    assert 0 < running["Progress"] < 100 and running["TotalStudies"] == 20 and running["SOPInstanceUID"] is None
    assert running["Remaining"] is None or running["Remaining"] > 0
    done = slow_server.wait_for(answer["ID"])
    assert (done["State"], done["TransactionStatus"], done["Progress"], done["Remaining"]) == ("Success", "COMPLETE", 100, 0)
    assert (done["Studies"], done["Series"], done["Instances"], done["ErrorCode"]) == (20, 20, 20, 0)
    assert done["UserData"] == ["mine"] and done["Purpose"] == "Audit" and done["CompletionTime"] >= done["CreationTime"]
    check_whole(slow_server, done)


def test_synchronous_answers_the_finished_transaction(slow_server: Server) -> None:
    done = slow_server.post("/inventories", {"Synchronous": True, "Level": "STUDY"})
    assert done["State"] == "Success" and done["Level"] == "STUDY"
    assert slow_server.transaction(done["ID"]) == done


@pytest.mark.newest
def test_a_paused_run_goes_on_where_it_was(slow_server: Server) -> None:
    uid = slow_server.begin()
    slow_server.wait_until(uid, Studies=5)
    paused = change(slow_server, uid, "pause")
    assert (paused["State"], paused["TransactionStatus"]) == ("Paused", "PAUSED")
    assert slow_server.get("/inventories/status")["Paused"] == [uid]
    # Others have their turn meanwhile.
    check_whole(slow_server, slow_server.post("/inventories", {"Synchronous": True}))
    still = slow_server.transaction(uid)
    assert still["State"] == "Paused" and still["Studies"] < 20
    assert change(slow_server, uid, "resume")["TransactionStatus"] == "PROCESSING"
    check_whole(slow_server, slow_server.wait_for(uid))


def test_a_paused_run_stays_paused_over_a_restart(slow_server: Server) -> None:
    uid = slow_server.begin()
    slow_server.wait_until(uid, Studies=5)
    change(slow_server, uid, "pause")
    slow_server.stop()
    slow_server.start()
    assert slow_server.transaction(uid)["State"] == "Paused"
    change(slow_server, uid, "resume")
    check_whole(slow_server, slow_server.wait_for(uid))


def test_a_run_goes_on_after_a_stop(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={**SLOW, "ThrottleDelay": 200}).start()
    server.store(*archive.files(20))
    uid = server.begin()
    server.wait_until(uid, Studies=7)
    server.stop()
    server.start()
    check_whole(server, server.wait_for(uid))
    # It did not begin anew: its first line after the start says how far it was.
    starts = [line for line in server.log_lines() if line.startswith(f"{uid} starts")]
    read = [int(line.split(" starts: ")[1].split(" of 20 studies")[0]) for line in starts]
    assert len(read) == 2 and read[0] == 0 and 6 <= read[1] < 20
    assert not [line for line in server.log_lines() if "fails" in line]


@pytest.mark.newest
def test_a_cancelled_run_leaves_nothing(slow_server: Server) -> None:
    before = slow_server.get("/statistics")
    uid = slow_server.begin()
    slow_server.wait_until(uid, Studies=5)
    cancelled = change(slow_server, uid, "cancel")
    assert (cancelled["State"], cancelled["TransactionStatus"]) == ("Failure", "CANCELED")
    assert cancelled["SOPInstanceUID"] is None and cancelled["ErrorDescription"] == "This job was canceled"
    assert slow_server.get("/statistics") == before and slow_server.get("/inventories") == []
    slow_server.stop()
    slow_server.start()
    assert slow_server.transaction(uid)["TransactionStatus"] == "CANCELED"


@pytest.mark.parametrize("paused_first", [False, True])
def test_a_cancelled_run_retains_its_leaves_when_asked(slow_server: Server, paused_first: bool) -> None:
    uid = slow_server.begin()
    slow_server.wait_until(uid, Studies=7)
    if paused_first:
        change(slow_server, uid, "pause")
    cancelled = change(slow_server, uid, "cancel", RetainInstances=True)
    assert (cancelled["State"], cancelled["TransactionStatus"]) == ("Failure", "CANCELED")
    summary = slow_server.get(f"/inventories/{cancelled['SOPInstanceUID']}")
    root = slow_server.file(cancelled["SOPInstanceUID"])
    assert root.InventoryCompletionStatus == summary["InventoryCompletionStatus"] == "PARTIAL"
    uids = object_uids(slow_server.studies(summary))
    assert 4 <= len(uids) == len(set(uids)) < 20
    assert summary["Studies"] == root.TotalNumberOfStudyRecords == cancelled["Studies"] == len(uids)


def test_a_run_cancelled_before_its_first_leaf_has_nothing_to_retain(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"ThrottleDelay": 200}).start()
    server.store(*archive.files(10))
    uid = server.begin()
    server.wait_until(uid, Studies=1)
    cancelled = change(server, uid, "cancel", RetainInstances=True)
    assert cancelled["TransactionStatus"] == "CANCELED" and cancelled["SOPInstanceUID"] is None
    assert server.get("/inventories") == []


def test_requests_wait_in_order(slow_server: Server) -> None:
    uids = [slow_server.begin() for _ in range(3)]
    assert slow_server.get("/inventories/transactions") == uids
    status = slow_server.get("/inventories/status")
    assert (status["Running"] or uids[:1], status["Pending"][-2:]) == (uids[:1], uids[1:])
    waiting = slow_server.transaction(uids[2])
    assert (waiting["State"], waiting["TransactionStatus"], waiting["Remaining"]) == ("Pending", "PROCESSING", None)
    # What waits can be paused and cancelled too.
    assert change(slow_server, uids[1], "pause")["State"] == "Paused"
    assert change(slow_server, uids[1], "cancel")["TransactionStatus"] == "CANCELED"
    done = [slow_server.wait_for(uid) for uid in (uids[0], uids[2])]
    roots = [transaction["SOPInstanceUID"] for transaction in done]
    assert slow_server.get("/inventories") == roots
    for transaction in done:
        check_whole(slow_server, transaction)


def test_what_has_not_begun_is_cancelled_at_once(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={**SLOW, "ThrottleDelay": 1000, "StoreIn": "Directory"}).start()
    root = server.make()["SOPInstanceUID"]
    server.store(*archive.files(20))
    running = server.begin()
    server.wait_for(running, "Running")
    for paused in (False, True):
        for retain in (False, True):
            uid = server.begin()
            if paused:
                change(server, uid, "pause")
            assert change(server, uid, "cancel", RetainInstances=retain)["TransactionStatus"] == "CANCELED"
    status = server.get("/inventories/status")
    assert (status["Running"], status["Pending"], status["Paused"]) == ([running], [], [])
    assert server.transaction(running)["Studies"] < 20 and server.get("/inventories") == [root]


def test_waiting_requests_survive_a_restart(slow_server: Server) -> None:
    uids = [slow_server.begin() for _ in range(3)]
    slow_server.wait_until(uids[0], Studies=3)
    slow_server.stop()
    slow_server.start()
    roots = [slow_server.wait_for(uid)["SOPInstanceUID"] for uid in uids]
    assert slow_server.get("/inventories") == roots and None not in roots


def test_no_more_runs_wait_than_may(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={**SLOW, "MaximumPendingRuns": 2}).start()
    server.store(*archive.files(20))
    running = server.begin()
    server.wait_for(running, "Running")
    server.begin()
    server.begin()
    assert "Inventory.MaximumPendingRuns" in server.error("POST", "/inventories", 503)
    assert len(server.get("/inventories/transactions")) == 3


def test_what_a_state_does_not_allow_is_refused(slow_server: Server) -> None:
    uid = slow_server.begin()
    path = f"/inventories/transactions/{uid}"
    slow_server.wait_until(uid, Studies=3)
    assert "cannot be resumed" in slow_server.error("POST", f"{path}/resume", 409)
    change(slow_server, uid, "pause")
    assert "cannot be paused" in slow_server.error("POST", f"{path}/pause", 409)
    change(slow_server, uid, "resume")
    slow_server.wait_for(uid)
    for what, word in (("pause", "paused"), ("resume", "resumed"), ("cancel", "cancelled")):
        assert f"is COMPLETE and Success cannot be {word}" in slow_server.error("POST", f"{path}/{what}", 409)
    assert slow_server.transaction(uid)["State"] == "Success"


def test_a_transaction_uid_is_used_once(server: Server) -> None:
    server.post("/inventories", {"TransactionUID": "1.2.3", "Synchronous": True})
    assert "TransactionUID was used before" in server.error("POST", "/inventories", 409, data='{"TransactionUID": "1.2.3"}')
    assert server.get("/inventories/transactions") == ["1.2.3"] and len(server.get("/inventories")) == 1


def test_lists_can_be_paged_and_expanded(server: Server) -> None:
    transactions = [server.post("/inventories", {"Synchronous": True}) for _ in range(4)]
    uids = [transaction["ID"] for transaction in transactions]
    roots = [transaction["SOPInstanceUID"] for transaction in transactions]
    assert server.get("/inventories/transactions?since=1&limit=2") == uids[1:3]
    assert server.get("/inventories/transactions?expand&since=3") == transactions[3:]
    assert server.get("/inventories") == server.get("/inventories?limit=0") == roots
    assert server.get("/inventories?since=2") == roots[2:] and server.get("/inventories?since=9") == []
    expanded = server.get("/inventories?expand=&limit=1")
    assert expanded == [server.get(f"/inventories/{roots[0]}")]
