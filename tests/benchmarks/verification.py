"""A verification against the run that made the inventory."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import requests

from ..integration.server import Installation, Server
from . import archive

_ROUNDS = 3


def measure(installation: Installation, instances: int) -> Iterator[tuple[str, float, float]]:
    """Each check, its instances a second, and how many times as fast it is as an inventory run."""
    archive.fill(installation, instances)
    folder = archive.folder(installation, instances)
    shutil.rmtree(folder / "storage" / "inventory", ignore_errors=True)
    server = Server(installation, folder, inventory={"StoreIn": "Directory"})
    try:
        server.start()
        _run(server, "/inventories", {})  # warms up
        for check in ("EXISTS", "SIZE", "MD5"):
            rounds = []
            for _ in range(_ROUNDS):
                made, seconds = _run(server, "/inventories", {})
                transaction, needed = _run(server, f"/inventories/{made['SOPInstanceUID']}/verify", {"Check": check})
                found = transaction["Verification"]
                assert (found["Checked"], found["Missing"], found["Damaged"], found["Extra"]) == (instances, 0, 0, 0), found
                rounds.append((seconds, needed))
            yield check, instances / median(needed for _, needed in rounds), median(one / other for one, other in rounds)
        server.stop()
    finally:
        server.kill()


def _run(server: Server, path: str, body: dict[str, str]) -> tuple[dict[str, Any], float]:
    """The finished transaction, and the seconds that it took."""
    start = time.perf_counter()
    transaction = requests.post(server.url + path, json={**body, "Synchronous": True}, timeout=1800).json()
    seconds = time.perf_counter() - start
    assert transaction["State"] == "Success", transaction
    return transaction, seconds
