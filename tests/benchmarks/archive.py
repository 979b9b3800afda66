"""Archives of any size: CT studies of five series with 25 small objects each, made once and kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from ..integration import archive
from ..integration.server import CACHE, Installation, Server

SERIES = 5
INSTANCES = 25


def folder(installation: Installation, instances: int) -> Path:
    return CACHE / "benchmarks" / f"{installation.name.replace(' ', '-')}-{instances}"


def fill(installation: Installation, instances: int) -> None:
    """Makes the archive unless it is there."""
    place = folder(installation, instances)
    complete = place / "complete"
    if complete.exists():
        return
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    server = Server(installation, place, inventory={"Enable": False}).start()
    try:
        with ThreadPoolExecutor(4) as pool:
            for _ in pool.map(lambda study: _store(server.url, study), range(instances // (SERIES * INSTANCES))):
                pass
        assert server.get("/statistics")["CountInstances"] == instances
        server.stop()
    finally:
        server.kill()
    complete.touch()


def _store(url: str, study: int) -> None:
    with requests.Session() as session:
        for file in _files(study):
            assert session.post(f"{url}/instances", data=file, timeout=60).json()["Status"] == "Success"


def _files(study: int) -> Iterator[bytes]:
    """One is encoded, the others differ from it in the number of the object: encoding each would take the most time."""
    for series in range(SERIES):
        template = archive.file(study, 1, series, 100000, InstanceNumber="100000")
        for instance in range(INSTANCES):
            yield template.replace(b"100000", b"%06d" % (100000 + instance))
