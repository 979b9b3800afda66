"""orthanc-inventory request, find and get against Orthanc with the plugin."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orthanc_inventory.reader import open_inventory
from tests.integration import archive
from tests.integration.server import Server
from tests.integration.test_command_line import begun, command, refused, succeeded

from .creation import SMALL, Creator, start_for, with_script

MakeServer = Callable[..., Server]


def ours() -> Creator:
    """What Orthanc knows of the command line."""
    return Creator("INVENTORY")


def to(port: int, *arguments: str) -> list[str]:
    return ["request", "--peer", f"INVENTORY@127.0.0.1:{port}", *arguments]


def test_an_inventory_is_made_and_fetched(make_server: MakeServer, tmp_path: Path) -> None:
    server, port = start_for(make_server, ours(), inventory={"MaxRecordsPerInstance": 6})
    server.store(*archive.files(5), archive.file(9, 1, PatientName="Müller^Jörg"))
    options = ["--purpose", "Für uns", "--level", "instance", "--fetch", str(tmp_path), "--json"]
    done = command(*to(port, "--scope", "PatientID=P*", *options))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    root = told["ReferencedSOPInstanceUID"]
    summary = server.get(f"/inventories/{root}")
    expected = {
        "TransactionUID": summary["TransactionUID"], "TransactionStatus": "COMPLETE", "TotalNumberOfStudyRecords": 6,
        "IgnoredKeys": [], "RetrieveAETitle": "INVENTORY",
    }
    assert {key: told[key] for key in expected} == expected
    # The event has the MAC of the root, its references those of the leaves.
    number = len(summary["InstanceUIDs"])
    fetched = told["Fetched"]
    assert (fetched["Files"], fetched["Fetched"], fetched["Different"], fetched["Unchecked"]) == (number, number, [], [])
    assert summary["InventoryPurpose"] == "Für uns" and summary["Scope"] == {"PatientID": "P*"}
    assert {study.uid for study in open_inventory(tmp_path, verify=True).studies()} == {
        archive.uid(patient, 1) for patient in (1, 2, 3, 4, 5, 9)
    }
    # Keys that the index does not have.
    uid, other = (wide := command(*to(port, "--level", "STUDY", "--scope", "ConsultingPhysicianName=X*"))).stdout.split()
    assert wide.returncode == 0 and "INVENTORY cannot match ConsultingPhysicianName: more is listed" in wide.stderr
    assert server.get(f"/inventories/{other}")["TransactionUID"] == uid


def test_a_run_is_paused_followed_and_cancelled(make_server: MakeServer, tmp_path: Path) -> None:
    server, port = start_for(make_server, ours(), inventory=SMALL, PythonScript=with_script(tmp_path, "halt(3)"))
    server.store(*archive.files(20))
    process = begun(*to(port), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    uid = process.stdout.readline().decode().strip()
    assert b"processing" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and f"request --status {uid} --peer INVENTORY@127.0.0.1:{port}" in errors.decode()
    server.wait_until(uid, Studies=3)
    assert succeeded(*to(port, "--pause", uid)).startswith("paused, ")
    assert server.transaction(uid)["TransactionStatus"] == "PAUSED"
    assert "INVENTORY refuses to pause with 0110H" in refused(*to(port, "--pause", uid))
    assert succeeded(*to(port, "--status", uid, "--no-wait")).startswith("paused, ")
    assert "refuses to request status with 0115H: TransactionUID is not known" in refused(*to(port, "--status", "1.2.3"))
    assert succeeded(*to(port, "--resume", uid)).startswith("processing, ")
    # What is kept of it is not COMPLETE.
    done = command(*to(port, "--cancel", uid, "--retain", "--fetch", str(tmp_path)))
    assert done.returncode == 1 and "the inventory is PARTIAL" in done.stderr
    assert done.stdout.strip() == str(tmp_path / f"{server.transaction(uid)['SOPInstanceUID']}.dcm")


def test_a_run_is_followed_over_a_restart(make_server: MakeServer, tmp_path: Path) -> None:
    creator = ours()
    server, port = start_for(make_server, creator, inventory=SMALL, PythonScript=with_script(tmp_path, "halt(3)"))
    server.store(*archive.files(20))
    process = begun(*to(port, "--listen", str(creator.port)), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    uid = process.stdout.readline().decode().strip()
    server.wait_until(uid, Studies=3)
    server.stop()
    server.start()
    server.let_go()
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert output.decode().strip() == server.wait_for(uid)["SOPInstanceUID"]


def test_what_is_found_is_fetched(make_server: MakeServer, tmp_path: Path) -> None:
    server, port = start_for(make_server, ours())
    server.store(*archive.files(3))
    uid = server.make()["SOPInstanceUID"]
    peer = ["--peer", f"INVENTORY@127.0.0.1:{port}"]
    [answer] = json.loads(succeeded("find", "InventoryCompletionStatus=COMPLETE", "--json", *peer))
    assert answer["SOPInstanceUID"] == uid
    succeeded("get", uid, str(tmp_path), *peer)
    shown: dict[str, Any] = json.loads(succeeded("show", str(tmp_path), "--json"))
    assert shown["Studies"] == 3
