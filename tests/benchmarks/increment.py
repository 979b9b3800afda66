"""An increment against the full run: 100 studies that changed, of 5,000 with 20 instances each."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator

import requests

from ..integration import archive as objects
from ..integration.server import Installation, Server
from . import archive

_STUDIES, _SERIES, _IN_SERIES = 5000, 2, 10
_CHANGED = range(0, _STUDIES, _STUDIES // 100)


def measure(installation: Installation) -> Iterator[tuple[str, float, float]]:
    """What changed, and the seconds of the increment and of a full run of the same moment."""
    instances = _STUDIES * _SERIES * _IN_SERIES
    archive.fill(installation, instances, _SERIES, _IN_SERIES)
    folder = archive.folder(installation, instances, _SERIES, _IN_SERIES)
    shutil.rmtree(folder / "storage" / "inventory", ignore_errors=True)
    server = Server(installation, folder, inventory={"StoreIn": "Directory"})
    try:
        server.start()
        _run(server)
        added = server.store(*(objects.file(study, 1, 1, 900000) for study in _CHANGED))
        yield "an instance came", *_both(server)
        for identifier in added:
            server.delete(f"/instances/{identifier}")
        yield "an instance was deleted", *_both(server)
        server.stop()
    finally:
        server.kill()


def _both(server: Server) -> tuple[float, float]:
    time.sleep(4)  # until Orthanc has told of the changes, for which a run would wait, and the archive is at rest
    increment = _run(server, Base="latest", studies=len(_CHANGED))
    return increment, _run(server, studies=_STUDIES)


def _run(server: Server, studies: int = _STUDIES, **body: str) -> float:
    start = time.perf_counter()
    transaction = requests.post(f"{server.url}/inventories", json={**body, "Synchronous": True}, timeout=3600).json()
    seconds = time.perf_counter() - start
    assert (transaction["State"], transaction["Studies"]) == ("Success", studies), transaction
    return seconds
