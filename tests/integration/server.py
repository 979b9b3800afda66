"""A real Orthanc of its own for each test: in a temporary folder, on free ports, on the machine or in a chroot."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import requests

from . import script
from .waiting import PATIENCE, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
PLUGIN = "/usr/share/orthanc/plugins/libOrthancPython.so"
# For a server whose ``configuration`` has it among its Plugins.
DICOM_WEB_PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
# Keeps the index in PostgreSQL, for a server whose section of that name asks for it.
POSTGRESQL_PLUGIN = "/usr/share/orthanc/plugins/libOrthancPostgreSQLIndex.so"
SCRIPT = REPOSITORY / "plugin" / "inventory_plugin.py"
# Made by tests/run.sh.
CACHE = Path(os.environ.get("INVENTORY_TEST_CACHE", "/var/cache/orthanc-inventory"))
PACKAGES = CACHE / "packages"
# The extras of that name, for a server whose ``environment`` has it.
ANALYTICS = {"PYTHONPATH": f"{REPOSITORY / 'plugin'}:{PACKAGES}:{PACKAGES / 'analytics'}"}
POSTGRESQL = {"PYTHONPATH": f"{REPOSITORY / 'plugin'}:{PACKAGES}:{PACKAGES / 'postgresql'}"}

# Binds what a test needs into the chroot, visible to this process only, and becomes Orthanc: its process ID stays.
_CHROOT = """
root=$1; shift
for folder in "$1" "$2" "$3"; do mkdir -p "$root$folder"; mount --rbind "$folder" "$root$folder"; done; shift 3
mount -t proc proc "$root/proc"
exec chroot "$root" "$@"
"""


@dataclass(frozen=True)
class Installation:
    """One Orthanc with its Python plugin; ``root`` is where its system lies."""

    name: str
    root: Path

    @property
    def is_complete(self) -> bool:
        return self.root == Path("/") or Path(f"{self.root}.complete").exists()

    def command(self, folder: Path, *arguments: str) -> list[str]:
        if self.root == Path("/"):
            return list(arguments)
        folders = [str(path) for path in (folder, REPOSITORY, PACKAGES)]
        return ["unshare", "--mount", "sh", "-euc", _CHROOT, "sh", str(self.root), *folders, *arguments]


DEBIAN_12 = Installation("Orthanc 1.10.1", Path("/"))
DEBIAN_13 = Installation("Orthanc 1.12.7", CACHE / "trixie")
# A moving target: where it cannot be installed its tests are skipped, and most of them run with --long only.
DEBIAN_SID = Installation("Orthanc 1.13.0", CACHE / "sid")
INSTALLATIONS = (DEBIAN_12, DEBIAN_13, DEBIAN_SID)


class Server:
    """``configuration`` and ``inventory`` replace parts of Orthanc's configuration and of its section Inventory."""

    def __init__(
        self,
        installation: Installation,
        folder: Path,
        configuration: dict[str, Any] | None = None,
        inventory: dict[str, Any] | None = None,
        script: Path = SCRIPT,
    ) -> None:
        self.installation = installation
        self.folder = folder
        # What it sees of the folders of the tests.
        self.bound = folder
        self.configuration = {
            "Name": "TEST",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "Plugins": [PLUGIN],
            "PythonScript": str(script),
            "AuthenticationEnabled": False,
            "RemoteAccessAllowed": False,
            "OverwriteInstances": True,
            # Plugin 7.1 crashes at the very end if a resource became stable while Orthanc stopped.
            "StableAge": 3600 if installation == DEBIAN_SID else 1,
            "SyncStorageArea": False,
            **(configuration or {}),
            "Inventory": inventory or {},
        }
        self.state_directory = folder / "storage" / "inventory"
        self.environment: dict[str, str] = {}
        # One of the registered users, where there are any: to others Orthanc answers before the plugin is asked.
        users = self.configuration.get("RegisteredUsers") if self.configuration["AuthenticationEnabled"] else None
        self._user = next(iter(users.items())) if users else None
        self._process: subprocess.Popen[bytes] | None = None
        # Where the log of the last start begins.
        self._begin = 0

    def start(self, http_port: int = 0) -> "Server":
        return self._start(self.configuration, http_port)

    def start_with(self, text: str) -> "Server":
        """Starts once with the plugin in a script that makes something happen, see ``script``."""
        return self._start({**self.configuration, "PythonScript": str(script.write(self.folder, text))})

    def let_go(self) -> None:
        """What a script holds or halts goes on, and is held no more."""
        (self.folder / "go on").touch()

    def _start(self, configuration: dict[str, Any], http_port: int = 0) -> "Server":
        """On other ports, where someone was quicker to take those that were free a moment ago."""
        while True:
            self._begin = len(self.log())
            self._run(configuration, http_port or free_port(), free_port())
            try:
                self.wait_until_ready()
                return self
            except AssertionError:
                if http_port or "already in use" not in self.log()[self._begin :]:
                    raise

    def _run(self, configuration: dict[str, Any], http_port: int, dicom_port: int) -> None:
        self.http_port, self.dicom_port = http_port, dicom_port
        self.url = f"http://127.0.0.1:{http_port}"
        file = self.folder / "orthanc.json"
        ports = {"HttpPort": self.http_port, "DicomPort": self.dicom_port}
        file.write_text(json.dumps({**configuration, **ports}))
        path = f"{REPOSITORY / 'plugin'}:{PACKAGES}"
        # To compile the modules takes most of a start; the sources are no place for what comes of it.
        compiled = {"PYTHONPYCACHEPREFIX": str(PACKAGES / "bytecode")}
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path, **compiled, **self.environment}
        with open(self.folder / "orthanc.log", "ab") as log:
            self._process = subprocess.Popen(
                self.installation.command(self.bound, "Orthanc", str(file)),
                stdout=log, stderr=log, env=environment, cwd=self.folder,
            )

    def wait_until_ready(self) -> None:
        """Until Orthanc has started, whatever the plugin makes of its configuration."""
        wait_until(self._is_ready, lambda: f"Orthanc does not answer:\n{self.log()}")

    def _is_ready(self) -> bool:
        try:
            answer = requests.get(f"{self.url}/inventories/status", timeout=PATIENCE, auth=self._user)
            is_ready = "Orthanc is starting" not in answer.text
        except requests.ConnectionError:
            is_ready = False
        assert self._process is not None and self._process.poll() is None, f"Orthanc has ended:\n{self.log()}"
        # Else who answers is another one, which has taken the port.
        return is_ready and f"HTTP server listening on port: {self.http_port} " in self.log()[self._begin :]

    def reset(self) -> None:
        """Orthanc takes itself apart and starts anew in the same process, some time after its answer."""
        before = self.log().count("is ready")
        self.post("/tools/reset")
        wait_until(lambda: self.log().count("is ready") > before, self.log)
        self.wait_until_ready()

    def stop(self) -> None:
        """As an administrator would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(PATIENCE)
        assert status == 0 or self._crashed_when_all_was_done(status), self.log()
        self._process = None

    def _crashed_when_all_was_done(self, status: int) -> bool:
        """As plugin 7.1 does with any script that is told of changes, if there is one after the last moment."""
        end = self.log().rpartition("Python plugin is finalizing")[2]
        return self.installation == DEBIAN_SID and status == -signal.SIGABRT and end.count("\n") <= 2

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def wait_until_dead(self) -> None:
        """For a test whose script ends Orthanc by itself."""
        assert self._process is not None
        self._process.wait(PATIENCE)
        self._process = None

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        file = self.folder / "orthanc.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def log_lines(self) -> list[str]:
        """What the plugin itself wrote."""
        return [line.split("Inventory: ", 1)[1] for line in self.log().splitlines() if "Inventory: " in line]

    def wait_for_line(self, *words: str) -> list[str]:
        """The lines of the plugin with all of these words, once there is one: what it did may be seen before it is logged."""
        return wait_until(lambda: [line for line in self.log_lines() if all(word in line for word in words)], self.log)

    # Requests

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return requests.request(method, self.url + path, timeout=PATIENCE, **arguments)

    def get(self, path: str) -> Any:
        answer = self.request("GET", path)
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def post(self, path: str, body: Any = None) -> Any:
        answer = self.request("POST", path, data=b"" if body is None else json.dumps(body))
        assert answer.status_code == 200, f"POST {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def delete(self, path: str) -> None:
        assert self.request("DELETE", path).status_code == 200

    def delete_file(self, instance: str) -> None:
        """Of an instance by Orthanc's ID, which stays in the index."""
        uuid = self.get(f"/instances/{instance}")["FileUuid"]
        (self.folder / "storage" / uuid[:2] / uuid[2:4] / uuid).unlink()

    def store(self, *files: bytes) -> list[str]:
        """Puts files into the archive and answers Orthanc's IDs of them."""
        with requests.Session() as session:
            return [session.post(f"{self.url}/instances", data=file, timeout=PATIENCE).json()["ID"] for file in files]

    def error(self, method: str, path: str, status: int, **arguments: Any) -> str:
        """The message of a request that is refused, after a look at the error body and at Orthanc."""
        answer = self.request(method, path, **arguments)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        body = json.loads(answer.content)
        expected = {"HttpError", "HttpStatus", "Message", "Method", "OrthancError", "OrthancStatus", "Uri", "Details"}
        assert set(body) == expected and body["HttpStatus"] == status and body["Method"] == method
        assert "\n" not in body["Message"]
        assert self.request("GET", "/system").status_code == 200
        return body["Message"]

    # Inventories

    def begin(self, **body: Any) -> str:
        return self.post("/inventories", body)["ID"]

    def begin_to_die(self, **body: Any) -> str:
        """The ID of a run whose script ends Orthanc, which may be before it answers."""
        uid = f"2.25.{random.getrandbits(64)}"
        with suppress(requests.RequestException):
            self.begin(TransactionUID=uid, **body)
        self.wait_until_dead()
        return uid

    def transaction(self, uid: str) -> dict[str, Any]:
        return self.get(f"/inventories/transactions/{uid}")

    def wait_for(self, uid: str, *states: str) -> dict[str, Any]:
        """The transaction once it is in one of the states; by default, once it is over."""
        expected = states or ("Success", "Failure")

        def found() -> dict[str, Any] | None:
            transaction = self.transaction(uid)
            return transaction if transaction["State"] in expected else None

        return wait_until(found, lambda: f"{self.transaction(uid)}\n{self.log()}")

    def wait_until(self, uid: str, **at_least: int) -> dict[str, Any]:
        """The transaction once its numbers have grown to these."""

        def found() -> dict[str, Any] | None:
            transaction = self.transaction(uid)
            return transaction if all(transaction[name] >= number for name, number in at_least.items()) else None

        return wait_until(found, lambda: f"{self.transaction(uid)}\n{self.log()}")

    def make(self, **body: Any) -> dict[str, Any]:
        """Makes an inventory and answers its summary."""
        transaction = self.post("/inventories", {**body, "Synchronous": True})
        assert transaction["State"] == "Success", transaction
        return self.get(f"/inventories/{transaction['SOPInstanceUID']}")

    def file(self, uid: str) -> pydicom.Dataset:
        answer = self.request("GET", f"/inventories/{uid}/file")
        assert answer.status_code == 200, answer.text
        return pydicom.dcmread(BytesIO(answer.content))

    def studies(self, summary: dict[str, Any]) -> list[pydicom.Dataset]:
        """The study records of a whole tree."""
        return [study for uid in summary["InstanceUIDs"] for study in self.file(uid).InventoriedStudiesSequence]


def _ports() -> Iterator[int]:
    """Those of this process of the tests, in turn: others that run at the same time have theirs.

    They lie below the ports that the system gives to outgoing connections, which would take one between here and Orthanc.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = 20_000 // workers
    first = 10_000 + number * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return (first + place % number for place in itertools.count(random.randrange(number)))


_own_ports = _ports()


def free_port() -> int:
    while True:
        port = next(_own_ports)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def object_uids(studies: list[pydicom.Dataset]) -> list[tuple[str, str, str, str]]:
    """Patient ID, study, series and SOP Instance UID of each instance record, sorted."""
    return sorted(
        (study.PatientID or "", study.StudyInstanceUID, series.SeriesInstanceUID, instance.SOPInstanceUID)
        for study in studies
        for series in study.InventoriedSeriesSequence
        for instance in series.InventoriedInstancesSequence
    )
