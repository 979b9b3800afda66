"""A damaged journal or record of changes is kept aside as it is, and a new one begun; a sound one never is."""

from __future__ import annotations

import random
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from orthanc_inventory.production import database
from orthanc_inventory.production.changes import Changes
from orthanc_inventory.production.damage import opened
from orthanc_inventory.production.database import Damaged, NewerVersion
from orthanc_inventory.production.journal import Journal
from orthanc_inventory.production.journal_rows import KeptInstance, KeptInventory
from orthanc_inventory.production.transaction import Kind, Progress, State, Transaction

from .conftest import Still

PAGE = 4096


def fill(path: Path) -> None:
    with closing(Journal(path)) as journal:
        for number in range(1, 30):
            run = f"1.{number}"
            transaction = Transaction(f"9.{number}", "STUDY", study_uid=run, started="20261126000000.000000")
            journal.add(transaction)
            journal.begin(transaction, [f"study {place}" for place in range(20)], [])
            leaf = KeptInstance(f"{run}.1", 1, "Directory", "", 1, "00" * 32, 9, 9, [])
            journal.checkpoint(transaction, Progress(position=9), leaf, [], bytes(range(256)) * 3)
            root = KeptInstance(f"{run}.2", 2, "Directory", "", 1, "00" * 32, 0, 9, [leaf.uid])
            transaction.state = State.SUCCESS
            document = {"Run": {"study_uid": run}, "CreationTime": "20261126T000000"}
            journal.finish(transaction, (), (root, KeptInventory(root.uid, run, document), bytes(99)), [])


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("journal") / "journal.db"
    fill(path)
    return path.read_bytes()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated at a page": lambda file: file[: 5 * PAGE],
    "truncated in a page": lambda file: file[: 5 * PAGE + 99],
    "truncated in its header": lambda file: file[:50],
    "another header": lambda file: bytes(100) + file[100:],
    "written by a later SQLite": lambda file: file[:18] + b"\7\7" + file[20:],
    "an impossible version": lambda file: file[:60] + b"\x7f" + file[61:],
    "overwritten pages": lambda file: file[:PAGE] + bytes(range(256)) * (len(file) // 256 - 16),
    "a text file": lambda file: b"not a database\n" * 1000,
    "zeros": lambda file: bytes(len(file)),
    "a document that is none": lambda file: file.replace(b'"study_uid"', b'"study_uie"'),
    "text that is none": lambda file: file.replace(b'"sha256"', b'"sh\xff256"'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_journal_is_kept_aside_and_begun_anew(tmp_path: Path, sound: bytes, damage: str) -> None:
    path = tmp_path / "journal.db"
    damaged = DAMAGES[damage](sound)
    assert damaged != sound
    path.write_bytes(damaged)
    path.chmod(0o644)
    said: list[str] = []
    with closing(opened(path, Journal, said.append)) as journal:
        assert journal.inventories() == [] and journal.transactions() == []
    [aside] = tmp_path.glob("journal.db.damaged-2*")
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600 and aside.read_bytes() == damaged
    [line] = said
    assert line.startswith("Inventory.StateDirectory: journal.db is damaged (") and f"kept as {aside.name}," in line
    # Once is enough.
    opened(path, Journal, said.append).close()
    assert len(said) == 1 and len(list(tmp_path.iterdir())) == 2


def test_a_sound_journal_is_not_kept_aside(tmp_path: Path, sound: bytes) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(sound)
    said: list[str] = []
    with closing(opened(path, Journal, said.append)) as journal:
        assert len(journal.inventories()) == 29 and journal.latest(Kind.INVENTORY)
    assert said == [] and [file.name for file in tmp_path.iterdir()] == ["journal.db"]


def test_what_was_to_be_written_to_an_empty_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    fill(path)
    journal = Journal(path)
    journal.add(Transaction("9.99", "STUDY"))
    (tmp_path / "copy").write_bytes(waiting := (tmp_path / "journal.db-wal").read_bytes())
    journal.close()
    path.write_bytes(b"")
    (tmp_path / "copy").rename(tmp_path / "journal.db-wal")
    said: list[str] = []
    opened(path, Journal, said.append).close()
    [aside] = tmp_path.glob("*.damaged-*-wal")
    assert aside.read_bytes() == waiting and len(said) == 1


def test_a_folder_in_its_place_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.mkdir()
    said: list[str] = []
    opened(path, Journal, said.append).close()
    assert len(said) == 1 and path.is_file() and len(list(tmp_path.glob("journal.db.damaged-*"))) == 1


def test_a_journal_that_cannot_be_written_now_is_not_kept_aside(
    tmp_path: Path, sound: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_PATIENCE", 0.1)
    path = tmp_path / "journal.db"
    path.write_bytes(sound)
    said: list[str] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            opened(path, Journal, said.append)
    assert said == [] and path.read_bytes() == sound


def test_damaged_changes_are_begun_anew_with_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "changes.db"

    def make(path: Path) -> Changes:
        return Changes(path, Still(), alone=True)

    changes = make(path)
    mark = changes.mark()
    changes.stop()
    for damage in (b"no database" * 1000, path.read_bytes()[: PAGE + 100]):
        path.write_bytes(damage)
        said: list[str] = []
        changes = opened(path, make, said.append)
        assert changes.since(mark) is None and changes.since(changes.mark()) is not None
        changes.stop()
        assert len(said) == 1
    assert len(list(tmp_path.glob("changes.db.damaged-*"))) == 2


@pytest.mark.parametrize("number", [150, pytest.param(5000, marks=pytest.mark.long)])
def test_any_flipped_bytes_are_found_or_do_no_harm(tmp_path: Path, sound: bytes, number: int) -> None:
    """Either the file is damaged, or all that is asked of it can be answered."""
    source = random.Random(number)
    path, found = tmp_path / "journal.db", 0
    for _ in range(number):
        content = bytearray(sound)
        for _ in range(source.choice((1, 3, 30))):
            content[source.choice((source.randrange(100), source.randrange(len(content))))] = source.randrange(256)
        path.write_bytes(content)
        with suppress(NewerVersion):
            try:
                journal = Journal(path)
            except Damaged:
                found += 1
            else:
                with closing(journal):
                    ask(journal)
        for file in tmp_path.iterdir():
            file.unlink()
    assert found > number / 3


def ask(journal: Journal) -> None:
    journal.abandoned()
    journal.places_of_inventories()
    journal.count_failures()
    for inventory in journal.inventories():
        instances = journal.instances(inventory.study_uid)
        journal.incorporated(inventory.uid), journal.incorporating(inventory.uid)
        journal.places([instance.uid for instance in instances] or [""])
    for transaction in journal.transactions():
        journal.skipped(transaction), journal.studies(transaction, 0, 10)
    assert len(list(journal.kept_instances(0, 1000))) <= 60
