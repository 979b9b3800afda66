"""What inventory instances say of themselves at their top level, at hand for queries: a copy, made when it is first wanted.

One SQLite file in the StateDirectory, by the checksum of the instance. It can be deleted without loss.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

_SCHEMA = "CREATE TABLE IF NOT EXISTS attributes (sha256 TEXT PRIMARY KEY, elements BLOB NOT NULL) WITHOUT ROWID"
_MOST_PARAMETERS = 500


class InstanceAttributes:
    """Safe for several threads.

    Raises:
        sqlite3.Error: by any method but ``close``.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._connection = _opened(path)
        except sqlite3.DatabaseError:  # it was damaged, and is but a copy
            for part in ("", "-wal", "-shm"):
                Path(f"{path}{part}").unlink(missing_ok=True)
            self._connection = _opened(path)

    def close(self) -> None:
        with self._lock, suppress(sqlite3.Error):
            self._connection.close()

    def find(self, digests: list[str]) -> dict[str, bytes]:
        """The encoded attributes of the instances with these checksums, as far as they are known."""
        found: dict[str, bytes] = {}
        for start in range(0, len(digests), _MOST_PARAMETERS):
            part = digests[start : start + _MOST_PARAMETERS]
            marks = ", ".join("?" * len(part))
            with self._lock:
                rows = self._connection.execute(f"SELECT * FROM attributes WHERE sha256 IN ({marks})", part).fetchall()
            found.update((digest, zlib.decompress(elements)) for digest, elements in rows)
        return found

    def keep(self, attributes: Mapping[str, bytes]) -> None:
        """Adds encoded attributes by checksum."""
        rows = [(digest, zlib.compress(elements, 1)) for digest, elements in attributes.items()]
        with self._lock:
            self._connection.execute("BEGIN")
            self._connection.executemany("INSERT OR REPLACE INTO attributes VALUES (?, ?)", rows)
            self._connection.execute("COMMIT")

    def keep_only(self, digests: Iterable[str]) -> None:
        """Forgets the others: what belongs to no instance any more."""
        with self._lock:
            self._connection.execute("CREATE TEMP TABLE kept (sha256 TEXT PRIMARY KEY)")
            self._connection.executemany("INSERT OR IGNORE INTO kept VALUES (?)", ((digest,) for digest in digests))
            self._connection.execute("DELETE FROM attributes WHERE sha256 NOT IN (SELECT sha256 FROM kept)")
            self._connection.execute("DROP TABLE kept")


def _opened(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(_SCHEMA)
    if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        connection.close()
        raise sqlite3.DatabaseError("damaged")
    return connection
