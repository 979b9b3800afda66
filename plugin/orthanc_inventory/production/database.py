"""The SQLite files of the StateDirectory: each says which version its tables have."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Seconds to wait for a lock that another process holds.
_PATIENCE = 10


class NewerVersion(Exception):
    """The file was written by a later version of the plugin, and is left as it is; the message says so."""


def connect(path: Path, steps: Sequence[str]) -> sqlite3.Connection:
    """Opens a file, or makes it, and brings its tables to the version that is the number of ``steps``.

    Each step is SQL and leads from one version (PRAGMA user_version) to the next: the first from 0, which is a new file, or one of
    the time before files had a version. A step happens as a whole or not at all.

    Raises:
        NewerVersion
        sqlite3.Error: the file cannot be read or written, or is no such file.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_PATIENCE)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        # Before anything is written.
        if version > len(steps):
            raise NewerVersion(
                f"{path.name} in Inventory.StateDirectory has the version {version} of a later plugin, this one knows "
                f"{len(steps)}: nothing was changed; install that plugin again, or move the file away"
            )
        connection.execute("PRAGMA journal_mode = WAL")
        for number, step in enumerate(steps[version:], version + 1):
            connection.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


class Database:
    """Safe for several threads: one connection behind a lock, short transactions. ``steps`` are those of ``connect``.

    Raises:
        NewerVersion: when it is made.
        sqlite3.Error: by any method, when the file cannot be read or written.
    """

    def __init__(self, path: Path, steps: Sequence[str]) -> None:
        self._lock = threading.RLock()
        self._connection = connect(path, steps)

    def add_tables(self, schema: str) -> None:
        """Makes those that are not there yet."""
        with self._lock:
            self._connection.executescript(schema)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def write(self, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction. What is not ``durable`` survives the end of the process, but not a loss of power."""
        with self._lock:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def read(self, statement: str, *parameters: Any) -> list[Any]:
        with self._lock:
            return self._connection.execute(statement, parameters).fetchall()
