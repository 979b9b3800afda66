"""Who does what, where several Orthancs share a journal: a lease is one's own until it is given back or runs out.

It runs out by the clock of the database, unless it is renewed: so what a dead Orthanc was at is soon taken over by another.
"""

from __future__ import annotations

import uuid
from typing import Protocol

from .journal_database import Statements
from .shared_database import SharedDatabase
from .transaction import Interrupted

_SCHEMA = "CREATE TABLE IF NOT EXISTS leases (name TEXT PRIMARY KEY, owner TEXT NOT NULL, until TIMESTAMPTZ NOT NULL)"
_NOW = "clock_timestamp()"
# That of an Orthanc itself, with which it says that it is alive.
_ALIVE = "Orthanc "


class Leases(Protocol):
    """Names of what only one Orthanc may do at a time.

    Raises:
        sqlite3.Error: by any method, when the database of the journal cannot be used.
    """

    @property
    def pause(self) -> float | None:
        """Seconds between two looks; None: there is nothing to look for."""

    # This Orthanc; and in SQL, whether the ``owner`` of a row is dead, and the words for rows that nobody has locked.
    owner: str
    dead: str
    unless_locked: str

    def take(self, name: str) -> bool:
        """Whether it is one's own now: it was, or was free, or has run out."""

    def give_back(self, name: str) -> None: ...

    def renew(self) -> set[str]:
        """The leases that are one's own, for the full time again."""

    def breaks(self) -> int:
        """How often the connection broke until now: what was read before such a moment may not be true."""

    def check(self, connection: Statements, name: str) -> None:
        """What is written in this transaction is one's own to write. Raises: Interrupted."""

    def are_others(self) -> bool:
        """Whether other Orthancs are alive."""

    def close(self) -> None:
        """Gives all back."""


class OwnLeases:
    """Those of an Orthanc that shares its journal with nobody."""

    pause: float | None = None
    owner, dead, unless_locked = "this", "FALSE", ""

    def take(self, name: str) -> bool:
        return True

    def give_back(self, name: str) -> None:
        pass

    def renew(self) -> set[str]:
        return set()

    def breaks(self) -> int:
        return 0

    def check(self, connection: Statements, name: str) -> None:
        pass

    def are_others(self) -> bool:
        return False

    def close(self) -> None:
        pass


class SharedLeases:
    """A table beside the journal's, over a connection of their own: they are renewed whatever the journal does.

    ``seconds`` is how long a lease is good for.
    """

    def __init__(self, database: SharedDatabase, seconds: float) -> None:
        self._database = database
        self._until = f"{_NOW} + interval '{seconds} seconds'"
        self.owner = uuid.uuid4().hex
        self.dead = f"NOT EXISTS (SELECT 1 FROM leases WHERE name = '{_ALIVE}' || shares.owner AND until > {_NOW})"
        self.unless_locked = "FOR UPDATE OF shares SKIP LOCKED"
        # How often the connection was broken when they were taken: nobody knows what happened since.
        self._taken: dict[str, int] = {}
        self.pause = min(1.0, seconds / 4)
        database.add_tables(_SCHEMA)
        self.take(_ALIVE + self.owner)

    def take(self, name: str) -> bool:
        with self._database.write(durable=False) as connection:
            mine = connection.execute(
                f"INSERT INTO leases VALUES (?, ?, {self._until}) ON CONFLICT (name) DO UPDATE"
                " SET owner = excluded.owner, until = excluded.until"
                f" WHERE leases.owner = excluded.owner OR leases.until < {_NOW}",
                (name, self.owner),
            ).rowcount
        if mine:
            self._taken[name] = self._database.breaks
        return bool(mine)

    def give_back(self, name: str) -> None:
        self._taken.pop(name, None)
        with self._database.write(durable=False) as connection:
            connection.execute("DELETE FROM leases WHERE name = ? AND owner = ?", (name, self.owner))

    def renew(self) -> set[str]:
        with self._database.write(durable=False) as connection:
            connection.execute(f"UPDATE leases SET until = {self._until} WHERE owner = ?", (self.owner,))
            # What was said of the dead long ago.
            connection.execute(f"DELETE FROM leases WHERE until < {_NOW} - interval '1 day'")
        self.take(_ALIVE + self.owner)
        return {name for (name,) in self._database.read("SELECT name FROM leases WHERE owner = ?", self.owner)}

    def breaks(self) -> int:
        self._database.read("SELECT 1")
        return self._database.breaks

    def check(self, connection: Statements, name: str) -> None:
        # Nobody takes it before the transaction is over.
        row = connection.execute("SELECT 1 FROM leases WHERE name = ? AND owner = ? FOR SHARE", (name, self.owner)).fetchone()
        if row is None or self._taken.get(name) != self.breaks():
            raise Interrupted

    def are_others(self) -> bool:
        query = f"SELECT 1 FROM leases WHERE starts_with(name, ?) AND owner != ? AND until > {_NOW} LIMIT 1"
        return bool(self._database.read(query, _ALIVE, self.owner))

    def close(self) -> None:
        try:
            with self._database.write() as connection:
                connection.execute("DELETE FROM leases WHERE owner = ?", (self.owner,))
        finally:
            self._database.close()
