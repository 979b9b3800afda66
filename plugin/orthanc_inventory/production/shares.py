"""How the studies of a run are shared out over all Orthancs that work on it.

The snapshot of a run is cut into shares as they are taken: each Orthanc takes the next one that is free when it has read the
last, and a share is smaller than those before, so that all come to the end at the same time. What an Orthanc has taken is free
again when it gives it back, or is dead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .journal import Journal
from .journal_database import Statements
from .transaction import Interrupted, Transaction

# Of what is left, a share is one part of so many; and at most so many studies.
_PARTS, _MOST = 8, 1000


class Share(NamedTuple):
    """Places in the snapshot from ``first`` on, up to but without ``last``."""

    first: int
    last: int


class Shares:
    """Those of one run, for one Orthanc. The rows of what it has taken stay until they are done.

    Raises:
        sqlite3.Error: by any method, when the journal cannot be read or written.
    """

    def __init__(self, journal: Journal, transaction: Transaction) -> None:
        self._journal = journal
        self._transaction = transaction
        self._leases = journal.leases
        self._breaks = self._leases.breaks()
        self._free = f"number = ? AND (owner IS NULL OR {self._leases.dead})"

    def take(self) -> Share | None:
        """The next one; None: none is free."""
        number = self._transaction.number
        with self._journal.database.write(durable=False) as connection:
            statement = f"SELECT first, last FROM shares WHERE {self._free} ORDER BY first LIMIT 1"
            row = connection.execute(f"{statement} {self._leases.unless_locked}", (number,)).fetchone()
            if row is None:
                return None
            first, last = row
            if self._journal.database.is_shared:
                last = first + max(1, min(_MOST, (last - first) // _PARTS))
            connection.execute(
                "UPDATE shares SET last = ?, owner = ? WHERE number = ? AND first = ?",
                (last, self._leases.owner, number, first),
            )
            if last < row[1]:
                connection.execute("INSERT INTO shares VALUES (?, ?, ?, NULL)", (number, last, row[1]))
        return Share(first, last)

    def settle(self, connection: Statements, taken: Iterable[Share], rest: Share | None) -> None:
        """What was ``taken`` is done but for the ``rest`` of the last one. Raises: Interrupted, if another one has it now."""
        if self._leases.breaks() != self._breaks:
            raise Interrupted
        number, owner = self._transaction.number, self._leases.owner
        for share in taken:
            done = connection.execute(
                "DELETE FROM shares WHERE number = ? AND first = ? AND owner = ?", (number, share.first, owner)
            ).rowcount
            if done != 1:
                raise Interrupted
        if rest is not None and rest.first < rest.last:
            connection.execute("INSERT INTO shares VALUES (?, ?, ?, ?)", (number, *rest, owner))

    def give_back(self) -> None:
        """All that this Orthanc has taken."""
        with self._journal.database.write(durable=False) as connection:
            connection.execute(
                "UPDATE shares SET owner = NULL WHERE number = ? AND owner = ?",
                (self._transaction.number, self._leases.owner),
            )

    def revoke(self) -> None:
        """From now on what others read counts no more."""
        with self._journal.database.write() as connection:
            connection.execute(
                "UPDATE shares SET owner = ? WHERE number = ?", (self._leases.owner, self._transaction.number)
            )

    def are_with_others(self) -> bool:
        """Whether another Orthanc has some that is not done."""
        statement = "SELECT 1 FROM shares WHERE number = ? AND (owner IS NULL OR owner != ?) LIMIT 1"
        return bool(self._journal.database.read(statement, self._transaction.number, self._leases.owner))

    def are_free(self, own: bool = False) -> bool:
        """Whether there is something to take; its ``own`` too, for one that is not at it."""
        statement = f"SELECT 1 FROM shares WHERE {self._free} OR number = ? AND owner = ? LIMIT 1"
        number = self._transaction.number
        return bool(self._journal.database.read(statement, number, number, self._leases.owner if own else ""))
