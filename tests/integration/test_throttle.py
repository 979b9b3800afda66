"""``Throttle`` Auto: a run rests while Orthanc is busy, tells so, and comes to its end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from . import archive
from .server import Server

STUDIES = 10
# From the first study on the question of the throttle takes long, and each study so long that it is asked.
BUSY = """
busy = []
original = Host.get
def get(self, path):
    if path == '/changes?last' and busy:
        time.sleep(0.15)
    return original(self, path)
Host.get = get
def read(*arguments):
    busy.append(True)
    time.sleep(0.06)
at(IndexSource, 'read', always, read)
"""


def resting(server: Server) -> float:
    metrics = server.request("GET", "/tools/metrics-prometheus").text
    [line] = [line for line in metrics.splitlines() if line.startswith("orthanc_inventory_resting ")]
    return float(line.split()[1])


@pytest.mark.newest
def test_a_run_rests_while_orthanc_is_busy(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"Throttle": "Auto"}).start_with(BUSY)
    assert server.get("/inventories/status")["Throttle"] == "Auto" and resting(server) == 0
    server.store(*archive.files(STUDIES))
    uid = server.begin()
    shown = metric = 0.0
    while (transaction := server.transaction(uid))["State"] in ("Pending", "Running"):
        shown = max(shown, server.get("/inventories/status")["Resting"])
        metric = max(metric, resting(server))
    assert transaction["State"] == "Success" and transaction["Studies"] == STUDIES
    assert 20 <= shown <= 90 and 20 <= metric <= 90
    [line] = [line for line in server.log_lines() if "rests between studies" in line]
    assert "Family" not in line


def test_by_default_orthanc_is_not_even_asked(make_server: Callable[..., Server]) -> None:
    server = make_server().start_with(BUSY)
    server.store(*archive.files(3))
    server.make()
    status = server.get("/inventories/status")
    assert (status["Throttle"], status["Resting"]) == ("Delay", 0)
    assert not [line for line in server.log_lines() if "rests" in line]
