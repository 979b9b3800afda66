"""Databases that outgrow memory: SQLite keeps what does not fit into its cache in a file that has no name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

# SQLite lets go of Python's lock at each row. Done between short pieces of work, that keeps other threads waiting: whoever
# waits for the lock begins anew each time.
_BATCH = 1000


class TemporaryDatabase:
    """Vanishes with this object. Not to be used by several threads at a time."""

    def __init__(self, schema: str) -> None:
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._connection.executescript(f"PRAGMA cache_size = -8000; PRAGMA synchronous = OFF; {schema}")
        self._connection.execute("BEGIN")

    def insert(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        source = iter(rows)
        while batch := list(islice(source, _BATCH)):
            self._connection.executemany(statement, batch)

    def execute(self, statement: str) -> None:
        self._connection.execute(statement)

    def select(self, statement: str, *parameters: Any) -> Iterator[Any]:
        cursor = self._connection.execute(statement, parameters)
        return chain.from_iterable(iter(lambda: cursor.fetchmany(_BATCH), []))
