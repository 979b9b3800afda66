"""What the journal asks of the database under it, and whoever has tables in that."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Cursor(Protocol):
    """What a statement answers."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Any: ...


class Statements(Protocol):
    """Those of one transaction. The SQL is what SQLite and PostgreSQL have in common, with ``?`` for parameters."""

    def execute(self, statement: str, parameters: Sequence[Any] = (), /) -> Cursor: ...

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Cursor: ...


class JournalDatabase(Protocol):
    """Where the tables of the journal are; ``is_shared`` is whether other Orthancs work on them too.

    Raises:
        sqlite3.Error: by any method, when the database cannot be read or written, wherever it is.
    """

    is_shared: bool

    def add_tables(self, schema: str) -> None:
        """Makes those that are not there yet."""

    def write(self, durable: bool = True) -> AbstractContextManager[Statements]:
        """One transaction. What is not ``durable`` survives the end of the process, but not a loss of power."""

    def exclusive(self) -> AbstractContextManager[object]:
        """What is read and written in this is not changed by another Orthanc meanwhile, if that does so in this, too."""

    def read(self, statement: str, *parameters: Any) -> list[Any]: ...

    def close(self) -> None: ...


def trouble(error: sqlite3.Error) -> str:
    """What users are told of it. That of a shared database names itself."""
    place = getattr(error, "place", "Inventory.StateDirectory")
    return f"the journal in {place} cannot be used: {error}"
