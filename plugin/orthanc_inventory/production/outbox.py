"""The transactions that are over and of which the receiver of notifications does not know yet."""

from __future__ import annotations

from .journal_database import Statements
from .journal import Journal
from .transaction import Transaction

_SCHEMA = "CREATE TABLE IF NOT EXISTS outbox (uid TEXT PRIMARY KEY);"


class Outbox:
    """A table beside the journal's: a transaction is in it from the same moment on from which it is over."""

    def __init__(self, journal: Journal) -> None:
        self._database = journal.database
        self._database.add_tables(_SCHEMA)
        journal.when_saved.append(self._add)

    def _add(self, connection: Statements, transaction: Transaction) -> None:
        if transaction.is_over:
            connection.execute("INSERT INTO outbox VALUES (?) ON CONFLICT DO NOTHING", (transaction.uid,))

    def uids(self) -> list[str]:
        """In the order in which they came to their end."""
        return [uid for (uid,) in self._database.read("SELECT uid FROM outbox ORDER BY rowid")]

    def remove(self, uid: str) -> None:
        with self._database.write() as connection:
            connection.execute("DELETE FROM outbox WHERE uid = ?", (uid,))
