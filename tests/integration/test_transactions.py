"""Transactions: states, pause, resume, cancel, and the order of those that wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from . import archive
from .server import Server, object_uids

# Two studies fill a leaf.
SMALL = {"MaxRecordsPerInstance": 6}


@pytest.fixture
def halting(make_server: Callable[..., Server]) -> Callable[[int], Server]:
    """Makes a server of 20 studies whose runs halt after so many of them, see ``script``."""

    def make(studies: int) -> Server:
        server = make_server(inventory=SMALL).start_with(f"halt({studies})")
        server.store(*archive.files(20))
        return server

    return make


def change(server: Server, uid: str, what: str, **body: Any) -> dict[str, Any]:
    return server.post(f"/inventories/transactions/{uid}/{what}", body or None)


def check_whole(server: Server, transaction: dict[str, Any], studies: int = 20) -> None:
    summary = server.get(f"/inventories/{transaction['SOPInstanceUID']}")
    assert summary["InventoryCompletionStatus"] == "COMPLETE" and summary["Missing"] == []
    uids = object_uids(server.studies(summary))
    assert len(uids) == len(set(uids)) == studies == summary["Studies"] == transaction["Studies"]


@pytest.mark.newest
def test_a_run_goes_from_pending_to_success(halting: Callable[[int], Server]) -> None:
    server = halting(2)
    answer = server.post("/inventories", {"UserData": ["mine"], "Purpose": "Audit"})
    assert set(answer) == {"ID", "Path"} and answer["Path"] == f"/inventories/transactions/{answer['ID']}"
    running = server.wait_until(answer["ID"], Studies=2)
    assert (running["State"], running["TransactionStatus"], running["CompletionTime"]) == ("Running", "PROCESSING", None)
    assert 0 < running["Progress"] < 100 and running["TotalStudies"] == 20 and running["SOPInstanceUID"] is None
    assert running["Remaining"] is None or running["Remaining"] > 0
    server.let_go()
    done = server.wait_for(answer["ID"])
    assert (done["State"], done["TransactionStatus"], done["Progress"], done["Remaining"]) == ("Success", "COMPLETE", 100, 0)
    assert (done["Studies"], done["Series"], done["Instances"], done["ErrorCode"]) == (20, 20, 20, 0)
    assert done["UserData"] == ["mine"] and done["Purpose"] == "Audit" and done["CompletionTime"] >= done["CreationTime"]
    check_whole(server, done)


def test_synchronous_answers_the_finished_transaction(server: Server) -> None:
    server.store(*archive.files(20))
    done = server.post("/inventories", {"Synchronous": True, "Level": "STUDY"})
    assert done["State"] == "Success" and done["Level"] == "STUDY"
    assert server.transaction(done["ID"]) == done


@pytest.mark.newest
def test_a_paused_run_goes_on_where_it_was(halting: Callable[[int], Server]) -> None:
    server = halting(5)
    uid = server.begin()
    server.wait_until(uid, Studies=5)
    paused = change(server, uid, "pause")
    assert (paused["State"], paused["TransactionStatus"]) == ("Paused", "PAUSED")
    assert server.get("/inventories/status")["Paused"] == [uid]
    # Others have their turn meanwhile.
    server.let_go()
    check_whole(server, server.post("/inventories", {"Synchronous": True}))
    still = server.transaction(uid)
    assert still["State"] == "Paused" and still["Studies"] < 20
    assert change(server, uid, "resume")["TransactionStatus"] == "PROCESSING"
    check_whole(server, server.wait_for(uid))


def test_a_paused_run_stays_paused_over_a_restart(halting: Callable[[int], Server]) -> None:
    server = halting(5)
    uid = server.begin()
    server.wait_until(uid, Studies=5)
    change(server, uid, "pause")
    server.stop()
    server.start()
    assert server.transaction(uid)["State"] == "Paused"
    change(server, uid, "resume")
    check_whole(server, server.wait_for(uid))


def test_a_run_goes_on_after_a_stop(halting: Callable[[int], Server]) -> None:
    server = halting(7)
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
def test_a_cancelled_run_leaves_nothing(halting: Callable[[int], Server]) -> None:
    server = halting(5)
    before = server.get("/statistics")
    uid = server.begin()
    server.wait_until(uid, Studies=5)
    cancelled = change(server, uid, "cancel")
    assert (cancelled["State"], cancelled["TransactionStatus"]) == ("Failure", "CANCELED")
    assert cancelled["SOPInstanceUID"] is None and cancelled["ErrorDescription"] == "This job was canceled"
    assert server.get("/statistics") == before and server.get("/inventories") == []
    server.stop()
    server.start()
    assert server.transaction(uid)["TransactionStatus"] == "CANCELED"


@pytest.mark.parametrize("paused_first", [False, True])
def test_a_cancelled_run_retains_its_leaves_when_asked(halting: Callable[[int], Server], paused_first: bool) -> None:
    server = halting(7)
    uid = server.begin()
    server.wait_until(uid, Studies=7)
    if paused_first:
        change(server, uid, "pause")
    cancelled = change(server, uid, "cancel", RetainInstances=True)
    assert (cancelled["State"], cancelled["TransactionStatus"]) == ("Failure", "CANCELED")
    summary = server.get(f"/inventories/{cancelled['SOPInstanceUID']}")
    root = server.file(cancelled["SOPInstanceUID"])
    assert root.InventoryCompletionStatus == summary["InventoryCompletionStatus"] == "PARTIAL"
    uids = object_uids(server.studies(summary))
    assert 4 <= len(uids) == len(set(uids)) < 20
    assert summary["Studies"] == root.TotalNumberOfStudyRecords == cancelled["Studies"] == len(uids)


def test_a_run_cancelled_before_its_first_leaf_has_nothing_to_retain(make_server: Callable[..., Server]) -> None:
    server = make_server().start_with("halt(1)")
    server.store(*archive.files(10))
    uid = server.begin()
    server.wait_until(uid, Studies=1)
    cancelled = change(server, uid, "cancel", RetainInstances=True)
    assert cancelled["TransactionStatus"] == "CANCELED" and cancelled["SOPInstanceUID"] is None
    assert server.get("/inventories") == []


def test_requests_wait_in_order(halting: Callable[[int], Server]) -> None:
    server = halting(1)
    uids = [server.begin() for _ in range(3)]
    assert server.get("/inventories/transactions") == uids
    status = server.get("/inventories/status")
    assert (status["Running"] or uids[:1], status["Pending"][-2:]) == (uids[:1], uids[1:])
    waiting = server.transaction(uids[2])
    assert (waiting["State"], waiting["TransactionStatus"], waiting["Remaining"]) == ("Pending", "PROCESSING", None)
    # What waits can be paused and cancelled too.
    assert change(server, uids[1], "pause")["State"] == "Paused"
    assert change(server, uids[1], "cancel")["TransactionStatus"] == "CANCELED"
    server.let_go()
    done = [server.wait_for(uid) for uid in (uids[0], uids[2])]
    roots = [transaction["SOPInstanceUID"] for transaction in done]
    assert server.get("/inventories") == roots
    for transaction in done:
        check_whole(server, transaction)


def test_what_has_not_begun_is_cancelled_at_once(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"StoreIn": "Directory"}).start_with("halt(1)")
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


def test_waiting_requests_survive_a_restart(halting: Callable[[int], Server]) -> None:
    server = halting(3)
    uids = [server.begin() for _ in range(3)]
    server.wait_until(uids[0], Studies=3)
    server.stop()
    server.start()
    roots = [server.wait_for(uid)["SOPInstanceUID"] for uid in uids]
    assert server.get("/inventories") == roots and None not in roots


def test_no_more_runs_wait_than_may(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaximumPendingRuns": 2}).start_with("halt(1)")
    server.store(*archive.files(20))
    running = server.begin()
    server.wait_for(running, "Running")
    server.begin()
    server.begin()
    assert "Inventory.MaximumPendingRuns" in server.error("POST", "/inventories", 503)
    assert len(server.get("/inventories/transactions")) == 3


def test_what_a_state_does_not_allow_is_refused(halting: Callable[[int], Server]) -> None:
    server = halting(3)
    uid = server.begin()
    path = f"/inventories/transactions/{uid}"
    server.wait_until(uid, Studies=3)
    assert "cannot be resumed" in server.error("POST", f"{path}/resume", 409)
    change(server, uid, "pause")
    assert "cannot be paused" in server.error("POST", f"{path}/pause", 409)
    change(server, uid, "resume")
    server.let_go()
    server.wait_for(uid)
    for what, word in (("pause", "paused"), ("resume", "resumed"), ("cancel", "cancelled")):
        assert f"is COMPLETE and Success cannot be {word}" in server.error("POST", f"{path}/{what}", 409)
    assert server.transaction(uid)["State"] == "Success"


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
