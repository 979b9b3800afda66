"""Another archive becomes an inventory, asked by QIDO-RS: through Orthanc's DICOMweb plugin, and by the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration import archive
from tests.integration.server import PLUGIN, REPOSITORY, Server

from .test_harvest import difference, difficult, harvest

MakeServer = Callable[..., Server]
DICOM_WEB = str(Path(PLUGIN).with_name("libOrthancDicomWeb.so"))
SOURCE = {"DicomWeb": "other"}
USERS = {"alice": "secret"}


def start(make_server: MakeServer, *files: bytes, **configuration: Any) -> tuple[Server, Server]:
    """An Orthanc with DICOMweb, and one that knows it as the server "other"."""
    plugins = {"Plugins": [PLUGIN, DICOM_WEB]}
    other = make_server(configuration={**plugins, **configuration}).start()
    other.store(*files)
    servers = {"other": [f"{other.url}/dicom-web/", *next(iter(USERS.items()))]}
    own = make_server(configuration={**plugins, "DicomWeb": {"Servers": servers}}).start()
    return other, own


def test_another_archive_is_listed_as_it_lists_itself(make_server: MakeServer) -> None:
    other, own = start(make_server, *difficult(), *archive.files(2, 1, 2, 3))
    transaction, summary = harvest(own, Source=SOURCE)
    assert (summary["InventoryCompletionStatus"], transaction["Skipped"]) == ("COMPLETE", []), own.log_lines()
    assert (summary["Studies"], summary["Source"]) == (60, SOURCE)
    assert difference(other, own, summary) == []
    [access] = own.file(summary["SOPInstanceUID"]).StudyAccessEndPointsSequence
    [study, *_] = own.studies(summary)
    assert access.RetrieveURL == study.RetrieveURL == f"{other.url}/dicom-web"


def test_an_archive_that_gives_few_at_once(make_server: MakeServer) -> None:
    other, own = start(make_server, *archive.files(20, 1, 1, 9), LimitFindResults=7, LimitFindInstances=7)
    transaction, summary = harvest(own, Source=SOURCE)
    if summary["InventoryCompletionStatus"] == "COMPLETE":
        assert (summary["Studies"], summary["Instances"]) == (20, 180)
        assert difference(other, own, summary) == []
    else:
        assert transaction["Skipped"]


def test_without_any_orthanc(make_server: MakeServer, tmp_path: Path) -> None:
    users = {"RegisteredUsers": USERS, "AuthenticationEnabled": True}
    other = make_server(configuration={"Plugins": [PLUGIN, DICOM_WEB], **users}).start()
    for file in archive.files(5, 1, 2, 2):
        assert other.request("POST", "/instances", data=file, auth=("alice", "secret")).status_code == 200
    output = tmp_path / "out"

    def run(password: str) -> subprocess.CompletedProcess[str]:
        harvest = [sys.executable, "-m", "orthanc_inventory", "harvest", "--url", f"{other.url}/dicom-web"]
        environment = {
            **os.environ, "PYTHONPATH": str(REPOSITORY / "plugin"), "ORTHANC_INVENTORY_USER": "alice",
            "ORTHANC_INVENTORY_PASSWORD": password,
        }
        command = [*harvest, "--output", str(output), "--json"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)

    done = run("wrong")
    assert done.returncode == 2 and "answers with the HTTP status 401" in done.stderr and not output.exists()
    done = run("secret")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["Studies"], told["Series"], told["Instances"], told["Skipped"]) == (5, 10, 20, [])
    assert b"secret" not in b"".join(path.read_bytes() for path in output.iterdir())


def test_a_server_that_is_not_there(make_server: MakeServer) -> None:
    servers = {"other": ["http://127.0.0.1:1/dicom-web/"]}
    own = make_server(configuration={"Plugins": [PLUGIN, DICOM_WEB], "DicomWeb": {"Servers": servers}}).start()
    message = own.error("POST", "/inventories", 404, json={"Source": {"DicomWeb": "none"}})
    assert message == "Source.DicomWeb must be one of the servers that Orthanc's DICOMweb plugin knows: other"
    transaction = own.post("/inventories", {"Source": SOURCE, "Synchronous": True})
    assert transaction["State"] == "Failure"
    told = "the archive cannot be reached: the DICOMweb server other does not answer"
    assert transaction["ErrorDescription"].startswith(told)
