"""A run on an archive in memory: leaves, interruption, what is skipped, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from orthanc_inventory.production.journal import Journal
from orthanc_inventory.production.producer import Producer
from orthanc_inventory.production.transaction import Cancellation, Interrupted, State, Transaction
from orthanc_inventory.stores import StoreError

from .memory import MemorySource, MemoryStore, study, study_id

Make = Callable[..., Producer]
Add = Callable[..., Transaction]


def data_sets(store: MemoryStore) -> dict[str, Dataset]:
    return {uid: pydicom.dcmread(BytesIO(file)) for uid, file in store.files.items()}


def study_uids(store: MemoryStore) -> list[str]:
    return [entry.StudyInstanceUID for file in data_sets(store).values() for entry in file.InventoriedStudiesSequence]


def nothing() -> None:
    pass


def test_a_small_archive_needs_one_instance(add_transaction: Add, make_producer: Make, journal: Journal) -> None:
    transaction, store = add_transaction(purpose="Audit"), MemoryStore()
    make_producer(transaction, MemorySource(*map(study, range(5))), store).run(nothing)
    [root] = data_sets(store).values()
    assert transaction.state is State.SUCCESS and transaction.root_uid == root.SOPInstanceUID and transaction.percent == 100
    assert (root.InventoryCompletionStatus, root.InventoryPurpose, root.TransactionUID) == ("COMPLETE", "Audit", transaction.uid)
    assert root.NumberOfStudyRecordsInInstance == root.TotalNumberOfStudyRecords == 5
    assert root.TimezoneOffsetFromUTC == "+0100" and root.ContentDate + root.ContentTime == transaction.started
    assert sorted(study_uids(store)) == [f"1.{number}" for number in range(5)]
    assert [inventory.uid for inventory in journal.inventories()] == [transaction.root_uid]


def test_an_empty_archive_is_complete(add_transaction: Add, make_producer: Make) -> None:
    transaction, store = add_transaction(), MemoryStore()
    make_producer(transaction, MemorySource(), store).run(nothing)
    [root] = data_sets(store).values()
    assert root.InventoryCompletionStatus == "COMPLETE" and list(root.InventoriedStudiesSequence) == []
    assert root.TotalNumberOfStudyRecords == 0


def test_leaves_hold_as_many_records_as_they_may(add_transaction: Add, make_producer: Make) -> None:
    # Each study is 1 + 1 + 2 records; the fourth has 1 + 1 + 20, more than a leaf may, and gets a leaf of its own.
    studies = [study(number, 1, 20 if number == 3 else 2) for number in range(6)]
    transaction, store = add_transaction(), MemoryStore()
    make_producer(transaction, MemorySource(*studies), store, records_per_instance=8).run(nothing)
    files = list(data_sets(store).values())
    assert [[entry.StudyInstanceUID for entry in file.InventoriedStudiesSequence] for file in files] == [
        ["1.0", "1.1"], ["1.2"], ["1.3"], ["1.4", "1.5"], [],
    ]
    root = files[-1]
    assert root.SOPInstanceUID == transaction.root_uid and root.TotalNumberOfStudyRecords == 6
    children = [item.ReferencedSOPInstanceUID for item in root.IncorporatedInventoryInstanceSequence]
    assert children == [file.SOPInstanceUID for file in files[:-1]]
    assert {file.InventoryCompletionStatus for file in files[:-1]} == {"PARTIAL"}


def test_what_could_not_be_read_is_named_and_makes_the_inventory_partial(
    add_transaction: Add, make_producer: Make, journal: Journal
) -> None:
    source, store, transaction = MemorySource(*map(study, range(6))), MemoryStore(), add_transaction()
    source.unreadable, source.gone = {study_id(2)}, {study_id(4)}
    make_producer(transaction, source, store).run(nothing)
    [root] = data_sets(store).values()
    assert transaction.state is State.SUCCESS and root.InventoryCompletionStatus == "PARTIAL"
    assert sorted(study_uids(store)) == ["1.0", "1.1", "1.3", "1.5"]
    [skipped] = journal.skipped(transaction)
    assert (skipped.identifier, skipped.level, skipped.reason) == (study_id(2), "Study", "the index is damaged")
    assert (transaction.progress.skipped, transaction.progress.deleted_studies) == (1, 1)
    assert "1 resources were skipped" in transaction.comment and "1 studies were deleted" in transaction.comment


def test_a_study_that_was_deleted_leaves_the_inventory_complete(add_transaction: Add, make_producer: Make) -> None:
    source, store, transaction = MemorySource(*map(study, range(3))), MemoryStore(), add_transaction()
    source.gone = {study_id(1)}
    make_producer(transaction, source, store).run(nothing)
    [root] = data_sets(store).values()
    assert root.InventoryCompletionStatus == "COMPLETE" and study_uids(store) == ["1.0", "1.2"]


@pytest.mark.parametrize("stop_before", range(8))
def test_an_interrupted_run_goes_on_behind_its_last_leaf(
    stop_before: int, add_transaction: Add, make_producer: Make, journal: Journal
) -> None:
    source, store, transaction = MemorySource(*map(study, range(8))), MemoryStore(), add_transaction()
    interrupted = threading.Event()

    class Stopping(MemorySource):
        def read(self, study: str, *arguments: Any) -> Any:
            if len(self.reads) == stop_before:
                interrupted.set()
            return super().read(study, *arguments)

    stopping = Stopping(*map(study, range(8)))

    def stop() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        make_producer(transaction, stopping, store, records_per_instance=9, interrupted=interrupted).run(stop)
    # What the next start finds is what is in the journal.
    [again] = journal.unfinished()
    lines: list[str] = []
    make_producer(again, source, store, records_per_instance=9, log=lines.append).run(nothing)
    assert sorted(study_uids(store)) == [f"1.{number}" for number in range(8)]
    assert again.progress.studies == 8 and again.state is State.SUCCESS
    finished = stop_before // 3 * 3
    assert source.reads == [study_id(number) for number in range(finished, 8)]
    assert f"{finished} of 8 studies" in lines[0]


def test_leftovers_of_a_crash_are_removed(add_transaction: Add, make_producer: Make) -> None:
    store, transaction = MemoryStore(), add_transaction()
    store.files["2.25.1"] = b"a leaf that never came into the journal"
    make_producer(transaction, MemorySource(study(1)), store).run(nothing)
    assert list(store.files) == [transaction.root_uid]


def test_a_store_that_is_full_stops_the_run(add_transaction: Add, make_producer: Make, journal: Journal) -> None:
    transaction, store = add_transaction(), MemoryStore(room=2)
    producer = make_producer(transaction, MemorySource(*map(study, range(9))), store, records_per_instance=3)
    with pytest.raises(StoreError):
        producer.run(nothing)
    producer.discard("the store is full", -1, "the store is full")
    assert store.files == {} and journal.inventories() == [] and journal.unfinished() == []
    kept = journal.transaction(transaction.uid)
    assert kept is not None and (kept.state, kept.status, kept.error_description) == (State.FAILURE, "FAILURE", "the store is full")
    assert journal.instances(transaction.study_uid) == []


@pytest.mark.parametrize("leaves", [0, 2])
def test_a_cancelled_run_keeps_its_leaves_below_a_partial_root(
    leaves: int, add_transaction: Add, make_producer: Make
) -> None:
    transaction, store, interrupted = add_transaction(), MemoryStore(), threading.Event()

    class Stopping(MemorySource):
        def read(self, study: str, *arguments: Any) -> Any:
            if len(self.reads) == leaves:
                interrupted.set()
            return super().read(study, *arguments)

    producer = make_producer(
        transaction, Stopping(*map(study, range(9))), store, records_per_instance=3, interrupted=interrupted
    )
    with pytest.raises(Interrupted):
        producer.run(nothing)
    transaction.cancellation = Cancellation.RETAIN
    producer.cancel(retain=True)
    assert (transaction.status, transaction.error_code) == ("CANCELED", 37)
    if leaves:
        root = data_sets(store)[transaction.root_uid]
        assert root.InventoryCompletionStatus == "PARTIAL" and root.TotalNumberOfStudyRecords == leaves
        assert sorted(study_uids(store)) == [f"1.{number}" for number in range(leaves)]
    else:
        assert store.files == {} and not transaction.root_uid


def test_identifiers_can_be_withheld(add_transaction: Add, make_producer: Make) -> None:
    store = MemoryStore()
    make_producer(add_transaction(identifying=False), MemorySource(study(1)), store).run(nothing)
    [file] = store.files.values()
    assert b"Family1" not in file and b"1.1.0" in file
    [record] = pydicom.dcmread(BytesIO(file)).InventoriedStudiesSequence
    assert record["PatientName"].is_empty and record["PatientID"].is_empty


def test_only_studies_in_scope_are_recorded(add_transaction: Add, make_producer: Make) -> None:
    transaction, store = add_transaction(scope={"PatientID": "P?"}), MemoryStore()
    make_producer(transaction, MemorySource(*map(study, (1, 2, 30))), store).run(nothing)
    assert study_uids(store) == ["1.1", "1.2"] and transaction.progress.studies == 2
    [root] = data_sets(store).values()
    assert root.ScopeOfInventorySequence[0].GeneralMatchingSequence[0].PatientID == "P?"
