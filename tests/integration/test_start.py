"""Orthanc with the plugin starts, says what it does, and stops; whatever the configuration, Orthanc itself runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from . import archive
from .server import DEBIAN_SID, REPOSITORY, Installation, Server, object_uids
from .waiting import wait_until


@pytest.mark.newest
def test_status_tells_how_the_index_is_read(server: Server, installation: Installation) -> None:
    status = server.get("/inventories/status")
    strategy = "walk" if installation.name == "Orthanc 1.10.1" else "find"
    assert status["Source"].startswith(strategy)
    assert status["OrthancVersion"] == server.get("/system")["Version"]
    # That of sid may be newer by now.
    assert installation == DEBIAN_SID or status["OrthancVersion"] == installation.name.split()[1]
    assert status["Capabilities"]["StreamedAnswers"] == (strategy == "find")
    assert (status["Running"], status["Pending"], status["Paused"], status["LastRun"]) == ([], [], [], None)


def test_last_run_stands_in_status(server: Server) -> None:
    summary = server.make()
    last = server.get("/inventories/status")["LastRun"]
    assert last["SOPInstanceUID"] == summary["SOPInstanceUID"] and last["TransactionStatus"] == "COMPLETE"


@pytest.mark.newest
def test_a_stop_and_a_start_keep_everything(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    server.store(*archive.files(2))
    summary = server.make()
    file = server.request("GET", f"/inventories/{summary['SOPInstanceUID']}/file").content
    server.stop()
    server.start()
    assert server.get("/inventories") == [summary["SOPInstanceUID"]]
    assert server.get(f"/inventories/{summary['SOPInstanceUID']}") == summary
    assert server.request("GET", f"/inventories/{summary['SOPInstanceUID']}/file").content == file
    server.stop()


def test_folders_and_files_of_the_state_directory_are_private(server: Server) -> None:
    server.make()
    assert server.state_directory.stat().st_mode & 0o777 == 0o700
    files = [path for path in server.state_directory.rglob("*") if path.is_file()]
    assert files and all(path.stat().st_mode & 0o777 == 0o600 for path in files)


def test_enable_false_adds_no_route(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"Enable": False}).start()
    assert server.request("GET", "/inventories").status_code == 404
    assert not server.state_directory.exists()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"Levle": "STUDY"}, "Inventory.Levle is unknown"),
        ({"Level": "IMAGE"}, 'Inventory.Level has an impossible value; allowed: "STUDY" or "SERIES" or "INSTANCE"'),
        ({"Dimse": {"Port": "11113"}}, "Inventory.Dimse.Port has an impossible value; allowed: an integer from 1 to 65535"),
        ({"FileAccess": {"BaseUri": "https://u:secret@host/"}}, "Inventory.FileAccess.BaseUri has an impossible value"),
    ],
)
def test_a_wrong_configuration_answers_503_with_its_reason(
    make_server: Callable[..., Server], section: dict[str, object], message: str
) -> None:
    server = make_server(inventory=section).start()
    assert message in server.error("GET", "/inventories", 503)
    assert message in server.error("POST", "/inventories", 503)
    assert len([line for line in server.log().splitlines() if message in line]) == 1
    assert "secret" not in server.log()
    server.stop()


def test_a_state_directory_that_cannot_be_written_answers_503(make_server: Callable[..., Server]) -> None:
    server = make_server()
    (server.folder / "taken").write_text("a file, not a folder")
    server.configuration["Inventory"] = {"StateDirectory": "taken/inventory"}
    server.start()
    assert "Inventory.StateDirectory cannot be used" in server.error("POST", "/inventories", 503)
    server.stop()


def test_a_state_directory_belongs_to_one_orthanc(make_server: Callable[..., Server]) -> None:
    first = make_server().start()
    second = make_server(inventory={"StateDirectory": str(first.state_directory)})
    # Another chroot sees only its own folder, so both meet in that of the first.
    second.folder = second.bound = first.folder
    second.configuration |= {key: str(first.folder / "second") for key in ("StorageDirectory", "IndexDirectory")}
    second.start()
    assert "in use by another Orthanc" in second.error("GET", "/inventories", 503)
    assert first.get("/inventories") == []


_OWN_SCRIPT = """
import orthanc
from orthanc_inventory.plugin import register

def on_change(change, level, resource):
    if change == orthanc.ChangeType.NEW_STUDY:
        orthanc.LogWarning("own script sees study " + resource)
    elif change == orthanc.ChangeType.ORTHANC_STOPPED:
        orthanc.LogWarning("own script sees the stop")

register(orthanc, on_change=on_change)
"""


@pytest.mark.newest
def test_an_own_script_keeps_its_callback(make_server: Callable[..., Server]) -> None:
    server = make_server()
    script = server.folder / "own.py"
    script.write_text(_OWN_SCRIPT)
    server.configuration["PythonScript"] = str(script)
    server.start()
    server.store(archive.file(1, 1))
    study = server.get("/studies")[0]
    assert len(object_uids(server.studies(server.make()))) == 1
    wait_until(lambda: f"own script sees study {study}" in server.log(), server.log)
    server.stop()
    assert "own script sees the stop" in server.log()


def test_the_script_is_small() -> None:
    assert len((REPOSITORY / "plugin" / "inventory_plugin.py").read_text().splitlines()) < 20


def test_reset_in_the_middle_of_a_run_is_survived(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 6}).start_with("halt(3)")
    server.store(*archive.files(20))
    for _ in range(3):
        uid = server.begin()
        server.wait_until(uid, Studies=3)
        server.reset()
        server.let_go()
        transaction = server.wait_for(uid)
        assert transaction["State"] == "Success" and transaction["Studies"] == 20
        summary = server.get(f"/inventories/{transaction['SOPInstanceUID']}")
        assert len(object_uids(server.studies(summary))) == 20
        (server.folder / "go on").unlink()
    server.stop()
