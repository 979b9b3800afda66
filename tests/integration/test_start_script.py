"""``orthanc-config/start.sh`` as a newcomer calls it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from .server import REPOSITORY, free_port
from .signals import heed_signals

START = REPOSITORY / "orthanc-config" / "start.sh"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "INVENTORY_HTTP_PORT": str(free_port()),
        "INVENTORY_DICOM_PORT": str(free_port()),
        "INVENTORY_DATA": str(tmp_path / "data"),
    }


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def start(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([START, *arguments], env=environment, capture_output=True, text=True, timeout=300)


def test_check_makes_an_inventory_that_is_right_and_keeps_the_data(environment: dict[str, str]) -> None:
    counts = []
    for _ in range(2):
        done = start(environment, "--check")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "is COMPLETE" in done.stdout and "100 %" in done.stdout
        counts += re.findall(r"([0-9]+) studies, ([0-9]+) series, ([0-9]+) instances", done.stdout)
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{environment['INVENTORY_HTTP_PORT']}/system", timeout=60)
    assert len(counts) == 2 and counts[0] == counts[1] and int(counts[0][2]) > 100


def test_it_runs_until_it_is_interrupted(environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [START], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        preexec_fn=heed_signals,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    address = f"http://127.0.0.1:{environment['INVENTORY_HTTP_PORT']}"
    assert f"{address}/app/explorer.html" in "".join(lines)
    [uid] = requests.get(f"{address}/inventories", timeout=60).json()
    assert uid in "".join(lines)
    time.sleep(0.5)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.wait(60) == 0 and "Stopping" in process.stdout.read()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{address}/system", timeout=60)


@pytest.mark.parametrize("variable", ["INVENTORY_HTTP_PORT", "INVENTORY_DICOM_PORT"])
def test_a_taken_port_is_one_clear_line(environment: dict[str, str], variable: str, taken_port: int) -> None:
    done = start({**environment, variable: str(taken_port)}, "--check")
    assert done.returncode != 0 and done.stdout == ""
    assert done.stderr == f"start.sh: port {taken_port} is taken; choose another one by {variable}\n"


@pytest.mark.parametrize(
    ("changes", "arguments", "words"),
    [
        ({"INVENTORY_HTTP_PORT": "web"}, [], ["INVENTORY_HTTP_PORT", "from 1 to 65535"]),
        ({"INVENTORY_DICOM_PORT": "70000"}, [], ["INVENTORY_DICOM_PORT", "from 1 to 65535"]),
        ({"INVENTORY_DATA": "/proc/data"}, [], ["INVENTORY_DATA", "cannot write"]),
        ({}, ["--chekc"], ["--chekc", "--check"]),
    ],
)
def test_wrong_use_is_one_clear_line(
    environment: dict[str, str], changes: dict[str, str], arguments: list[str], words: list[str]
) -> None:
    done = start({**environment, **changes}, *arguments)
    assert done.returncode != 0 and done.stdout == "" and done.stderr.count("\n") == 1
    assert all(word in done.stderr for word in words)


def test_an_archive_that_lacks_a_record_does_not_pass(environment: dict[str, str], tmp_path: Path) -> None:
    """The check must be able to fail: a plugin that loses one object of a series is found out."""
    folder = tmp_path / "changed"
    folder.mkdir()
    for name in ("orthanc-config", "plugin", "setup.cfg", "pyproject.toml", "README.md", "LICENSE", ".venv"):
        (folder / name).symlink_to(REPOSITORY / name)
    (folder / "plugin").unlink()
    subprocess.run(["cp", "-r", REPOSITORY / "plugin", folder / "plugin"], check=True)
    records = folder / "plugin" / "orthanc_inventory" / "sources" / "walk.py"
    source = records.read_text()
    assert "self._expand(page)\n" in source
    records.write_text(source.replace("self._expand(page)\n", "self._expand(page)[:5]\n"))
    (folder / "plugin" / "inventory_plugin.py").write_text(
        f"import sys\nsys.path.insert(0, {str(folder / 'plugin')!r})\nimport orthanc\n"
        "from orthanc_inventory.plugin import register\nregister(orthanc)\n"
    )
    done = subprocess.run(
        [folder / "orthanc-config" / "start.sh", "--check"], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode != 0 and "Checked" not in done.stdout, done.stdout + done.stderr
    assert "are missing" in done.stderr, done.stderr
