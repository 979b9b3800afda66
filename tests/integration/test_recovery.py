"""The journal is damaged, lost, or older than what Orthanc holds; or Orthanc is: nothing is lost that the stores still hold."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from . import archive, foreign
from .server import Server, object_uids

STORES = ("Orthanc", "Directory")
# What the files of an inventory do not tell.
LATER = {"Recovered", "CreationTime"}
UNKNOWN = {"Detail": None, "Removed": None, "Requestor": "", "Schedule": None, "Source": None, "Expiration": None}


def recovered(summary: dict[str, Any]) -> dict[str, Any]:
    """A summary without what says that it was recovered, nor what is lost by it."""
    assert summary["Recovered"]
    return {key: value for key, value in summary.items() if key not in LATER | UNKNOWN.keys()}


def made(summary: dict[str, Any]) -> dict[str, Any]:
    assert summary["Recovered"] is None
    return {key: value for key, value in summary.items() if key not in LATER | UNKNOWN.keys()}


def content(server: Server, uid: str) -> bytes:
    answer = server.request("GET", f"/inventories/{uid}/file")
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize("store", STORES)
def test_a_lost_journal_is_made_again_from_what_is_kept(make_server: Callable[..., Server], store: str) -> None:
    inventory = {"StoreIn": store, "MaxRecordsPerInstance": 6}
    server = make_server(inventory=inventory).start()
    server.store(*archive.files(5, 1, 1, 2))
    whole = server.make(Purpose="Migration", Description="The first", Scope={"PatientName": "FAMILY*"})
    server.store(*archive.files(7)[5:])
    increment = server.make(Base="latest", Scope={"PatientName": "FAMILY*"})
    server.make(Level="STUDY")
    imported = foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)]))
    assert server.request("POST", "/inventories/import", data=imported).status_code == 200
    summaries = server.get("/inventories?expand")
    summaries = [server.get(f"/inventories/{entry['SOPInstanceUID']}") for entry in summaries]
    files = {uid: content(server, uid) for summary in summaries for uid in summary["InstanceUIDs"]}
    server.stop()
    journal = server.state_directory / "journal.db"
    if store == "Orthanc":
        # Damaged; in the other case, lost.
        journal.write_bytes(damaged := b"damaged" + journal.read_bytes()[7:])
    else:
        for path in server.state_directory.glob("*.db*"):
            path.unlink()
    server.start()
    if store == "Orthanc":
        [aside] = server.state_directory.glob("journal.db.damaged-*")
        assert aside.read_bytes() == damaged and aside.stat().st_mode & 0o777 == 0o600
        [line] = [line for line in server.log_lines() if "is damaged" in line]
        assert line.startswith("Inventory.StateDirectory: journal.db is damaged (") and aside.name in line
    assert "recovery: 4 inventories that the journal did not know were found" in server.log_lines()
    again = [server.get(f"/inventories/{uid}") for uid in server.get("/inventories")]
    assert again[3]["Origin"] == "Import"
    assert list(map(recovered, again)) == list(map(made, summaries))
    # The files tell when the root was written, which was before the end of the run.
    assert all("" < one["CreationTime"] <= other["CreationTime"] for one, other in zip(again, summaries))
    assert {key: again[0][key] for key in UNKNOWN} == UNKNOWN
    assert {uid: content(server, uid) for uid in files} == files
    assert object_uids(server.studies(again[0])) == object_uids(server.studies(whole))
    # Nothing tells what changed since: no base, neither by name nor as the latest.
    assert "not Recovered" in server.error("POST", "/inventories", 400, json={"Base": whole["SOPInstanceUID"]})
    server.error("POST", "/inventories", 404, json={"Base": "latest"})
    assert "incorporates" in server.error("DELETE", f"/inventories/{whole['SOPInstanceUID']}", 409)
    server.stop()
    server.start()
    assert [line for line in server.log_lines() if line.startswith("recovery")] == [
        "recovery: 4 inventories that the journal did not know were found"
    ]
    server.delete(f"/inventories/{increment['SOPInstanceUID']}")
    server.delete(f"/inventories/{whole['SOPInstanceUID']}")
    assert server.make(Base=None)["Recovered"] is None


@pytest.mark.parametrize(("store", "leaves"), [("Orthanc", 3), ("Directory", 1)])
def test_leaves_of_a_run_that_the_lost_journal_knew_are_removed(
    make_server: Callable[..., Server], store: str, leaves: int
) -> None:
    server = make_server(inventory={"StoreIn": store, "MaxRecordsPerInstance": 3})
    server.start_with(f"at({store}Store, 'put', [{leaves + 1}], die)")
    server.store(*archive.files(8))
    before = server.get("/statistics")
    server.begin()
    server.wait_until_dead()
    for path in server.state_directory.glob("*.db*"):
        path.unlink()
    server.start()
    assert server.get("/inventories") == [] and server.get("/inventories/transactions") == []
    assert server.get("/statistics") == before and not list(server.state_directory.rglob("*.dcm"))
    assert "recovery: 1 half-made inventories of unknown runs were removed" in server.log_lines()
    assert server.make()["Studies"] == 8


def replace_folder(folder: Path, backup: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)


def test_a_state_directory_from_an_older_backup_is_brought_up(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 3}).start()
    server.store(*archive.files(2))
    older = server.make()
    server.stop()
    shutil.copytree(server.state_directory, backup := tmp_path / "backup")
    server.start()
    later = server.make(Purpose="Later")
    server.delete(f"/inventories/{older['SOPInstanceUID']}")
    server.stop()
    replace_folder(server.state_directory, backup)
    server.start()
    assert server.get("/inventories") == [older["SOPInstanceUID"], later["SOPInstanceUID"]]
    assert set(server.get(f"/inventories/{older['SOPInstanceUID']}")["Missing"]) == set(older["InstanceUIDs"])
    assert recovered(server.get(f"/inventories/{later['SOPInstanceUID']}")) == made(later) | {"Missing": []}
    assert (
        "recovery: 1 inventories that the journal did not know were found; "
        "1 inventories of the journal are no longer there, see Missing in their summaries"
    ) in server.log_lines()
    # What is missing is no base, nor is what was found.
    server.error("POST", "/inventories", 404, json={"Base": "latest"})
    server.delete(f"/inventories/{older['SOPInstanceUID']}")
    assert server.get("/inventories") == [later["SOPInstanceUID"]]


def test_an_orthanc_from_an_older_backup_is_told_and_increments_miss_nothing(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = make_server().start()
    stored = server.store(*archive.files(4))
    first, second = server.make(), server.make(Level="STUDY")
    server.stop()
    shutil.copytree(server.folder / "storage", backup := tmp_path / "backup", ignore=shutil.ignore_patterns("inventory"))
    server.start()
    server.delete(f"/instances/{stored[0]}")
    server.store(archive.file(9, 1))
    third = server.make(Base=first["SOPInstanceUID"])
    assert third["Studies"] == 4
    server.delete(f"/inventories/{second['SOPInstanceUID']}")
    server.stop()
    shutil.copytree(server.state_directory, backup / "inventory")
    replace_folder(server.folder / "storage", backup)
    server.start()
    assert set(server.get("/inventories")) == {entry["SOPInstanceUID"] for entry in (first, second, third)}
    lost = set(third["InstanceUIDs"]) - set(first["InstanceUIDs"])
    assert set(server.get(f"/inventories/{third['SOPInstanceUID']}")["Missing"]) == lost != set()
    assert server.get(f"/inventories/{second['SOPInstanceUID']}")["Recovered"]
    assert any("1 inventories of the journal are no longer there" in line for line in server.log_lines())
    # The archive is as it was when the first was made; nothing that the record of changes says holds any more.
    server.store(archive.file(8, 1))
    increment = server.make(Base="latest")
    assert increment["Base"] == first["SOPInstanceUID"] and increment["Studies"] == 5
    assert any("compared with it" in line for line in server.log_lines())


def test_a_run_whose_leaves_went_with_orthanc_fails(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 3}).start()
    server.store(*archive.files(6))
    server.stop()
    shutil.copytree(server.folder / "storage", backup := tmp_path / "backup", ignore=shutil.ignore_patterns("inventory"))
    server.start_with("at(OrthancStore, 'put', [4], die)")
    uid = server.begin()
    server.wait_until_dead()
    shutil.copytree(server.state_directory, backup / "inventory")
    replace_folder(server.folder / "storage", backup)
    server.start()
    transaction = server.wait_for(uid)
    assert transaction["TransactionStatus"] == "FAILURE" and transaction["SOPInstanceUID"] is None
    assert transaction["ErrorDescription"] == "3 of its finished instances are no longer there: start it again"
    assert server.get("/inventories") == [] and server.make()["Studies"] == 6


@pytest.mark.parametrize("store", STORES)
def test_all_goes_on_in_another_folder_and_waits_for_an_upgrade(make_server: Callable[..., Server], store: str) -> None:
    before = make_server(inventory={"StoreIn": store}).start()
    before.store(*archive.files(3))
    base = before.make()
    before.stop()
    server = make_server(inventory={"StoreIn": store})
    shutil.copytree(before.folder / "storage", server.folder / "storage")
    set_version(server, 99)
    server.start()
    message = server.error("GET", "/inventories", 503)
    assert "journal.db in Inventory.StateDirectory has the version 99 of a later plugin" in message
    assert server.log_lines() == [message]
    server.stop()
    set_version(server, 2)
    server.start()
    assert made(server.get(f"/inventories/{base['SOPInstanceUID']}")) == made(base)
    server.store(archive.file(4, 1))
    increment = server.make(Base="latest")
    assert increment["Base"] == base["SOPInstanceUID"] and increment["Studies"] == 4
    assert not any("recovery" in line or "damaged" in line for line in server.log_lines())


def set_version(server: Server, number: int) -> None:
    with closing(sqlite3.connect(server.state_directory / "journal.db")) as connection:
        connection.execute(f"PRAGMA user_version = {number}")
