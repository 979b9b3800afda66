"""The SQLite files of the StateDirectory: each says which version its tables have."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from .state_directory import StateDirectoryError

# Seconds to wait for a lock that another process holds.
_PATIENCE = 10


# A number that no version will reach: what says so is damaged.
_IMPOSSIBLE_VERSION = 1000
# How SQLite calls a file that is broken, or is none of its own. Before and after the steps, SQLITE_ERROR is a header or tables
# that cannot be used; of a step it would be its own fault.
_DAMAGE = sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB
# File format write and read version (bytes 18 and 19 of a file): rollback journal, or WAL.
_FORMATS = (1, 2)


class Damaged(Exception):
    """The file is no database of ours, or not all of it can be read; the message says how SQLite calls it."""


class NewerVersion(Exception):
    """The file was written by a later version of the plugin, and is left as it is; the message says so."""


def connect(
    path: Path, steps: Sequence[str], check: Callable[[sqlite3.Connection], None] = lambda connection: None
) -> sqlite3.Connection:
    """Opens a file, or makes it, and brings its tables to the version that is the number of ``steps``.

    Each step is SQL and leads from one version (PRAGMA user_version) to the next: the first from 0, which is a new file, or one
    of the time before files had a version. A step happens as a whole or not at all. The whole file is read once, as
    nothing else tells that all of it can be; ``check`` looks at what is in it: ValueError, KeyError and TypeError say that it is broken.

    Raises:
        Damaged, NewerVersion, StateDirectoryError: the file is left as it is.
        sqlite3.Error: it cannot be read or written now.
    """
    _check_file(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_PATIENCE)
    try:
        with _telling_damage(sqlite3.SQLITE_ERROR):
            version = _version(connection, path.name, len(steps))
        with _telling_damage():
            connection.execute("PRAGMA journal_mode = WAL")
            for number, step in enumerate(steps[version:], version + 1):
                connection.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT")
        with _telling_damage(sqlite3.SQLITE_ERROR):
            _check_tables(connection, steps)
            check(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_file(path: Path) -> None:
    """What SQLite would not tell: it takes an empty file for a new one, and throws away what is to be written to it yet."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        with open(descriptor, "rb") as file:
            header = file.read(20)
    except OSError as error:
        if error.errno in (errno.EISDIR, errno.EIO):
            raise Damaged(error.strerror) from None
        raise StateDirectoryError(
            f"{path.name} in Inventory.StateDirectory cannot be opened: {error.strerror}; allowed: a file of Orthanc's own user"
        ) from None
    waiting = Path(f"{path}-wal")
    if not header and waiting.exists() and waiting.stat().st_size:
        raise Damaged("it is empty, but for what was to be written to it")
    if len(header) == 20 and not {header[18], header[19]}.issubset(_FORMATS):
        raise Damaged("its header is not that of a database")


@contextmanager
def _telling_damage(*codes: int) -> Iterator[None]:
    """``codes`` are those that mean it here, besides those that always do."""
    try:
        yield
    except sqlite3.Error as error:
        # Text that is none has no code.
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF in (*_DAMAGE, *codes):
            raise Damaged(str(error)) from None
        raise
    except (ValueError, KeyError, TypeError):
        raise Damaged("what it says makes no sense") from None


def _check_tables(connection: sqlite3.Connection, steps: Sequence[str]) -> None:
    """Whether all columns of ``steps`` are there: their names stand in the file, too."""
    with closing(sqlite3.connect(":memory:")) as sound:
        for step in steps:
            sound.executescript(step)
        if not _columns(sound) <= _columns(connection):
            raise Damaged("not all of its tables are there")


def _columns(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    tables = "SELECT entry.name, info.name FROM sqlite_master AS entry JOIN pragma_table_info(entry.name) AS info"
    return set(connection.execute(tables))


def _version(connection: sqlite3.Connection, name: str, known: int) -> int:
    """That of a file of which all can be read."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not 0 <= version < _IMPOSSIBLE_VERSION:
        raise Damaged("its version makes no sense")
    if version > known:
        raise NewerVersion(
            f"{name} in Inventory.StateDirectory has the version {version} of a later plugin, this one knows {known}: "
            "nothing was changed; install that plugin again, or move the file away"
        )
    if connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
        raise Damaged("not all of it can be read")
    return version


class Database:
    """A ``JournalDatabase`` of one Orthanc alone. Safe for several threads: one connection behind a lock, short transactions.

    The arguments are those of ``connect``.

    Raises:
        Damaged, NewerVersion, StateDirectoryError: when it is made.
        sqlite3.Error: by any method, when the file cannot be read or written.
    """

    is_shared = False

    def __init__(self, path: Path, steps: Sequence[str], check: Callable[[sqlite3.Connection], None]) -> None:
        self._lock = threading.RLock()
        self._connection = connect(path, steps, check)

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

    def exclusive(self) -> AbstractContextManager[object]:
        return nullcontext()

    def read(self, statement: str, *parameters: Any) -> list[Any]:
        with self._lock:
            return self._connection.execute(statement, parameters).fetchall()
