"""Measures one archive of one Orthanc: raw rates, whole runs, memory, and how long others wait meanwhile."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import requests

from orthanc_inventory.stores.orthanc import PSEUDO_PATIENT

from ..integration.server import Installation, Server
from . import archive
from .process import forget_peak, memory

SCRIPT = Path(__file__).with_name("script.py")
# Seconds for an answer.
PATIENCE = 4 * 3600
_INVENTORY = {"FileAccess": {"BaseUri": "http://127.0.0.1:8042/"}}
_KEPT = {"PatientID": PSEUDO_PATIENT}


@dataclass
class Measurement:
    """Of one archive: ``rate`` in instances a second, waits in seconds, ``memory`` by which Orthanc grew in a run in bytes.

    ``directory`` and ``orthanc`` are what had to be done, asking for instance by instance, or study by study where Orthanc is
    faster so, divided by what the run took; ``same`` is the first with the very requests of the plugin; ``ingest`` is that of
    the leaves divided by that of reading.
    Each is the median over rounds, whose parts follow each other closely: a machine is fast at one time and slow at another. Of
    waits and memory it is the worst.
    """

    instances: int
    rate: float
    ingest: float
    directory: float
    same: float
    orthanc: float
    first_status: float
    system: float
    memory: int


def measure(installation: Installation, instances: int) -> Measurement:
    archive.fill(installation, instances)
    directory, same, orthanc, reads, ingests = [], [], [], [], []
    grown = 0
    rounds = range(max(3, 300_000 // instances))
    with _server(installation, instances, "Directory") as server:
        raw_read(server, instances)  # warms up
        for _ in rounds:
            read = raw_read(server, instances)
            run, growth = run_once(server, instances)
            reads.append(read)
            directory.append(read / run)
            same.append(raw_read(server, instances, "read-as-the-plugin") / run)
            grown = max(grown, growth)
        system = _longest_wait(server, instances)
        first_status = max(_first_status(server) for _ in rounds)
    with _server(installation, instances, "Orthanc") as server:
        for _ in rounds:
            read = raw_read(server, instances)
            run, _ = run_once(server, instances, keep=True)
            ingest = _raw_ingest(server)
            reads.append(read)
            ingests.append(ingest / read)
            orthanc.append((read + ingest) / run)
        system = max(system, _longest_wait(server, instances))
    return Measurement(
        instances, instances / median(reads), median(ingests), median(directory), median(same), median(orthanc),
        first_status, system, grown,
    )


def measure_detail(installation: Installation, instances: int) -> tuple[float, float]:
    """Instances a second of a run with Detail Files, and the ratio of that to a run with Detail Index."""
    archive.fill(installation, instances)
    with _server(installation, instances, "Directory") as server:
        run_once(server, instances)  # warms up
        rounds = [(run_once(server, instances)[0], run_once(server, instances, detail="Files")[0]) for _ in range(3)]
    return instances / median(files for _, files in rounds), median(index / files for index, files in rounds)


@contextmanager
def _server(installation: Installation, instances: int, store: str) -> Iterator[Server]:
    folder = archive.folder(installation, instances)
    shutil.rmtree(folder / "storage" / "inventory", ignore_errors=True)
    server = Server(installation, folder, inventory={**_INVENTORY, "StoreIn": store}, script=SCRIPT)
    try:
        server.start()
        _delete_inventories(server)
        yield server
        server.stop()
    finally:
        server.kill()


def raw_read(server: Server, instances: int, way: str = "read") -> float:
    answer = requests.get(f"{server.url}/benchmark/{way}", timeout=PATIENCE).json()
    assert answer["Instances"] == instances
    return answer["Seconds"]


def run_once(server: Server, instances: int, keep: bool = False, detail: str = "Index") -> tuple[float, int]:
    """Seconds that it took, and bytes by which Orthanc grew."""
    process = server.process_id
    forget_peak(process)
    before = memory(process, "VmRSS")
    with requests.Session() as session:
        session.get(f"{server.url}/system")  # to connect takes its time as well
        start = time.perf_counter()
        body = {"Synchronous": True, "Detail": detail}
        transaction = session.post(f"{server.url}/inventories", json=body, timeout=PATIENCE).json()
        seconds = time.perf_counter() - start
    assert transaction["State"] == "Success" and transaction["Instances"] == instances, transaction
    growth = memory(process, "VmHWM") - before
    if not keep:
        server.delete(f"/inventories/{transaction['SOPInstanceUID']}")
    return seconds, growth


def _longest_wait(server: Server, instances: int) -> float:
    """For an answer of ``/system`` in the whole of a run."""
    done = threading.Event()
    waits: list[float] = []
    probe = threading.Thread(target=_probe, args=(server.url, done, waits))
    probe.start()
    run_once(server, instances)
    done.set()
    probe.join()
    return max(waits)


def _first_status(server: Server) -> float:
    """Until a request for a run was followed by a first answer about it; the run is cancelled then."""
    start = time.perf_counter()
    uid = server.begin()
    server.transaction(uid)
    seconds = time.perf_counter() - start
    server.post(f"/inventories/transactions/{uid}/cancel")
    return seconds


def _probe(url: str, done: threading.Event, waits: list[float]) -> None:
    with requests.Session() as session:
        while not done.wait(0.02):
            start = time.perf_counter()
            session.get(f"{url}/system", timeout=60).raise_for_status()
            waits.append(time.perf_counter() - start)


def _raw_ingest(server: Server) -> float:
    """Takes the stored files of the inventory out of Orthanc, then gives them to it again."""
    folder = server.folder / "leaves"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for identifier in server.post("/tools/find", {"Level": "Instance", "Query": _KEPT}):
        (folder / identifier).write_bytes(server.request("GET", f"/instances/{identifier}/file").content)
    _delete_inventories(server)
    seconds = server.post("/benchmark/ingest", str(folder))["Seconds"]
    _delete_inventories(server)
    shutil.rmtree(folder)
    return seconds


def _delete_inventories(server: Server) -> None:
    for uid in server.get("/inventories"):
        server.delete(f"/inventories/{uid}")
    for patient in server.post("/tools/find", {"Level": "Patient", "Query": _KEPT}):
        server.delete(f"/patients/{patient}")


def table_rows(name: str, measured: list[Measurement]) -> Iterator[tuple[Any, ...]]:
    """Rows of the table: what, at which size, figure, and what it is to be."""
    for entry in measured:
        place = f"{name}, {entry.instances:,} instances"
        yield place, "raw read", f"{entry.rate:,.0f} instances/s", ""
        yield place, "raw ingest of the leaves", f"{entry.ingest:.2f} of the time of the raw read", ""
        yield place, "StoreIn Directory against raw read", f"{entry.directory:.2f}", "0.90 or more"
        yield place, "... against raw read by the same requests", f"{entry.same:.2f}", ""
        yield place, "StoreIn Orthanc against raw read and ingest", f"{entry.orthanc:.2f}", "0.90 or more"
        yield place, "first status after the POST", f"{entry.first_status * 1000:.0f} ms", "1000 ms or less"
        yield place, "longest answer of /system", f"{entry.system * 1000:.0f} ms", "100 ms or less"
        yield place, "growth of Orthanc in a run", f"{entry.memory / 1e6:.1f} MB", ""
    if len(measured) > 1:
        growth = (measured[-1].memory - measured[0].memory) / 1e6
        yield name, "growth at the largest against the smallest", f"{growth:+.1f} MB", "20 MB or less"
