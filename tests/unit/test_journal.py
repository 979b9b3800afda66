"""The journal: what it is told stays told, all of a step or nothing of it."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orthanc_inventory.dicom.records import Skipped
from orthanc_inventory.production.journal import KEPT_TRANSACTIONS, Journal
from orthanc_inventory.production.journal_rows import KeptInstance, KeptInventory
from orthanc_inventory.production.outbox import Outbox
from orthanc_inventory.production.transaction import Cancellation, Progress, State, Transaction

Add = Callable[..., Transaction]


def instance(uid: str, place: int = 1) -> KeptInstance:
    return KeptInstance(uid, place, "Directory", "", 100, "00", 1, 1, [])


def test_a_transaction_comes_back_as_it_was(tmp_path: Path, journal: Journal, add_transaction: Add) -> None:
    transaction = add_transaction(
        scope={"PatientID": "P*"}, purpose="ü", user_data={"a": [1, None]}, cancellation=Cancellation.RETAIN
    )
    journal.begin(transaction, ["a", "b", "c"], [])
    journal.checkpoint(transaction, Progress(position=2, studies=2), instance("1.5"), [Skipped("b", "Study", "why")], b"12345678")
    journal.close()
    again = Journal(tmp_path / "journal.db")
    assert again.unfinished() == [replace(transaction, progress=Progress(position=2, studies=2))]
    assert again.places(["1.5", "1.7"]) == {"1.5": b"12345678"}
    assert again.studies(transaction, 1, 10) == ["b", "c"] and again.studies(transaction, 0, 1) == ["a"]
    assert again.skipped(transaction) == [Skipped("b", "Study", "why")]
    again.close()


def test_a_step_that_fails_changes_nothing(journal: Journal, add_transaction: Add) -> None:
    transaction = add_transaction(study_uid="1.1")
    journal.checkpoint(transaction, Progress(position=1), instance("1.5"), [], b"")
    with pytest.raises(sqlite3.IntegrityError):
        journal.checkpoint(transaction, Progress(position=9), instance("1.5"), [Skipped("x", "Study", "why")], b"")
    kept = journal.transaction(transaction.uid)
    assert kept is not None and kept.progress.position == 1 and journal.skipped(transaction) == []


def test_an_inventory_exists_once_its_root_does(journal: Journal, add_transaction: Add) -> None:
    transaction = add_transaction(study_uid="1.1")
    journal.begin(transaction, ["a"], [])
    journal.checkpoint(transaction, Progress(), instance("1.5"), [], b"")
    assert journal.inventory_of("1.5") is None and journal.inventories() == []
    root = instance("1.6", 2)
    transaction.state = State.SUCCESS
    journal.finish(transaction, (), (root, KeptInventory("1.6", "1.1", {"Scope": {}}), b""))
    found = journal.inventory_of("1.5")
    assert found is not None and found[0].uid == "1.6" and found[1] == instance("1.5")
    assert journal.instances("1.1") == [instance("1.5"), root]
    assert journal.unfinished() == [] and journal.studies(transaction, 0, 10) == []


def test_a_deletion_cut_short_is_found_again(journal: Journal, add_transaction: Add) -> None:
    transaction = add_transaction(study_uid="1.1")
    transaction.state = State.SUCCESS
    journal.finish(transaction, (), (instance("1.6"), KeptInventory("1.6", "1.1", {}), b""))
    assert journal.abandoned() == []
    inventory = journal.inventory("1.6")
    assert inventory is not None
    journal.forget_inventories([inventory.uid])
    assert journal.inventories() == [] and journal.abandoned() == [("1.1", "Directory")]
    journal.forget_instances("1.1")
    assert journal.abandoned() == []


def test_transactions_that_are_over_are_forgotten_in_time(journal: Journal, add_transaction: Add) -> None:
    waiting = add_transaction()
    for _ in range(KEPT_TRANSACTIONS + 5):
        transaction = add_transaction(state=State.SUCCESS)
        journal.finish(transaction, [Skipped("x", "Study", "why")])
    remembered = journal.transactions()
    assert len(remembered) == KEPT_TRANSACTIONS + 1 and remembered[0].uid == waiting.uid
    assert remembered[-1].uid == transaction.uid and journal.skipped(transaction) != []


def test_what_was_paused_for_long_is_remembered_when_it_is_over(journal: Journal, add_transaction: Add) -> None:
    paused = add_transaction(state=State.PAUSED)
    for _ in range(KEPT_TRANSACTIONS):
        journal.finish(add_transaction(state=State.SUCCESS, completion_time="20260601T010000"))
    paused.state, paused.completion_time = State.SUCCESS, "20260601T020000"
    journal.finish(paused)
    assert journal.transaction(paused.uid) == paused and len(journal.transactions()) == KEPT_TRANSACTIONS


def test_the_last_transaction_of_a_schedule_is_not_forgotten(journal: Journal, add_transaction: Add) -> None:
    scheduled = [add_transaction(state=State.SUCCESS, schedule="nightly", due="20260601T010000") for _ in range(2)]
    for transaction in scheduled:
        journal.finish(transaction)
    for _ in range(KEPT_TRANSACTIONS + 5):
        journal.finish(add_transaction(state=State.SUCCESS))
    assert len(journal.transactions()) == KEPT_TRANSACTIONS + 1 and journal.transaction(scheduled[0].uid) is None
    assert journal.latest_of_schedule("nightly") == scheduled[1]
    assert journal.latest_of_schedule("nightly", State.FAILURE) is None and journal.latest_of_schedule("weekly") is None


def test_what_is_over_is_in_the_outbox_from_the_same_moment_on(journal: Journal, add_transaction: Add) -> None:
    outbox = Outbox(journal)
    one, other = add_transaction(), add_transaction()
    assert outbox.uids() == []
    journal.checkpoint(one, Progress(position=1), instance("1.5"), [], b"")
    with pytest.raises(sqlite3.IntegrityError):
        journal.finish(replace(one, state=State.SUCCESS), (), (instance("1.5"), KeptInventory("1.5", "1.1", {}), b""))
    assert outbox.uids() == []
    for transaction in (other, one):
        journal.finish(replace(transaction, state=State.FAILURE))
    assert Outbox(journal).uids() == [other.uid, one.uid]
    outbox.remove(other.uid)
    assert outbox.uids() == [one.uid]


def test_the_file_is_private(tmp_path: Path, journal: Journal) -> None:
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
