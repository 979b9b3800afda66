"""What survives a crash: transactions, the snapshot that a run works through, and the instances that are finished.

One SQLite file in the StateDirectory, or a schema in PostgreSQL that several Orthancs share.
Instances themselves are kept by a store; an instance counts once it stands here,
and an inventory exists once its root does.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..dicom.records import Skipped
from .database import Database
from .journal_database import Statements
from .journal_of_inventories import JournalOfInventories
from .journal_rows import STEPS, KeptInstance, KeptInventory, check_rows, document_of, progress_of, transaction_of
from .leases import Leases, OwnLeases
from .shared_database import SharedDatabase
from .transaction import Interrupted, Kind, Progress, State, Transaction

# How many transactions that are over are remembered.
KEPT_TRANSACTIONS = 1000

class Journal(JournalOfInventories):
    """Safe for several threads. Other modules have tables of their own in its ``database``.

    Of what is written of a run, each is its worker's to write, who has a lease of that name: the Transaction UID.

    Args:
        place: an SQLite file, or a database that several Orthancs share.

    Raises:
        Damaged, NewerVersion, StateDirectoryError, NotUsable: when it is made.
        sqlite3.Error: by any method, when the database cannot be read or written.
        Interrupted: by what writes of a run, when another Orthanc has taken that over, or changed its state.
    """

    def __init__(self, place: Path | SharedDatabase, leases: Leases | None = None) -> None:
        if isinstance(place, Path):
            super().__init__(Database(place, STEPS, check_rows))
        else:
            place.make_tables(STEPS)
            super().__init__(place)
        self.leases: Leases = leases or OwnLeases()
        self._write = self.database.write
        self.exclusive = self.database.exclusive
        # The tables whose rows go with the transaction of that number.
        self.of_transactions = ["skipped"]
        # Called in each write of a transaction, before its row is: what they write stands or falls with it.
        self.when_saved: list[Callable[[Statements, Transaction], None]] = []

    def close(self) -> None:
        with suppress(sqlite3.Error):  # then they run out
            self.leases.close()
        self.database.close()

    # Transactions

    def add(self, transaction: Transaction) -> None:
        """A new transaction; its number is set."""
        with self._write() as connection:
            self._tell(connection, transaction)
            (transaction.number,) = connection.execute(
                "INSERT INTO transactions (uid, over, document, progress) VALUES (?, ?, ?, ?) RETURNING number",
                (transaction.uid, False, document_of(transaction), progress_of(transaction)),
            ).fetchone()

    def save(self, transaction: Transaction) -> None:
        """The state of a transaction, without its progress; in ``exclusive``, since it was read there."""
        with self._write() as connection:
            self._save(connection, transaction)

    def save_by_worker(self, transaction: Transaction) -> None:
        """The same by its worker, who may not know yet what others made of it."""
        with self._write() as connection:
            self.check(connection, transaction)
            self._save(connection, transaction)

    def check(self, connection: Statements, transaction: Transaction, leads: bool = True) -> Transaction | None:
        """Whether a worker may write of it, who has its lease if it ``leads``; what others set meanwhile is kept.

        Returns:
            What the journal knows of it, where others work at it too.
        """
        if not self.database.is_shared:
            return None
        # In this order, as those in ``exclusive`` do it: first the transaction, then its lease.
        row = connection.execute(
            "SELECT number, document, progress FROM transactions WHERE number = ? FOR UPDATE", (transaction.number,)
        ).fetchone()
        if row is None:
            raise Interrupted
        known = transaction_of(*row)
        if leads:
            self.leases.check(connection, transaction.uid)
        is_paused = known.state is State.PAUSED and known.cancellation is None and transaction.state is not State.PAUSED
        is_changed = known.cancellation != transaction.cancellation or is_paused
        if known.is_over or (is_changed and transaction.state is not State.FAILURE):
            raise Interrupted
        transaction.status_interval, transaction.outside_window = known.status_interval, known.outside_window
        return known

    def confirm(self, transaction: Transaction) -> None:
        """Whether it is the worker's still. Raises: Interrupted."""
        if self.database.is_shared:
            with self._write() as connection:
                self.leases.check(connection, transaction.uid)

    def _save(self, connection: Statements, transaction: Transaction) -> None:
        self._tell(connection, transaction)
        connection.execute(
            "UPDATE transactions SET over = ?, document = ? WHERE number = ?",
            (transaction.is_over, document_of(transaction), transaction.number),
        )

    def _tell(self, connection: Statements, transaction: Transaction) -> None:
        for note in self.when_saved:
            note(connection, transaction)

    def transaction(self, uid: str) -> Transaction | None:
        rows = self._read("SELECT number, document, progress FROM transactions WHERE uid = ?", uid)
        return transaction_of(*rows[0]) if rows else None

    def transactions(self) -> list[Transaction]:
        """All that are remembered, in the order in which they came."""
        return [transaction_of(*row) for row in self._read("SELECT number, document, progress FROM transactions ORDER BY number")]

    def latest(self, kind: Kind) -> Transaction | None:
        """The one that was accepted last of those whose run has begun."""
        rows = self._read(
            "SELECT number, document, progress FROM transactions WHERE document ->> 'started' != ''"
            " AND document ->> 'kind' = ? ORDER BY number DESC LIMIT 1",
            kind,
        )
        return transaction_of(*rows[0]) if rows else None

    def latest_of_schedule(self, name: str, *states: State) -> Transaction | None:
        """The one that was accepted last of those that belong to a schedule, and are in one of these states, if any."""
        wanted = states or tuple(State)
        rows = self._read(
            "SELECT number, document, progress FROM transactions WHERE document ->> 'schedule' = ?"
            f" AND document ->> 'state' IN ({', '.join('?' * len(wanted))}) ORDER BY number DESC LIMIT 1",
            name, *wanted,
        )
        return transaction_of(*rows[0]) if rows else None

    def count_failures(self) -> int:
        """Of those that are remembered, without the cancelled ones."""
        failed = "document ->> 'state' = 'Failure' AND document ->> 'cancellation' IS NULL"
        return self._read(f"SELECT COUNT(*) FROM transactions WHERE over AND {failed}")[0][0]

    def unfinished(self) -> list[Transaction]:
        statement = "SELECT number, document, progress FROM transactions WHERE NOT over ORDER BY number"
        return [transaction_of(*row) for row in self._read(statement)]

    def lock_unfinished(self) -> None:
        """In ``exclusive``: until its end no worker writes of a run."""
        if self.database.is_shared:
            self._read("SELECT number FROM transactions WHERE NOT over ORDER BY number FOR UPDATE")

    def skipped(self, transaction: Transaction) -> list[Skipped]:
        rows = self._read("SELECT identifier, level, reason FROM skipped WHERE number = ? ORDER BY rowid", transaction.number)
        return [Skipped(*row) for row in rows]

    # The run

    def begin(self, transaction: Transaction, studies: Iterable[str], skipped: Sequence[Skipped]) -> None:
        """The snapshot of studies that a run will work through, together with what the transaction says of it.

        ``skipped`` tells where the snapshot may lack something; the progress counts it.
        """
        with self._write() as connection:
            connection.executemany(
                "INSERT INTO snapshot VALUES (?, ?, ?)",
                ((transaction.number, position, study) for position, study in enumerate(studies)),
            )
            if transaction.total_studies:
                connection.execute("INSERT INTO shares VALUES (?, 0, ?, NULL)", (transaction.number, transaction.total_studies))
            self.save_progress(connection, transaction, transaction.progress, skipped)
            self._save(connection, transaction)

    def has_snapshot(self, transaction: Transaction) -> bool:
        """Whether ``begin`` was told of any studies."""
        return bool(self._read("SELECT 1 FROM snapshot WHERE number = ? LIMIT 1", transaction.number))

    def studies(self, transaction: Transaction, position: int, count: int) -> list[str]:
        """At most ``count`` studies of the snapshot from ``position`` on."""
        rows = self._read(
            "SELECT study FROM snapshot WHERE number = ? AND position >= ? ORDER BY position LIMIT ?",
            transaction.number, position, count,
        )
        return [study for (study,) in rows]

    def checkpoint(
        self,
        transaction: Transaction,
        progress: Progress,
        instance: KeptInstance | None,
        skipped: Sequence[Skipped],
        places: bytes,
        since: Progress | None = None,
        settle: Callable[[Statements], None] | None = None,
    ) -> tuple[Progress, KeptInstance | None]:
        """A leaf, or a node above it, is in its store: the run will go on behind it. ``places`` are those of its records.

        Args:
            instance: None, if all that was read is not in the scope.
            since: what the progress was at the checkpoint before.
            settle: writes to whom the studies were given. Who has them need not have the lease of the run.

        Returns:
            Progress and instance as they are, where other Orthancs work at the run too.
        """
        with self._write(durable=False) as connection:
            known = self.check(connection, transaction, leads=settle is None)
            if settle is not None:
                settle(connection)
            if known is not None and since is not None:
                progress = known.progress.plus(progress, since)
            if instance is not None:
                if known is not None:
                    statement = "SELECT COALESCE(MAX(place), 0) + 1 FROM instances WHERE study_uid = ?"
                    (place,) = connection.execute(statement, (transaction.study_uid,)).fetchone()
                    instance = dataclasses.replace(instance, place=place)
                self._add_instance(connection, transaction.study_uid, instance, places)
            self._save_progress(connection, transaction, progress, skipped)
        return progress, instance

    def _add_instance(
        self,
        connection: Statements,
        study_uid: str,
        instance: KeptInstance,
        places: bytes | None = None,
        otherwise: str = "",
    ) -> bool:
        """``otherwise`` says what comes of a UID that is taken; whether it was free."""
        cursor = connection.execute(
            f"INSERT INTO instances VALUES (?, ?, ?, ?) {otherwise}",
            (instance.uid, study_uid, instance.place, json.dumps(dataclasses.asdict(instance))),
        )
        if places is not None:
            connection.execute("INSERT INTO places VALUES (?, ?, ?)", (instance.uid, study_uid, places))
        return cursor.rowcount == 1

    def save_progress(
        self, connection: Statements, transaction: Transaction, progress: Progress, skipped: Sequence[Skipped]
    ) -> None:
        self.check(connection, transaction)
        self._save_progress(connection, transaction, progress, skipped)

    @staticmethod
    def _save_progress(
        connection: Statements, transaction: Transaction, progress: Progress, skipped: Sequence[Skipped]
    ) -> None:
        connection.execute(
            "UPDATE transactions SET progress = ? WHERE number = ?",
            (json.dumps(dataclasses.asdict(progress)), transaction.number),
        )
        connection.executemany(
            "INSERT INTO skipped VALUES (?, ?, ?, ?)",
            ((transaction.number, entry.identifier, entry.level, entry.reason) for entry in skipped),
        )

    def finish(
        self,
        transaction: Transaction,
        skipped: Sequence[Skipped] = (),
        root: tuple[KeptInstance, KeptInventory, bytes] | None = None,
        incorporated: Iterable[str] = (),
        settle: Callable[[Statements], None] = lambda connection: None,
    ) -> None:
        """The end of a transaction, with the inventory that it made or, without one, with nothing.

        ``root`` is made of the places of its records too; ``incorporated`` is all below it that the run did not make;
        ``settle`` as in ``checkpoint``.
        """
        with self._write() as connection:
            if root is not None:
                instance, inventory, places = root
                self._add_instance(connection, inventory.study_uid, instance, places)
                self._add_inventory(connection, inventory, incorporated)
            self.save_progress(connection, transaction, transaction.progress, skipped)
            settle(connection)
            self._save(connection, transaction)
            self._forget_snapshot(connection, transaction)
            self._forget_old(connection)

    def _add_inventory(self, connection: Statements, inventory: KeptInventory, incorporated: Iterable[str]) -> None:
        connection.execute(
            "INSERT INTO inventories (uid, study_uid, document) VALUES (?, ?, ?)",
            (inventory.uid, inventory.study_uid, json.dumps(inventory.document)),
        )
        connection.executemany(
            "INSERT INTO incorporated VALUES (?, ?, ?)",
            ((inventory.uid, place, uid) for place, uid in enumerate(incorporated)),
        )

    @staticmethod
    def _forget_snapshot(connection: Statements, transaction: Transaction) -> None:
        for table in ("snapshot", "shares"):
            connection.execute(f"DELETE FROM {table} WHERE number = ?", (transaction.number,))

    def _forget_old(self, connection: Statements) -> None:
        """But for those that ended last. The last one of each schedule stays: it tells when the next is due."""
        ended = "document ->> 'completion_time', number"
        last = f"SELECT {ended} FROM transactions WHERE over ORDER BY 1 DESC, 2 DESC LIMIT 1 OFFSET ?"
        old = (
            f"SELECT number FROM transactions WHERE over AND ({ended}) <= ({last})"
            " EXCEPT SELECT MAX(number) FROM transactions GROUP BY document ->> 'schedule'"
        )
        for table in (*self.of_transactions, "transactions"):
            connection.execute(f"DELETE FROM {table} WHERE number IN ({old})", (KEPT_TRANSACTIONS,))

    # Inventories from elsewhere

    def reserve(self, study_uid: str, instance: KeptInstance) -> bool:
        """Takes the UID of an instance that is about to be stored; False when it is taken."""
        with self._write() as connection:
            return self._add_instance(connection, study_uid, instance, otherwise="ON CONFLICT DO NOTHING")

    def add_inventory(self, inventory: KeptInventory, incorporated: Iterable[str]) -> None:
        """Its instance was reserved and is stored: from now on the inventory exists. ``incorporated`` is all below it."""
        with self._write() as connection:
            self._add_inventory(connection, inventory, incorporated)

    def recover(
        self, inventory: KeptInventory, instances: Sequence[KeptInstance], incorporated: Iterable[str],
        ended: Transaction | None,
    ) -> bool:
        """An inventory that is in its store already, and the transaction that it ends, if any; False: a UID is taken."""
        try:
            with self._write() as connection:
                for instance in instances:
                    self._add_instance(connection, inventory.study_uid, instance)
                self._add_inventory(connection, inventory, incorporated)
                if ended is not None:
                    self._save(connection, ended)
                    self._forget_snapshot(connection, ended)
        except sqlite3.IntegrityError:
            return False
        return True

    # Finished inventories

    def keep_statistics(self, inventory: KeptInventory, document: dict[str, Any]) -> None:
        """They go with the inventory; of one that has gone meanwhile nothing is kept."""
        with self._write(durable=False) as connection:
            connection.execute(
                "INSERT INTO statistics SELECT uid, ? FROM inventories WHERE number = ?"
                " ON CONFLICT (uid) DO UPDATE SET document = excluded.document",
                (json.dumps(document), inventory.number),
            )

    def forget_inventories(self, uids: Iterable[str]) -> None:
        """The inventories are no longer listed; their instances stay known until they are deleted."""
        with self._write() as connection:
            for uid in uids:
                connection.execute("DELETE FROM inventories WHERE uid = ?", (uid,))
                connection.execute("DELETE FROM incorporated WHERE root = ?", (uid,))
                connection.execute("DELETE FROM statistics WHERE uid = ?", (uid,))

    def forget_instances(self, study_uid: str) -> None:
        with self._write() as connection:
            connection.execute("DELETE FROM instances WHERE study_uid = ?", (study_uid,))
            connection.execute("DELETE FROM places WHERE study_uid = ?", (study_uid,))

    def study_uids(self) -> set[str]:
        """Of all runs that the journal knows, and of what came from elsewhere."""
        rows = self._read("SELECT study_uid FROM instances UNION SELECT study_uid FROM inventories")
        return {uid for (uid,) in rows} | {transaction.study_uid for transaction in self.unfinished()}

    def abandoned(self) -> list[tuple[str, str]]:
        """Study and store of instances that belong to no inventory and no unfinished run: a deletion was cut short."""
        working = {transaction.study_uid for transaction in self.unfinished()}
        rows = self._read("SELECT document, study_uid FROM instances WHERE study_uid NOT IN (SELECT study_uid FROM inventories)")
        return sorted({(study, json.loads(document)["store"]) for document, study in rows if study not in working})
