"""The database of the journal in PostgreSQL: a schema of its own, which several Orthancs share.

The SQL is that of the SQLite file. Nobody but the administrator makes the schema, and nothing outside it is looked at.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..sources.postgresql import Unusable, open_connection, reason
from .journal_database import Cursor, Statements

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMA = "orthanc_inventory"
_TABLES = "CREATE TABLE IF NOT EXISTS journal (version BIGINT NOT NULL, identifier TEXT NOT NULL, has_folder BOOLEAN NOT NULL)"
# Whoever makes tables, or must not be disturbed by another Orthanc, holds this lock of the database.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('orthanc_inventory'))"
# An Orthanc that is stopped in the midst of a transaction must not hold up the others. Nobody else waits long either.
_SETTINGS = {
    "search_path": SCHEMA,
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "30s",
    "default_transaction_isolation": r"read\ committed",
}


class SharedDatabaseError(sqlite3.Error):
    """PostgreSQL cannot be used; one line that says why, without secrets.

    Of the family that the SQLite file raises, so that whoever uses the journal need not know where it is.
    """

    place = "PostgreSQL"


class NotUsable(Exception):
    """The journal in PostgreSQL cannot be used as it is; the message says what to do."""


class SharedDatabase:
    """Safe for several threads: one connection to write and one to read, each behind a lock.

    A connection that broke is made anew. ``breaks`` counts how often: what was read before one may have changed since.

    Args:
        section: how to connect, with Orthanc's keys of its section PostgreSQL.

    Raises:
        NotUsable: there is no schema, it is not ours to use, or of a later version.
    """

    is_shared = True

    def __init__(self, section: Mapping[str, Any]) -> None:
        self.breaks = 0
        self._section = section
        self._writer, self._reader = _Line(self._connect), _Line(self._connect)
        # The thread that is in a transaction.
        self._writing: int | None = None
        try:
            self._check()
            self.add_tables(_TABLES)
        except SharedDatabaseError as error:
            self.close()
            raise NotUsable(f"{error}; what the journal needs stands in the README, With several Orthancs") from None
        except BaseException:
            self.close()
            raise

    def _connect(self) -> Connection[Any]:
        from psycopg.types.string import TextLoader

        try:
            connection = open_connection(self._section, _SETTINGS)
        except Unusable as why:
            raise SharedDatabaseError(str(why)) from None
        # It is text in SQLite.
        connection.adapters.register_loader("json", TextLoader)
        return connection

    def _check(self) -> None:
        [(schema,)] = self.read("SELECT to_regnamespace(?)::text", SCHEMA)
        if schema is None:
            raise NotUsable(f"the database has no schema {SCHEMA}; the README says how to make it, With several Orthancs")

    def make_tables(self, steps: Sequence[str]) -> None:
        """Brings them to the version that is the number of ``steps``, as ``database.connect`` does with a file.

        A new journal begins with all that the steps make; those that come later are in the SQL that both have in common.

        Raises:
            NotUsable: the tables are of a later version.
        """
        with self.exclusive(), self.write() as connection:
            rows = self.read("SELECT version FROM journal")
            version = rows[0][0] if rows else 0
            if version > len(steps):
                raise NotUsable(
                    f"the journal in PostgreSQL has the version {version} of a later plugin, this one knows {len(steps)}:"
                    " nothing was changed; install that plugin again"
                )
            for statement in _statements(steps[version:]):
                if version or statement.startswith("CREATE"):
                    connection.execute(_in_postgresql(statement))
            if not rows:
                connection.execute("INSERT INTO journal VALUES (?, ?, ?)", (0, uuid.uuid4().hex, False))
            connection.execute("UPDATE journal SET version = ?", (len(steps),))

    def add_tables(self, schema: str) -> None:
        with self.exclusive(), self.write() as connection:
            for statement in _statements([schema]):
                connection.execute(_in_postgresql(statement))

    def close(self) -> None:
        for line in (self._writer, self._reader):
            with line.lock:
                line.close()

    @contextmanager
    def write(self, durable: bool = True) -> Iterator[Statements]:
        """Within one that is open, in the same thread, it is a part of that."""
        with self._writer.lock, self._told(self._writer):
            if self._writing is not None:
                yield _Transaction(self._writer.connection())
                return
            try:
                # A connection that broke since it was used last is found by this.
                connection = self._ready(self._writer)
                self._writing = threading.get_ident()
                connection.execute("BEGIN")
                connection.execute(f"SET LOCAL synchronous_commit = {'on' if durable else 'off'}")
                yield _Transaction(connection)
                connection.execute("COMMIT")
            except BaseException:
                if not self._writer.is_broken:
                    with suppress(Exception):  # then it breaks now, which is the end of it, too
                        self._writer.connection().execute("ROLLBACK")
                raise
            finally:
                self._writing = None

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with self.write() as connection:
            connection.execute(_LOCK)
            yield

    def read(self, statement: str, *parameters: Any) -> list[Any]:
        line = self._writer if self._writing == threading.get_ident() else self._reader
        with line.lock, self._told(line):
            connection = line.connection() if line is self._writer else self._ready(line)
            return connection.execute(_in_psycopg(statement), parameters).fetchall()

    def _ready(self, line: _Line) -> Connection[Any]:
        import psycopg

        connection = line.connection()
        try:
            connection.execute("SELECT 1")
            return connection
        except psycopg.Error:
            self._broke(line)
            return line.connection()

    def _broke(self, line: _Line) -> None:
        self.breaks += 1
        line.close()

    @contextmanager
    def _told(self, line: _Line) -> Iterator[None]:
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            if line.is_broken:
                self._broke(line)
                raise SharedDatabaseError(reason(error)) from None
            raise SharedDatabaseError(f"a statement fails (SQLSTATE {error.sqlstate})") from None


class _Line:
    """A connection that is made when it is needed, and its lock."""

    def __init__(self, connect: Callable[[], Connection[Any]]) -> None:
        self.lock = threading.RLock()
        self._connect = connect
        self._connection: Connection[Any] | None = None

    def connection(self) -> Connection[Any]:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    @property
    def is_broken(self) -> bool:
        return self._connection is None or self._connection.closed

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class _Transaction:
    """See ``Statements``."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection

    def execute(self, statement: str, parameters: Sequence[Any] = (), /) -> Cursor:
        return self._connection.execute(_in_psycopg(statement), parameters)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Cursor:
        cursor = self._connection.cursor()
        cursor.executemany(_in_psycopg(statement), rows)
        return cursor


def _statements(steps: Iterable[str]) -> Iterator[str]:
    return filter(None, (statement.strip() for step in steps for statement in step.split(";")))


def _in_psycopg(statement: str) -> Any:
    return statement.replace("?", "%s")


# The types of the schemas as PostgreSQL has them.
_WORDS = (
    (r"INTEGER PRIMARY KEY AUTOINCREMENT", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    (r"\bover INTEGER\b", "over BOOLEAN"),
    (r"\bINTEGER\b", "BIGINT"),
    (r"\bBLOB\b", "BYTEA"),
    (r"\bdocument TEXT\b", "document JSON"),
)


def _in_postgresql(statement: str) -> str:
    """A table, or an index, of SQLite: there a table has a ``rowid`` where it is not said that it has none."""
    statement, without = re.subn(r"\)\s*WITHOUT ROWID\s*$", ")", statement)
    if statement.startswith("CREATE TABLE") and not without and "AUTOINCREMENT" not in statement:
        statement = re.sub(r"\)\s*$", ", rowid BIGINT GENERATED ALWAYS AS IDENTITY)", statement)
    for words, others in _WORDS:
        statement = re.sub(words, others, statement)
    return statement
