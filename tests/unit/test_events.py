"""What a peer is to be told stands in the journal with what it tells, and is forgotten when it is told or too late."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orthanc_inventory.production.events import Events, EventType, TooManyEvents
from orthanc_inventory.production.instance_writer import Settings
from orthanc_inventory.production.journal import Journal
from orthanc_inventory.production.journal_rows import KeptInstance, KeptInventory
from orthanc_inventory.production.transaction import Cancellation, Progress, State, Transaction

Add = Callable[..., Transaction]
SETTINGS = Settings("Directory", 10, 0, "", {"InventoryAccessEndPointsSequence": [{"RetrieveAETitle": "ARCHIVE"}]}, {})


def told(events: Events, uid: str) -> list[tuple[int, str]]:
    """Takes all that waits."""
    found = []
    while (event := events.first(uid)) is not None:
        found.append((int(event.type), event.information["TransactionStatus"]))
        events.remove(event)
    return found


@pytest.fixture
def events(journal: Journal) -> Events:
    return Events(journal, SETTINGS)


def test_each_change_of_state_is_an_event_and_nothing_else_is(journal: Journal, events: Events, add_transaction: Add) -> None:
    transaction = add_transaction(peer="PEER", study_uid="1.1")
    add_transaction()
    for state in (State.RUNNING, State.PAUSED, State.PENDING, State.RUNNING):
        transaction.state = state
        journal.save(transaction)
    journal.checkpoint(transaction, Progress(studies=4), KeptInstance("1.5", 1, "Directory", "", 9, "00", 4, 4, []), [], b"")
    assert events.waiting() == [(transaction.uid, "PEER")]
    assert told(events, transaction.uid) == [(12, "PROCESSING"), (12, "PAUSED"), (12, "PROCESSING")]
    transaction.state, transaction.cancellation = State.FAILURE, Cancellation.DISCARD
    journal.finish(transaction)
    assert told(events, transaction.uid) == [(12, "CANCELED"), (13, "CANCELED")] and events.waiting() == []


def test_an_end_that_is_not_written_is_not_told(journal: Journal, events: Events, add_transaction: Add) -> None:
    transaction = add_transaction(peer="PEER", study_uid="1.1")
    root = KeptInstance("1.5", 1, "Directory", "", 9, "ab", 2, 7, [])
    inventory = KeptInventory("1.5", "1.1", {"Expiration": "20260101000000+0000"})
    journal.checkpoint(transaction, Progress(studies=2), root, [], b"")
    told(events, transaction.uid)
    ended = replace(transaction, state=State.SUCCESS, root_uid="1.6")
    with pytest.raises(sqlite3.IntegrityError):
        journal.finish(ended, (), (root, inventory, b""))
    assert events.waiting() == []
    journal.finish(ended, (), (replace(root, uid="1.6"), replace(inventory, uid="1.6"), b""))
    status = events.first(transaction.uid)
    assert status is not None and status.information["TotalNumberOfStudyRecords"] == 7
    events.remove(status)
    end = events.first(transaction.uid)
    assert end is not None and end.type is EventType.TERMINATED_WITH_INSTANCES
    assert end.information == {
        "TransactionUID": transaction.uid,
        "TransactionStatus": "COMPLETE",
        "RetrieveAETitle": "ARCHIVE",
        "ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.201.1",
        "ReferencedSOPInstanceUID": "1.6",
        "MACAlgorithm": "SHA256",
        "MAC": "ab",
        "ExpirationDateTime": "20260101000000+0000",
        "TotalNumberOfStudyRecords": 7,
    }


def test_of_an_inventory_that_was_deleted_only_the_state_is_told(
    journal: Journal, events: Events, add_transaction: Add
) -> None:
    transaction = add_transaction(peer="PEER", study_uid="1.1")
    root = KeptInstance("1.6", 1, "Directory", "", 9, "ab", 2, 2, [])
    transaction.state, transaction.root_uid = State.SUCCESS, "1.6"
    journal.finish(transaction, (), (root, KeptInventory("1.6", "1.1", {}), b""))
    told(events, transaction.uid)
    events.answer(transaction.uid)
    assert told(events, transaction.uid) == [(12, "COMPLETE"), (11, "COMPLETE")]
    journal.forget_inventories(["1.6"])
    events.answer(transaction.uid)
    assert told(events, transaction.uid) == [(12, "COMPLETE")]


def test_events_survive_and_are_given_up_in_time(
    tmp_path: Path, journal: Journal, events: Events, add_transaction: Add
) -> None:
    one, other = add_transaction(peer="PEER"), add_transaction(peer="OTHER")
    journal.close()
    again = Journal(tmp_path / "journal.db")
    events = Events(again, SETTINGS)
    assert events.waiting() == [(one.uid, "PEER"), (other.uid, "OTHER")]
    assert events.give_up("PEER", "20200101T000000") == 0
    assert events.give_up("PEER", "29990101T000000") == 1
    assert events.waiting() == [(other.uid, "OTHER")]
    again.close()


def test_who_asks_too_often_without_listening_is_refused(events: Events, add_transaction: Add) -> None:
    transaction = add_transaction(peer="PEER")
    for _ in range(99):
        events.answer(transaction.uid)
    with pytest.raises(TooManyEvents, match="100 events"):
        events.answer(transaction.uid)
