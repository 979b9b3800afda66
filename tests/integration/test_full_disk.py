"""A disk that is full fails a run with a clear reason, leaves nothing half made, and Orthanc goes on."""

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
