"""What a verification finds, and what it has yet to look at: tables of their own in the journal."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from .journal_database import Statements
from .journal import Journal
from .transaction import Progress, Transaction

# Rows that are read at a time.
_BATCH = 1000

# Rows go with the transaction that they belong to, those of ``unmatched`` as soon as it is over.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS findings (
    number INTEGER NOT NULL, position INTEGER NOT NULL, kind TEXT NOT NULL, study_uid TEXT NOT NULL,
    document TEXT NOT NULL, PRIMARY KEY (number, position)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS findings_by_study ON findings (number, study_uid, kind);
CREATE TABLE IF NOT EXISTS unmatched (
    number INTEGER NOT NULL, study TEXT NOT NULL, PRIMARY KEY (number, study)) WITHOUT ROWID;
"""


class FindingKind(StrEnum):
    MISSING = "Missing"
    DAMAGED = "Damaged"
    DIFFERENT = "Different"
    EXTRA = "Extra"


class Finding(NamedTuple):
    """One resource that is not as the inventory says, without patient data.

    ``items`` is for how many items it stands: of a study that is missing as a whole no instance is named. ``identifier`` is
    Orthanc's ID where there is one; ``attributes`` are values by keyword, that of the inventory and that of the archive. Of
    what is extra ``received`` is when the first of it came, in Orthanc's form, and ``later`` whether that was after the
    inventory was made; None where that is not known.
    """

    kind: FindingKind
    level: str
    study_uid: str
    series_uid: str = ""
    uid: str = ""
    identifier: str = ""
    items: int = 1
    reason: str = ""
    attributes: Mapping[str, tuple[Any, Any]] = {}
    received: str = ""
    later: bool | None = None


class Findings:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._database = journal.database
        self._database.add_tables(_SCHEMA)
        journal.of_transactions += "findings", "unmatched"
        journal.when_saved.append(self._forget_unmatched)

    @staticmethod
    def _forget_unmatched(connection: Statements, transaction: Transaction) -> None:
        if transaction.is_over:
            connection.execute("DELETE FROM unmatched WHERE number = ?", (transaction.number,))

    def begin(self, transaction: Transaction, studies: Iterable[str]) -> None:
        """The IDs of the studies of the archive, none of which is matched yet."""
        with self._database.write() as connection:
            self._journal.check(connection, transaction)
            connection.execute("DELETE FROM unmatched WHERE number = ?", (transaction.number,))
            connection.executemany("INSERT INTO unmatched VALUES (?, ?)", ((transaction.number, study) for study in studies))

    def unmatched(self, transaction: Transaction) -> list[str]:
        """Some of the studies of the archive that are not matched; none, when all are."""
        rows = self._database.read("SELECT study FROM unmatched WHERE number = ? LIMIT ?", transaction.number, _BATCH)
        return [study for (study,) in rows]

    def checkpoint(
        self, transaction: Transaction, progress: Progress, findings: Sequence[Finding], matched: Iterable[str]
    ) -> None:
        """The verification will go on behind this; the position of ``progress`` moves on by the studies ``matched``."""
        number = transaction.number
        with self._database.write(durable=False) as connection:
            (position,) = connection.execute("SELECT COUNT(*) FROM findings WHERE number = ?", (number,)).fetchone()
            connection.executemany(
                "INSERT INTO findings VALUES (?, ?, ?, ?, ?)",
                (
                    (number, place, finding.kind, finding.study_uid, json.dumps(finding))
                    for place, finding in enumerate(findings, position)
                ),
            )
            cursor = connection.executemany(
                "DELETE FROM unmatched WHERE number = ? AND study = ?", ((number, study) for study in matched)
            )
            progress.position += max(0, cursor.rowcount)
            self._journal.save_progress(connection, transaction, progress, ())

    def read(self, transaction: Transaction, kinds: Collection[str], since: int = 0) -> Iterator[Finding]:
        """Those of these kinds, in the order in which they were found."""
        wanted = f"number = ? AND kind IN ({', '.join('?' * len(kinds))})"
        order = "ORDER BY position LIMIT ? OFFSET ?"
        statement = f"SELECT position, document FROM findings WHERE {wanted} AND position > ? {order}"
        position = -1
        while rows := self._database.read(statement, transaction.number, *kinds, position, _BATCH, since):
            for position, document in rows:
                kind, *fields = json.loads(document)
                yield Finding(FindingKind(kind), *fields)
            since = 0

    def study_uids(self, transaction: Transaction, kinds: Collection[str]) -> Iterator[str]:
        """The Study Instance UIDs of the same findings, each once, in order."""
        wanted = f"number = ? AND kind IN ({', '.join('?' * len(kinds))})"
        statement = f"SELECT DISTINCT study_uid FROM findings WHERE {wanted} AND study_uid > ? ORDER BY study_uid LIMIT ?"
        uid = ""
        while rows := self._database.read(statement, transaction.number, *kinds, uid, _BATCH):
            for (uid,) in rows:
                yield uid
