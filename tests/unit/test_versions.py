"""The version of the tables in journal.db and changes.db: an older one is brought up, a newer one is left alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from orthanc_inventory.production.changes import Changes
from orthanc_inventory.production.database import NewerVersion, connect
from orthanc_inventory.production.journal import Journal
from orthanc_inventory.production.shares import Share, Shares
from orthanc_inventory.production.transaction import Kind, State

from .conftest import Still

# What each file has now.
VERSIONS = {"journal.db": 2, "changes.db": 1}
OPENERS: dict[str, Callable[[Path], object]] = {
    "journal.db": lambda path: Journal(path).close(),
    "changes.db": lambda path: Changes(path, Still(), alone=True).stop(),
}

# As it was before files had a version, with a transaction of before there were kinds of them.
VERSION_0 = """
CREATE TABLE transactions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, over INTEGER NOT NULL,
    document TEXT NOT NULL, progress TEXT NOT NULL);
CREATE TABLE snapshot (
    number INTEGER NOT NULL, position INTEGER NOT NULL, study TEXT NOT NULL, PRIMARY KEY (number, position)
) WITHOUT ROWID;
CREATE TABLE inventories (
    number INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, study_uid TEXT NOT NULL,
    document TEXT NOT NULL);
INSERT INTO transactions VALUES (7, '2.25.7', 0, '{"uid": "2.25.7", "level": "STUDY", "scope": {"PatientID": "Ü*"},
    "cancellation": null, "state": "Paused", "started": "20261125120000.000000", "study_uid": "2.25.1"}',
    '{"position": 1, "studies": 1}');
INSERT INTO snapshot VALUES (7, 0, 'a'), (7, 1, 'b');
INSERT INTO inventories VALUES (4, '2.25.44', '2.25.4', '{"InventoryLevel": "STUDY", "CreationTime": "20261125T110000",
    "Run": {"study_uid": "2.25.4"}}');
"""


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def set_version(path: Path, number: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {number}")


def test_a_journal_without_a_version_is_brought_up_without_loss(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_0)
    with closing(Journal(path)) as journal:
        [transaction] = journal.unfinished()
        assert (transaction.number, transaction.uid, transaction.kind) == (7, "2.25.7", Kind.INVENTORY)
        assert transaction.state is State.PAUSED and transaction.scope == {"PatientID": "Ü*"}
        assert (transaction.progress.position, transaction.progress.studies) == (1, 1)
        assert journal.studies(transaction, 0, 9) == ["a", "b"] and journal.latest(Kind.INVENTORY) == transaction
        # What the run has read until then it need not read again.
        assert Shares(journal, transaction).take() == Share(1, 2)
        [inventory] = journal.inventories()
        assert (inventory.uid, inventory.number, inventory.document["InventoryLevel"]) == ("2.25.44", 4, "STUDY")
    assert version(path) == VERSIONS["journal.db"]


def test_changes_without_a_version_are_brought_up_without_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "changes.db"
    changes = Changes(path, Still(), alone=True)
    mark = changes.mark()
    changes.note("Study", "a", False)
    changes.stop()
    set_version(path, 0)
    changes = Changes(path, Still(), alone=True)
    found = changes.since(mark)
    assert found is not None and [change.identifier for change in found] == ["a"]
    changes.stop()
    assert version(path) == 1


@pytest.mark.parametrize("name", OPENERS)
def test_a_file_of_a_later_version_is_refused_and_not_touched(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    OPENERS[name](path)
    assert version(path) == VERSIONS[name]
    later = VERSIONS[name] + 1
    set_version(path, later)
    before = path.read_bytes()
    refused = rf"^{name} in Inventory.StateDirectory has the version {later} .* this one knows {VERSIONS[name]}: [^\n]+$"
    with pytest.raises(NewerVersion, match=refused):
        OPENERS[name](path)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == [name]
    set_version(path, VERSIONS[name])
    OPENERS[name](path)


def test_a_step_happens_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    first = "CREATE TABLE one (value TEXT)"
    connect(path, (first,)).close()
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        connect(path, (first, "CREATE TABLE two (value TEXT); INSERT INTO nowhere VALUES (1)"))
    assert version(path) == 1
    with closing(connect(path, (first, "CREATE TABLE two (value TEXT); INSERT INTO two VALUES (1)"))) as connection:
        assert connection.execute("SELECT value FROM two").fetchall() == [("1",)]
    assert version(path) == 2


def test_changes_that_came_back_from_a_backup_do_not_know_the_marks_given_after_it(tmp_path: Path) -> None:
    path = tmp_path / "changes.db"
    changes = Changes(path, Still(), alone=True)
    changes.stop()
    backup = path.read_bytes()
    changes = Changes(path, Still(), alone=True)
    for number in range(5):
        changes.note("Study", str(number), False)
        mark = changes.mark()
    changes.stop()
    path.write_bytes(backup)

    class Different(Still):
        def is_unchanged(self, state: str) -> bool:
            return False

    changes = Changes(path, Different(), alone=True)
    assert changes.since(mark) is None
    # Also when as many changes have come as there were.
    for number in range(9):
        changes.note("Study", str(number), False)
        own = changes.mark()
    assert changes.since(mark) is None and changes.since(own) is not None
    changes.stop()
