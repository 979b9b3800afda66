"""How much longer others wait while a run goes on: at full speed, with Throttle Auto, and with Orthanc's AllowThreads.

``python -m tests.benchmarks.throttle 1.12.7``: those versions of Orthanc, or all.
"""

from __future__ import annotations

import itertools
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pydicom
import requests
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association

from ..integration import archive as objects
from ..integration.server import INSTALLATIONS, Installation, Server
from . import archive

_INSTANCES = 20_000
_ROUNDS = 4
# Seconds of each part of a round, and between two requests of one client.
_PART = 4.0
_PAUSE = 0.02
_PIXELS = bytes(128 * 1024)
# What keeps Orthanc busy all the time, besides the clients that are measured: so many ask its index for so much.
_OTHERS = 2
_QUESTION = {"Level": "Instance", "Query": {}, "Expand": True, "Limit": 200}
# Next to these a run with Throttle Auto is hardly to be noticed.
_WANTED = ("/system", "C-ECHO", "C-STORE")
_VERIFICATION = "1.2.840.10008.1.1"
# Of Orthanc's configuration and of its section Inventory.
MODES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "full speed": ({}, {}),
    "Auto": ({}, {"Throttle": "Auto"}),
    "full speed with AllowThreads": ({"Python": {"AllowThreads": True}}, {}),
    "Auto with AllowThreads": ({"Python": {"AllowThreads": True}}, {"Throttle": "Auto"}),
}


class Part(NamedTuple):
    """Medians of what each client waited (seconds), and instances that a run read in a second."""

    waits: dict[str, float]
    rate: float


def measure(installation: Installation) -> dict[str, list[tuple[Part, Part]]]:
    """For each mode the rounds: without a run, and with runs one after the other. The modes take turns."""
    archive.fill(installation, _INSTANCES)
    folder = Path(tempfile.mkdtemp(prefix="throttle-"))
    try:
        shutil.copytree(archive.folder(installation, _INSTANCES) / "storage", folder / "storage")
        shutil.rmtree(folder / "storage" / "inventory", ignore_errors=True)
        found: dict[str, list[tuple[Part, Part]]] = {mode: [] for mode in MODES}
        number = itertools.count()
        for turn in range(_ROUNDS):
            for mode in list(MODES)[:: 1 if turn % 2 else -1]:
                configuration, inventory = MODES[mode]
                server = Server(installation, folder, configuration, {"StoreIn": "Directory", **inventory})
                try:
                    server.start()
                    _part(server, number, busy=False)  # warms up
                    quiet, busy = _part(server, number, busy=False), _part(server, number, busy=True)
                    found[mode].append((quiet, busy))
                    server.stop()
                finally:
                    server.kill()
        return found
    finally:
        shutil.rmtree(folder)


def _part(server: Server, number: Iterator[int], busy: bool) -> Part:
    waits: dict[str, list[float]] = {}
    done = threading.Event()
    with requests.Session() as session, _association(server) as associated:
        def system() -> None:
            session.get(f"{server.url}/system", timeout=60).raise_for_status()

        def echo() -> None:
            assert associated.send_c_echo().Status == 0

        with requests.Session() as own, _association(server) as storing:
            def route() -> None:
                own.get(f"{server.url}/inventories/status", timeout=60).raise_for_status()

            def store() -> None:
                assert storing.send_c_store(_object(next(number))).Status == 0

            def question() -> None:
                requests.post(f"{server.url}/tools/find", json=_QUESTION, timeout=60).raise_for_status()

            clients = {"/system": system, "C-ECHO": echo, "C-STORE": store, "/inventories/status": route}
            threads = [
                threading.Thread(target=_wait, args=(ask, done, waits.setdefault(name, []))) for name, ask in clients.items()
            ]
            threads += [threading.Thread(target=_wait, args=(question, done, [], 0.001)) for _ in range(_OTHERS)]
            read = [0]
            if busy:
                threads.append(threading.Thread(target=_run, args=(server, done, read)))
            start = time.monotonic()
            for thread in threads:
                thread.start()
            done.wait(_PART)
            done.set()
            for thread in threads:
                thread.join()
    return Part({name: median(times) for name, times in waits.items()}, read[0] / (time.monotonic() - start))


def _wait(ask: Callable[[], None], done: threading.Event, waits: list[float], pause: float = _PAUSE) -> None:
    while not done.wait(pause):
        start = time.perf_counter()
        ask()
        waits.append(time.perf_counter() - start)


def _run(server: Server, done: threading.Event, read: list[int]) -> None:
    """Runs, one after the other; the last is cancelled."""
    while not done.is_set():
        uid = server.begin()
        while not done.wait(0.1) and server.transaction(uid)["State"] in ("Pending", "Running"):
            pass
        read[0] += server.transaction(uid)["Instances"]
        if done.is_set():
            server.request("POST", f"/inventories/transactions/{uid}/cancel")


@contextmanager
def _association(server: Server) -> Iterator[Association]:
    ae = AE("BENCHMARK")
    ae.add_requested_context(_VERIFICATION)
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    associated = ae.associate("127.0.0.1", server.dicom_port, ae_title="ORTHANC")
    assert associated.is_established
    # What is measured is Orthanc, not how long a small packet waits for the one after it.
    associated.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    yield associated
    associated.release()


def _object(number: int) -> pydicom.Dataset:
    data = objects.dataset(900_000 + number // 100, 1, 1, number, PixelData=_PIXELS)
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data["PixelData"].VR = "OW"
    return data


def table_rows(name: str, found: dict[str, list[tuple[Part, Part]]]) -> Iterator[tuple[str, ...]]:
    for mode, rounds in found.items():
        for client in rounds[0][0].waits:
            quiet = median(quiet.waits[client] for quiet, _ in rounds)
            added = median(busy.waits[client] - quiet.waits[client] for quiet, busy in rounds)
            figures = f"{quiet * 1000:.1f} ms without, {added * 1000:+.1f} ms with it"
            is_wanted = mode.startswith("Auto") and client in _WANTED
            yield name, f"{client}, a run at {mode}", figures, "20 ms" if is_wanted else ""
        yield name, f"instances of a run at {mode}", f"{median(busy.rate for _, busy in rounds):,.0f} a second", ""


def main() -> None:
    wanted = sys.argv[1:]
    for installation in INSTALLATIONS:
        if not wanted or installation.name.split()[-1] in wanted:
            for row in table_rows(installation.name, measure(installation)):
                print(f"| {' | '.join(row)} |", flush=True)
    print(Path("/proc/loadavg").read_text())


if __name__ == "__main__":
    main()
