"""What changed in the archive while the plugin watched it: which studies an increment has to read again.

Orthanc's LastUpdate and ``/changes`` cannot prove that nothing changed, for a deletion leaves no trace in them; the callback is
told of every change. That proves something only as long as the plugin was loaded without a gap. So the state of the index
is written down when the archive is at rest; what finds another state at its start has missed something.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from .database import connect

# Seconds between two writes; what a crash loses of them shows as a gap.
_INTERVAL = 1.0
# Seconds without a change after which the archive is at rest: until then changes may be on their way to the callback.
_REST = 5.0
# How much of the time may go into asking for the state of the index, which takes long in a large one.
_SHARE = 0.01
# Rows that are read at a time.
_BATCH = 1000

# Version 0 had the same tables.
_FIRST = """
CREATE TABLE IF NOT EXISTS changes (
    identifier TEXT PRIMARY KEY, level TEXT NOT NULL, deleted INTEGER NOT NULL, sequence INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS changes_by_sequence ON changes (sequence);
CREATE TABLE IF NOT EXISTS watch (epoch TEXT NOT NULL, sequence INTEGER NOT NULL, gap INTEGER NOT NULL, state TEXT NOT NULL);
"""
_STEPS = (_FIRST,)


class IndexState(Protocol):
    """Tells whether an index is as it was, see ``sources.index_state``."""

    def read(self) -> str: ...

    def is_unchanged(self, state: str) -> bool: ...


class Change(NamedTuple):
    """``level`` is Patient, Study, Series or Instance; ``identifier`` Orthanc's ID of what changed or was deleted."""

    level: str
    identifier: str
    deleted: bool


class Changes:
    """One row for each resource that changed, with the number of its last change.

    Args:
        path: an SQLite file; a new one begins with a gap.
        index: tells whether the index is as it was.
        alone: whether nobody else changes the index: of what another Orthanc does the callback is not told.

    Raises:
        Damaged, NewerVersion, StateDirectoryError: when it is made.
        sqlite3.Error: by any method but ``note``, when the file cannot be read or written.
    """

    def __init__(self, path: Path, index: IndexState, alone: bool) -> None:
        self._index = index
        self._alone = alone
        self._lock = threading.RLock()
        self._pending: dict[str, tuple[str, bool]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="inventory changes")
        self._last_change = time.monotonic()
        self._at_rest = False
        self._rest = _REST
        self._connection = connect(path, _STEPS, _check)
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._begin()

    def _begin(self) -> None:
        row = self._connection.execute("SELECT epoch, sequence, gap, state FROM watch").fetchone()
        self._epoch: str
        self._sequence: int
        self._gap: int
        self._epoch, self._sequence, self._gap, state = row or (uuid.uuid4().hex, 0, 0, "")
        if not state or not self._index.is_unchanged(state):
            # A file that came back from a backup counts on from there: of an epoch of its own, so that the marks that it gave
            # after the backup are not taken for later ones.
            self._epoch = uuid.uuid4().hex
            self._sequence += 1
            self._gap = self._sequence
        with self._connection:
            self._connection.execute("DELETE FROM watch")
            self._connection.execute("INSERT INTO watch VALUES (?, ?, ?, '')", (self._epoch, self._sequence, self._gap))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Writes down what it knows; no change counts as missed if the archive is at rest."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        with self._lock, closing(self._connection), suppress(Exception):  # see _work
            self._write()
            state = self._index.read()
            time.sleep(_INTERVAL / 4)
            if not self._pending and self._index.is_unchanged(state):
                self._connection.execute("UPDATE watch SET state = ?", (state,))

    def note(self, level: str, identifier: str, deleted: bool) -> None:
        """A change, as the callback is told of it; only remembered, for Orthanc waits."""
        with self._lock:
            self._pending[identifier] = level, deleted
            self._last_change = time.monotonic()

    def mark(self) -> str:
        """A point in the order of changes: what ``since`` tells of it came later, or was told later."""
        with self._lock:
            self._write()
            return f"{self._epoch}:{self._sequence}"

    def since(self, mark: str) -> Iterator[Change] | None:
        """The resources that changed after the mark, each once; None where some may have been missed."""
        epoch, _, number = mark.partition(":")
        with self._lock:
            self._write()
            if not self._alone or epoch != self._epoch or int(number) < self._gap:
                return None
        return self._rows(int(number))

    def _rows(self, sequence: int) -> Iterator[Change]:
        last = ""
        while True:
            with self._lock:
                rows = self._connection.execute(
                    "SELECT level, identifier, deleted FROM changes WHERE sequence > ? AND identifier > ?"
                    " ORDER BY identifier LIMIT ?",
                    (sequence, last, _BATCH),
                ).fetchall()
            yield from (Change(level, identifier, bool(deleted)) for level, identifier, deleted in rows)
            if len(rows) < _BATCH:
                return
            last = rows[-1][1]

    def forget(self, marks: Iterable[str]) -> None:
        """Nobody will ask for what came before all of these marks any more."""
        with self._lock:
            numbers = (int(number) for epoch, _, number in (mark.partition(":") for mark in marks) if epoch == self._epoch)
            oldest = min(numbers, default=self._sequence)
            self._connection.execute("DELETE FROM changes WHERE sequence <= ?", (oldest,))

    def settle(self, patience: float) -> None:
        """Waits until no change is on its way to the callback, at most so many seconds."""
        deadline = time.monotonic() + patience
        while time.monotonic() < min(deadline, self._last_change + _INTERVAL):
            if self._stopping.wait(_INTERVAL / 20):
                return

    def _write(self) -> None:
        pending, self._pending = self._pending, {}
        if not pending:
            return
        self._sequence += 1
        self._at_rest = False
        rows = ((identifier, level, deleted, self._sequence) for identifier, (level, deleted) in pending.items())
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany("INSERT OR REPLACE INTO changes VALUES (?, ?, ?, ?)", rows)
            self._connection.execute("UPDATE watch SET sequence = ?, state = ''", (self._sequence,))
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            self._connection.execute("ROLLBACK")
            self._pending = {**pending, **self._pending}
            raise

    def _work(self) -> None:
        while not self._stopping.wait(_INTERVAL):
            # A full disk, say: what cannot be written is tried again; as long as the state is not written, a start is a gap.
            with suppress(Exception):
                with self._lock:
                    self._write()
                if not self._at_rest and time.monotonic() - self._last_change > self._rest:
                    self._write_state()

    def _write_state(self) -> None:
        start = time.monotonic()
        state = self._index.read()
        self._rest = max(_REST, (time.monotonic() - start) / _SHARE)
        with self._lock:
            if not self._pending and self._last_change < start:
                self._connection.execute("UPDATE watch SET state = ?", (state,))
                self._at_rest = True


def _check(connection: sqlite3.Connection) -> None:
    """Whether the row can be used. Raises: TypeError."""
    for row in connection.execute("SELECT epoch, sequence, gap, state FROM watch"):
        if [type(value) for value in row] != [str, int, int, str]:
            raise TypeError
