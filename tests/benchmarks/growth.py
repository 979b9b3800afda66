"""Each operation of the plugin once on one archive, in seconds by the clock and of processor time: what grows with the archive?

On a machine with other work the processor time tells more than the clock. It is that of Orthanc with the plugin in it, and of
nothing else: PostgreSQL and the clients have theirs.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import requests

from ..integration import archive as objects
from ..integration.server import INSTALLATIONS, Installation, Server, free_port
from ..interop.raw_messages import raw_scu
from . import archive
from .orthanc import PATIENCE, SCRIPT
from .process import forget_peak, memory, processor_seconds
from .repository_query import PAGE, REPOSITORY, key_of, query

# Studies that change between two inventories.
CHANGED = 100


class Cost(NamedTuple):
    """Of one operation: seconds by the clock and of the processors, bytes by which Orthanc grew, load of the machine."""

    what: str
    seconds: float
    processor: float
    memory: int
    load: float


class _Meter:
    def __init__(self, process_id: int) -> None:
        self._process_id = process_id
        self.costs: list[Cost] = []

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        process = self._process_id
        forget_peak(process)
        before, processor, start = memory(process, "VmRSS"), processor_seconds(process), time.perf_counter()
        yield
        seconds, processor = time.perf_counter() - start, processor_seconds(process) - processor
        self.costs.append(Cost(what, seconds, processor, memory(process, "VmHWM") - before, os.getloadavg()[0]))


def measure(installation: Installation, instances: int, checks: tuple[str, ...] = ("EXISTS", "SIZE")) -> list[Cost]:
    archive.fill(installation, instances)
    folder = archive.folder(installation, instances)
    shutil.rmtree(folder / "storage" / "inventory", ignore_errors=True)
    port = free_port()
    server = Server(
        installation, folder, configuration={"DicomAlwaysAllowFind": True, "DicomScpTimeout": 0}, script=SCRIPT,
        inventory={"StoreIn": "Directory", "Dimse": {"Enable": True, "Port": port, "MaximumRecords": 10_000_000}},
    )
    try:
        server.start()
        costs = _costs(server, port, instances, checks)
        server.stop()
        return costs
    finally:
        server.kill()


def _costs(server: Server, port: int, instances: int, checks: tuple[str, ...]) -> list[Cost]:
    meter = _Meter(server.process_id)
    studies = instances // (archive.SERIES * archive.INSTANCES)
    with meter.of("raw read"):
        raw = requests.get(f"{server.url}/benchmark/read-as-the-plugin", timeout=PATIENCE).json()
        assert raw["Instances"] == instances, raw
    with meter.of("inventory"):
        full = _run(server, "/inventories", Instances=instances, Studies=studies)["SOPInstanceUID"]
    changed = range(0, studies, max(1, studies // CHANGED))[:CHANGED]
    added = server.store(*(objects.file(study, 1, 1, 900000) for study in changed))
    time.sleep(2)  # until Orthanc has told of the changes, for which a run would wait
    try:
        with meter.of(f"increment of {len(changed)} studies with a new instance"):
            increment = _run(server, "/inventories", Base=full, Studies=len(changed))["SOPInstanceUID"]
    finally:
        for identifier in added:
            server.delete(f"/instances/{identifier}")
    time.sleep(2)
    with meter.of(f"increment of {len(changed)} studies that lost an instance"):
        _run(server, "/inventories", Base=increment, Studies=len(changed))
    reports = {
        "list of inventories, expanded": "?expand",
        "summary": f"/{full}",
        "statistics": f"/{full}/statistics",
        "comparison with the increment": f"/{full}/compare/{increment}",
        "export of instances in CSV": f"/{full}/export?format=csv&level=INSTANCE",
    }
    for what, path in reports.items():
        with meter.of(what):
            _read(server, path)
    for check in checks:
        with meter.of(f"verification, {check}"):
            found = _run(server, f"/inventories/{full}/verify", Check=check)["Verification"]
        assert (found["Checked"], found["Missing"], found["Damaged"], found["Extra"]) == (instances, 0, 0, 0), found
    _add_walk(meter, port, instances)
    return meter.costs


def _run(server: Server, path: str, Base: str | None = None, Check: str | None = None, **expected: int) -> dict[str, Any]:
    """The finished transaction, with the numbers that are expected of it."""
    body = {"Synchronous": True, **({"Base": Base} if Base else {}), **({"Check": Check} if Check else {})}
    transaction = requests.post(server.url + path, json=body, timeout=PATIENCE).json()
    assert transaction["State"] == "Success", transaction
    assert {name: transaction[name] for name in expected} == expected, transaction
    return transaction


def _read(server: Server, path: str) -> None:
    with requests.get(f"{server.url}/inventories{path}", timeout=PATIENCE, stream=True) as answer:
        answer.raise_for_status()
        for _ in answer.iter_content(1 << 20):
            pass


def _add_walk(meter: _Meter, port: int, instances: int) -> None:
    """A page of Repository Query at the beginning, and one at the end after all that comes before it."""
    page = min(PAGE, instances // 4)
    with raw_scu(port, REPOSITORY, extended=(1,), patience=PATIENCE) as scu:
        with meter.of(f"Repository Query, the first {page:,}"):
            first = scu.count(query(RecordKey=None, MaximumNumberOfRecords=page))
        with meter.of("Repository Query, all others but the last page"):
            before = scu.count(query(RecordKey=None, PriorRecordKey=key_of(first), MaximumNumberOfRecords=instances - 2 * page))
        with meter.of(f"Repository Query, the last {page:,}"):
            last = scu.count(query(RecordKey=None, PriorRecordKey=key_of(before), MaximumNumberOfRecords=page))
    assert [counted.pending for counted in (first, before, last)] == [page, instances - 2 * page, page] and not last.status


def table_rows(place: str, costs: list[Cost]) -> Iterator[tuple[str, str, str, str]]:
    for cost in costs:
        figures = f"{cost.seconds:.2f} s, {cost.processor:.2f} s of the processors, {cost.memory / 1e6:+.1f} MB"
        yield place, cost.what, figures, f"load {cost.load:.0f}"


if __name__ == "__main__":
    for size in map(int, sys.argv[2:]):
        [one] = [entry for entry in INSTALLATIONS if sys.argv[1] in entry.name]
        for row in table_rows(f"{one.name}, {size:,} instances", measure(one, size)):
            print(f"| {' | '.join(row)} |", flush=True)
