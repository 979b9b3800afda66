"""A disk that is full, or read-only, fails a run with a clear reason, leaves nothing half made, and Orthanc goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import archive
from .server import Server, object_uids


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB, in the folder of the test's server."""
    folder = tmp_path / "orthanc0" / "small"
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Takes all room but ``leave`` bytes."""
    file = disk / "filling"
    with open(file, "wb", buffering=0) as stream:
        try:
            while stream.write(bytes(4096)):
                pass
        except OSError:
            pass
    size = file.stat().st_size
    with open(file, "r+b") as stream:
        stream.truncate(max(0, size - leave))
    return file


def test_a_state_directory_that_runs_full_fails_the_run(small_disk: Path, make_server: Callable[..., Server]) -> None:
    inventory = {"StoreIn": "Directory", "StateDirectory": str(small_disk / "inventory"), "MaxRecordsPerInstance": 100}
    server = make_server(inventory=inventory).start()
    server.store(*archive.files(30, 1, 1, 60))
    filling = fill(small_disk, 200 * 1024)
    transaction = server.post("/inventories", {"Synchronous": True})
    assert transaction["State"] == "Failure" and transaction["SOPInstanceUID"] is None
    assert "Inventory.StateDirectory" in transaction["ErrorDescription"]
    assert server.get("/inventories") == [] and server.get("/system")
    filling.unlink()
    # Room again: nothing is in the way of the next run, and what failed left no file.
    server.stop()
    server.start()
    assert not list(small_disk.rglob("*.dcm")) and not list(small_disk.rglob("*.part"))
    server.wait_for(transaction["ID"])
    assert len(object_uids(server.studies(server.make(Scope={"PatientID": "P000?"})))) == 9 * 60


def test_a_journal_that_cannot_be_written_is_told(small_disk: Path, make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"StateDirectory": str(small_disk / "inventory")}).start()
    server.store(*archive.files(2))
    filling = fill(small_disk, 0)
    message = server.error("POST", "/inventories", 503, data='{"Description": "%s"}' % ("x" * 10_000))
    assert "Inventory.StateDirectory" in message
    assert server.get("/inventories/transactions") == [] and len(server.get("/studies")) == 2
    filling.unlink()
    assert server.make()["Instances"] == 2


# When the disk runs full: 30 studies make three leaves.
_MOMENTS = {
    "before the snapshot": "at(Journal, 'begin', [1], fill)",
    "before the first leaf": "at(DirectoryStore, 'put', [1], fill)",
    "before a leaf is in the journal": "at(Journal, 'checkpoint', [2], fill)",
    "before the root": "at(DirectoryStore, 'put', [4], fill)",
    "before the end is in the journal": "at(Journal, 'finish', [1], fill)",
}
_FILL = """
def fill(*arguments):
    with open(folder + "/small/filling", "wb", buffering=0) as stream:
        try:
            while stream.write(bytes(4096)):
                pass
        except OSError:
            pass
"""


def test_whenever_a_disk_runs_full_a_run_is_whole_or_nothing(small_disk: Path, make_server: Callable[..., Server]) -> None:
    inventory = {"StoreIn": "Directory", "StateDirectory": str(small_disk / "inventory"), "MaxRecordsPerInstance": 30}
    server = make_server(inventory=inventory).start()
    server.store(*archive.files(30))
    before = server.get("/statistics")
    for moment, text in _MOMENTS.items():
        server.stop()
        server.start_with(_FILL + text)
        uid = server.begin()
        transaction = server.wait_for(uid)
        if "leaf" in moment or "root" in moment:
            assert transaction["State"] == "Failure" and "Inventory.StateDirectory" in transaction["ErrorDescription"], moment
        # What is told is not more than what is there.
        roots = [] if transaction["State"] == "Failure" else [transaction["SOPInstanceUID"]]
        assert server.get("/inventories") == roots and server.get("/statistics") == before
        (small_disk / "filling").unlink()
        server.stop()
        server.start()
        transaction = server.wait_for(uid)
        kept = []
        for root in server.get("/inventories"):
            assert (transaction["State"], transaction["SOPInstanceUID"]) == ("Success", root)
            summary = server.get(f"/inventories/{root}")
            uids = object_uids(server.studies(summary))
            assert len(uids) == len(set(uids)) == 30 and summary["Missing"] == []
            kept += summary["InstanceUIDs"]
        assert sorted(path.name for path in (small_disk / "inventory" / "instances").rglob("*.*") if path.is_file()) == sorted(
            f"{uid}.dcm" for uid in kept
        ), moment
        for root in server.get("/inventories"):
            server.delete(f"/inventories/{root}")


def test_a_storage_area_that_runs_full_fails_the_run(small_disk: Path, make_server: Callable[..., Server]) -> None:
    configuration = {"StorageDirectory": str(small_disk)}
    server = make_server(configuration=configuration, inventory={"MaxRecordsPerInstance": 30}).start()
    server.store(*archive.files(30))
    before = server.get("/statistics")
    filling = fill(small_disk, 16 * 1024)
    transaction = server.post("/inventories", {"Synchronous": True})
    assert transaction["State"] == "Failure" and "Orthanc does not store the inventory" in transaction["ErrorDescription"]
    assert server.get("/inventories") == [] and server.get("/statistics") == before
    filling.unlink()
    assert server.make()["Instances"] == 30


def test_a_state_directory_that_is_read_only_is_told(small_disk: Path, make_server: Callable[..., Server]) -> None:
    inventory = {"StoreIn": "Directory", "StateDirectory": str(small_disk / "inventory")}
    server = make_server(inventory=inventory).start()
    server.store(*archive.files(3))
    summary = server.make()
    server.stop()
    remount(small_disk, "ro")
    server.start()
    path = f"/inventories/{summary['SOPInstanceUID']}"
    for method, path in (("GET", "/inventories"), ("POST", "/inventories"), ("GET", path), ("DELETE", path)):
        assert "Inventory.StateDirectory" in server.error(method, path, 503)
    server.stop()
    remount(small_disk, "rw")
    server.start()
    assert server.get(f"/inventories/{summary['SOPInstanceUID']}") == summary and server.make()["Instances"] == 3


def test_a_folder_of_inventories_that_is_read_only_is_told(small_disk: Path, make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"StoreIn": "Directory"}).start()
    server.store(*archive.files(3))
    summary = server.make()
    server.stop()
    instances = server.state_directory / "instances"
    subprocess.run(["cp", "--archive", f"{instances}/.", small_disk], check=True)
    subprocess.run(["mount", "--bind", small_disk, instances], check=True)
    try:
        remount(small_disk, "ro")
        server.start()
        transaction = server.post("/inventories", {"Synchronous": True})
        assert transaction["State"] == "Failure"
        assert "below Inventory.StateDirectory: Read-only file system" in transaction["ErrorDescription"]
        assert server.get("/inventories") == [summary["SOPInstanceUID"]] and len(server.studies(summary)) == 3
        # It is no longer listed, and its files go as soon as they can; until then nothing else is in their way.
        message = server.error("DELETE", f"/inventories/{summary['SOPInstanceUID']}", 503)
        assert "Inventory.StateDirectory" in message and "at the next start" in message
        server.stop()
        server.start()
        assert server.get("/inventories") == []
        server.stop()
        remount(small_disk, "rw")
        server.start()
        assert not list(instances.rglob("*.dcm"))
        assert server.make()["Instances"] == 3
        server.stop()
    finally:
        subprocess.run(["umount", "--lazy", instances], check=True)


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)
