"""Each operation of the plugin once on one archive, in seconds by the clock and of processor time: what grows with the archive?

On a machine with other work the processor time tells more than the clock. It is that of Orthanc with the plugin in it, and of
nothing else: PostgreSQL and the clients have theirs. Of an index in PostgreSQL it is the tables that are read.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import requests

from ..integration import archive as objects
from ..integration.postgresql import PostgreSql
from ..integration.server import PLUGIN, POSTGRESQL, POSTGRESQL_PLUGIN, Installation, Server, free_port
from ..interop.raw_messages import raw_scu
from . import archive, postgresql, postgresql_archive
from .orthanc import PATIENCE, SCRIPT, raw_read
from .process import forget_peak, memory, processor_seconds
from .repository_query import PAGE, REPOSITORY, key_of, query

# Studies that change between two inventories.
CHANGED = 100
_RAW, _INVENTORY, _INCREMENT = "raw read", "inventory", "increment of 100 studies with a new instance"
_FIRST, _LAST, _EXISTS = "Repository Query, the first page", "Repository Query, the last page", "verification, EXISTS"


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


def measure(installation: Installation, instances: int) -> list[Cost]:
    """Of an archive with its index in SQLite."""
    archive.fill(installation, instances)
    folder = archive.folder(installation, instances)
    shutil.rmtree(folder / "storage" / "inventory", ignore_errors=True)
    inventory, port = _inventory()
    server = Server(installation, folder, configuration=_QUERIED, inventory=inventory, script=SCRIPT)
    try:
        server.start()
        costs = _costs(server, port, instances, "P%04d", lambda: raw_read(server, instances, "read-as-the-plugin"))
        server.stop()
        return costs
    finally:
        server.kill()


# Orthanc itself lets everyone ask.
_QUERIED = {"DicomAlwaysAllowFind": True, "DicomScpTimeout": 0}


def _inventory() -> tuple[dict[str, Any], int]:
    """The section Inventory, and the port of Repository Query."""
    port = free_port()
    return {"StoreIn": "Directory", "Dimse": {"Enable": True, "Port": port, "MaximumRecords": 10_000_000}}, port


def measure_postgresql(installation: Installation, instances: int) -> list[Cost]:
    """Of an archive with its index in PostgreSQL, without files."""
    server_of_tables = PostgreSql()
    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    section = server_of_tables.create_database()
    inventory, port = _inventory()
    configuration = {**_QUERIED, "Plugins": [PLUGIN, POSTGRESQL_PLUGIN], "PostgreSQL": section}
    server = Server(installation, folder, configuration=configuration, inventory={**inventory, "PostgreSQL": True})
    server.environment = dict(POSTGRESQL)
    try:
        server.start()  # makes the tables
        server.stop()
        with server_of_tables.connect(section["Database"], "postgres") as connection:
            postgresql_archive.fill(connection, instances)
            server.start()
            assert server.get("/statistics")["CountInstances"] == instances
            system = server.get("/system")
            costs = _costs(
                server, port, instances, "P%07d", lambda: postgresql.raw_read(connection, system, instances)
            )
        server.stop()
        return costs
    finally:
        server.kill()
        server_of_tables.remove()
        shutil.rmtree(folder)


def _costs(server: Server, port: int, instances: int, patient: str, read: Callable[[], object]) -> list[Cost]:
    """``patient`` makes the Patient ID of a study from its number."""
    meter = _Meter(server.process_id)
    studies = instances // (archive.SERIES * archive.INSTANCES)
    with meter.of(_RAW):
        read()
    with meter.of(_INVENTORY):
        full = _run(server, "/inventories", Instances=instances, Studies=studies)["SOPInstanceUID"]
    for level in ("SERIES", "STUDY"):
        with meter.of(f"inventory of level {level}"):
            _run(server, "/inventories", {"Level": level}, Studies=studies)
    changed = range(0, studies, max(1, studies // CHANGED))[:CHANGED]
    added = server.store(*(objects.file(study, 1, 1, 900000, PatientID=patient % study) for study in changed))
    time.sleep(4)  # until Orthanc has told of the changes, for which a run would wait, and the archive is at rest
    try:
        with meter.of(_INCREMENT):
            increment = _run(server, "/inventories", {"Base": full}, Studies=len(changed))["SOPInstanceUID"]
    finally:
        for identifier in added:
            server.delete(f"/instances/{identifier}")
    time.sleep(4)
    with meter.of(f"increment of {len(changed)} studies that lost an instance"):
        _run(server, "/inventories", {"Base": increment}, Studies=len(changed))
    reports = {
        "list of inventories, expanded": "?expand",
        "summary": f"/{full}",
        "statistics": f"/{full}/statistics",
        "comparison with the increment": f"/{full}/compare/{increment}",
        "export of instances in CSV": f"/{full}/export?format=csv&level=INSTANCE",
    }
    for what, path in reports.items():
        try:
            with meter.of(what):
                _read(server, path)
        except requests.HTTPError as error:
            # Orthanc 1.10.1 cannot stream an answer, and refuses one that is too large: it is not measured then.
            if error.response.status_code != 413:
                raise
    for check in ("EXISTS", "SIZE"):
        with meter.of(f"verification, {check}"):
            found = _run(server, f"/inventories/{full}/verify", {"Check": check})["Verification"]
        assert (found["Checked"], found["Missing"], found["Damaged"], found["Extra"]) == (instances, 0, 0, 0), found
    _add_walk(meter, port, instances)
    return meter.costs


def _run(server: Server, path: str, body: Mapping[str, str] = {}, **expected: int) -> dict[str, Any]:
    """The finished transaction, with the numbers that are expected of it."""
    transaction = requests.post(server.url + path, json={"Synchronous": True, **body}, timeout=PATIENCE).json()
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
        with meter.of(_FIRST):
            first = scu.count(query(RecordKey=None, MaximumNumberOfRecords=page))
        with meter.of("Repository Query, all between these"):
            before = scu.count(query(RecordKey=None, PriorRecordKey=key_of(first), MaximumNumberOfRecords=instances - 2 * page))
        with meter.of(_LAST):
            last = scu.count(query(RecordKey=None, PriorRecordKey=key_of(before), MaximumNumberOfRecords=page))
    assert [counted.pending for counted in (first, before, last)] == [page, instances - 2 * page, page] and not last.status


def table_rows(place: str, instances: int, costs: list[Cost]) -> Iterator[tuple[str, str, str, str]]:
    """Each operation, and in the last row what ``README.md`` tells of an archive."""
    for cost in costs:
        figures = f"{cost.seconds:.2f} s; {cost.processor:.2f} s of the processors; {cost.memory / 1e6:+.1f} MB"
        yield place, cost.what, figures, f"load {cost.load:.0f}"
    by_name = {cost.what: cost for cost in costs}
    raw, inventory = by_name[_RAW], by_name[_INVENTORY]
    first, last, increment, exists = (by_name[what] for what in (_FIRST, _LAST, _INCREMENT, _EXISTS))
    ratio = f"{raw.seconds / inventory.seconds:.2f}"
    if raw.processor > 1:  # else it is not Orthanc that reads
        ratio += f" ({raw.processor / inventory.processor:.2f})"
    yield place, " · ".join([
        f"{instances / inventory.seconds:,.0f} instances/s ({instances / inventory.processor:,.0f})", f"of the raw {ratio}",
        f"{inventory.memory / 1e6:.1f} MB", f"increment {increment.seconds:.1f} s ({increment.processor:.2f})",
        f"last page against the first {last.seconds / first.seconds:.2f} ({last.processor / first.processor:.2f})",
        f"EXISTS {instances / exists.seconds:,.0f}/s ({instances / exists.processor:,.0f})",
    ]), "in parentheses by processor time", f"load {inventory.load:.0f}"
