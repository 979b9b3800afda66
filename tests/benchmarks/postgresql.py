"""Inventories of an index in PostgreSQL: by snapshots of its tables, against Orthanc's API and against the bare questions."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psycopg

from orthanc_inventory.dicom.terms import LEVELS
from orthanc_inventory.sources.query import recorded_tags
from orthanc_inventory.sources.tables import SERIES, Tables

from ..integration.postgresql import PostgreSql
from ..integration.server import PLUGIN, POSTGRESQL, POSTGRESQL_PLUGIN, Installation, Server
from .orthanc import run_once
from .postgresql_archive import fill

_ROUNDS = 5
# Studies in one question of the raw read: as many as the plugin comes to ask for.
_STUDIES = 64


class Measurement(NamedTuple):
    """``raw`` and ``tables`` are rates in instances a second, ``ratio`` the one to the other in rounds whose parts follow each
    other closely; ``times`` is ``tables`` against the rate by the API, ``memory`` by how much Orthanc grew in a run (bytes).
    """

    instances: int
    raw: float
    tables: float
    ratio: float
    times: float
    memory: int


def measure(installation: Installation, instances: int, by_api: bool = True) -> Measurement:
    postgresql = PostgreSql()
    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    try:
        return _measure(postgresql, folder, installation, instances, by_api)
    finally:
        postgresql.remove()
        shutil.rmtree(folder)


def _measure(
    postgresql: PostgreSql, folder: Path, installation: Installation, instances: int, by_api: bool
) -> Measurement:
    section = postgresql.create_database()
    server = Server(
        installation, folder, configuration={"Plugins": [PLUGIN, POSTGRESQL_PLUGIN], "PostgreSQL": section},
        inventory={"StoreIn": "Directory", "PostgreSQL": True},
    )
    server.environment = dict(POSTGRESQL)
    try:
        server.start()  # makes the tables
        server.stop()
        with postgresql.connect(section["Database"], "postgres") as connection:
            fill(connection, instances)
            server.start()
            statistics = server.get("/statistics")
            assert (statistics["CountInstances"], len(server.get("/studies"))) == (instances, statistics["CountStudies"])
            system = server.get("/system")
            rounds = [(raw_read(connection, system, instances), *run_once(server, instances)) for _ in range(_ROUNDS)]
        server.stop()
        by_tables = median(seconds for _, seconds, _ in rounds)
        times = 0.0
        if by_api:
            server.configuration["Inventory"]["PostgreSQL"] = False
            server.start()
            times = run_once(server, instances)[0] / by_tables
            server.stop()
    finally:
        server.kill()
    raw, ratio = median(raw for raw, _, _ in rounds), median(raw / seconds for raw, seconds, _ in rounds)
    return Measurement(instances, instances / raw, instances / by_tables, ratio, times, max(grown for *_, grown in rounds))


def raw_read(connection: psycopg.Connection[Any], system: dict[str, Any], instances: int) -> float:
    """Seconds of the questions that a run asks, each answer taken and thrown away."""
    tags = {level: recorded_tags(level, system.get("MainDicomTags")) for level in LEVELS}
    tables = Tables(tags, labels="HasLabels" in system)
    start, count = time.perf_counter(), 0
    with connection.transaction():
        connection.execute("SET LOCAL jit = off")
        for setting in ("seqscan", "hashjoin", "mergejoin"):
            connection.execute(f"SET LOCAL enable_{setting} = off".encode())
        query = "SELECT publicid FROM resources WHERE resourcetype = 1 ORDER BY internalid"
        studies = [row[0] for row in connection.execute(query)]
        for part in _parts(studies):
            heads = connection.execute(tables.heads.encode(), (part,), prepare=False).fetchall()
            series = connection.execute(SERIES, ([row[0] for row in heads],), prepare=False).fetchall()
            rows = connection.execute(tables.instances.encode(), ([row[1] for row in series],), prepare=False).fetchall()
            count += len(rows)
    assert count == instances
    return time.perf_counter() - start


def _parts(studies: list[str]) -> Iterator[list[str]]:
    return (studies[start : start + _STUDIES] for start in range(0, len(studies), _STUDIES))


def table_rows(name: str, measured: list[Measurement]) -> Iterator[tuple[str, ...]]:
    for entry in measured:
        place = f"{name}, PostgreSQL, {entry.instances:,} instances"
        yield place, "raw questions to the tables", f"{entry.raw:,.0f} instances/s", ""
        yield place, "a run by tables", f"{entry.tables:,.0f} instances/s, {entry.ratio:.2f} of that", "0.90 or more"
        if entry.times:
            yield place, "a run by tables, against one by the API", f"{entry.times:.0f} times", "20 or more"
        yield place, "growth of Orthanc in a run by tables", f"{entry.memory / 1e6:.1f} MB", ""
