"""What a peer is to be told of the transaction that it asked for, until it knows it (PS3.4 KK.2.3)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from .instance_writer import Settings, reference
from .journal_database import Statements
from .journal import Journal
from .journal_rows import KeptInstance, KeptInventory
from .transaction import Transaction, utc_now

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL, peer TEXT NOT NULL, type INTEGER NOT NULL,
    information TEXT NOT NULL, time TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_uid ON events (uid);
"""
# Seconds of a minute of Requested Status Interval (0008,0414).
_MINUTE = 60.0
# Events of one transaction that may wait for a peer that asks again and again.
_MOST_WAITING = 100


class EventType(IntEnum):
    """Event Type ID (0000,1002), Table KK.2-2."""

    TERMINATED_WITH_INSTANCES = 11
    STATUS = 12
    TERMINATED_WITHOUT_INSTANCES = 13


class Event(NamedTuple):
    """``information`` are attributes by keyword, as ``encode_attributes`` takes them."""

    number: int
    uid: str
    type: EventType
    information: Mapping[str, Any]


class TooManyEvents(Exception):
    """The peer was not told yet of what it asked for before."""


class Events:
    """A table beside the journal's: an event is in it from the same moment on from which it is true.

    ``settings`` tell how inventories are reached. Whoever takes events from here listens by ``when_added``, which gets the
    Transaction UID while the journal is being written.
    """

    def __init__(self, journal: Journal, settings: Settings) -> None:
        self._journal = journal
        self._settings = settings
        self._database = journal.database
        self._database.add_tables(_SCHEMA)
        journal.when_saved.append(self._note)
        self.when_added: list[Callable[[str], None]] = []
        # When the last event of a transaction was added.
        self._last: dict[str, float] = {}

    def _note(self, connection: Statements, transaction: Transaction) -> None:
        """Each change of the state is an event (PS3.4 KK.2.3.2), whoever makes it."""
        if transaction.peer:
            before = self._journal.transaction(transaction.uid)
            if before is None or before.status != transaction.status:
                self._add(connection, transaction)

    def answer(self, uid: str) -> None:
        """Tells of the state as it is, and if it is the last one, of the end too.

        Raises:
            TooManyEvents
        """
        with self._database.write() as connection:
            [(waiting,)] = self._database.read("SELECT COUNT(*) FROM events WHERE uid = ?", uid)
            if waiting >= _MOST_WAITING:
                raise TooManyEvents(f"{waiting} events of it could not be sent yet")
            if (transaction := self._journal.transaction(uid)) is not None:
                self._add(connection, transaction)

    def remind(self) -> None:
        """Adds what is due by the status intervals, unless something is waiting to be told anyway."""
        if not self._journal.leases.take("status intervals"):
            return
        now = time.monotonic()
        waiting = {uid for uid, _ in self.waiting()}
        for transaction in self._journal.unfinished():
            if transaction.peer and transaction.status_interval:
                due = self._last.setdefault(transaction.uid, now) + transaction.status_interval * _MINUTE
                if now >= due and transaction.uid not in waiting:
                    self.answer(transaction.uid)

    def _add(self, connection: Statements, transaction: Transaction) -> None:
        connection.executemany(
            "INSERT INTO events (uid, peer, type, information, time) VALUES (?, ?, ?, ?, ?)",
            (
                (transaction.uid, transaction.peer, kind, json.dumps(information), utc_now())
                for kind, information in self._events(transaction)
            ),
        )
        if transaction.is_over:
            self._last.pop(transaction.uid, None)
        else:
            self._last[transaction.uid] = time.monotonic()
        for note in self.when_added:
            note(transaction.uid)

    def _events(self, transaction: Transaction) -> Iterator[tuple[EventType, Mapping[str, Any]]]:
        """Those that tell of the transaction as it is, in the order in which they are sent (Table KK.2-2)."""
        found = self._journal.inventory_of(transaction.root_uid) if transaction.root_uid else None
        has_nothing = transaction.is_over and not transaction.root_uid
        if found is not None:
            records = found[1].total
        else:
            kept = self._journal.transaction(transaction.uid)
            # What was read since the last instance was written does not count yet.
            records = kept.progress.studies if kept is not None and not has_nothing else 0
        about = {"TransactionUID": transaction.uid, "TransactionStatus": transaction.status}
        if transaction.comment:
            about["TransactionStatusComment"] = transaction.comment.encode("ascii", "replace").decode()
        number = {"TotalNumberOfStudyRecords": records}
        yield EventType.STATUS, {**about, **number}
        if found is not None:
            yield EventType.TERMINATED_WITH_INSTANCES, {**about, **self._access(*found), **number}
        elif has_nothing:
            yield EventType.TERMINATED_WITHOUT_INSTANCES, about

    def _access(self, inventory: KeptInventory, root: KeptInstance) -> dict[str, Any]:
        """What the root is, and where it can be fetched until when."""
        access = {**self._settings.access, **reference(root, self._settings).item()}
        if "FileAccessURI" not in access:  # then it is not to be said how the file is encoded (PS3.3 C.38.1.2)
            del access["StoredInstanceTransferSyntaxUID"]
        if expiration := inventory.document.get("Expiration"):
            access["ExpirationDateTime"] = expiration
        return access

    def waiting(self) -> list[tuple[str, str]]:
        """The transactions that there are events of, each with the AE title of its peer, the longest waiting first."""
        return self._database.read("SELECT uid, peer FROM events GROUP BY uid ORDER BY MIN(number)")

    def take_first(self, uid: str) -> Event | None:
        """The same, if no other Orthanc is about to send it."""
        return self.first(uid) if self._journal.leases.take(f"events of {uid}") else None

    def give_back(self, uid: str) -> None:
        self._journal.leases.give_back(f"events of {uid}")

    def first(self, uid: str) -> Event | None:
        """The first event of a transaction."""
        rows = self._database.read(
            "SELECT number, uid, type, information FROM events WHERE uid = ? ORDER BY number LIMIT 1", uid
        )
        return Event(rows[0][0], rows[0][1], EventType(rows[0][2]), json.loads(rows[0][3])) if rows else None

    def remove(self, event: Event) -> None:
        with self._database.write() as connection:
            connection.execute("DELETE FROM events WHERE number = ?", (event.number,))

    def give_up(self, peer: str, before: str) -> int:
        """Forgets what has been waiting for a peer since before that time, and tells how much that was."""
        with self._database.write() as connection:
            return connection.execute("DELETE FROM events WHERE peer = ? AND time < ?", (peer, before)).rowcount
