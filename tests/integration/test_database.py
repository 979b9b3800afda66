"""A run waits while Orthanc cannot reach its database, and goes on by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import archive
from .postgresql import PostgreSql, server_on
from .resting import RESTING, rest_before, rest_no_more
from .server import Installation, Server, object_uids

# More than are read at once.
STUDIES = 70
_PATIENCE = 120.0
# Orthanc itself gives up soon.
_IMPATIENT = {"MaximumConnectionRetries": 1, "ConnectionRetryInterval": 1}
_QUICK = """
from orthanc_inventory.production import runs
from orthanc_inventory.sources import snapshot
runs._PAUSE = 0.5
# A study at a time, and one ahead of it.
snapshot._FIRST_STUDIES = snapshot._MOST_STUDIES = 1
"""


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSql]:
    """That of other tests must go on."""
    server = PostgreSql()
    yield server
    server.remove()


@pytest.fixture(params=[False, True], ids=["by API", "by SQL"])
def server(
    request: pytest.FixtureRequest, own_postgresql: PostgreSql, installation: Installation, tmp_path: Path
) -> Iterator[Server]:
    server = server_on(
        own_postgresql, installation, tmp_path, request.param, inventory={"MaxRecordsPerInstance": 30, "StoreIn": "Directory"}
    )
    server.configuration["PostgreSQL"].update(_IMPATIENT)
    yield server
    server.kill()


def wait_for_line(server: Server, *words: str) -> None:
    """By the log alone: Orthanc answers nothing while it has no database."""
    deadline = time.monotonic() + _PATIENCE
    while not any(all(word in line for word in words) for line in server.log_lines()):
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.1)


def lose_the_database(server: Server, own_postgresql: PostgreSql) -> str:
    """A run that waits in its middle."""
    rest_before(server, 5)
    server.start_with(RESTING + _QUICK)
    server.store(*archive.files(STUDIES))
    uid = server.begin()
    server.wait_until(uid, Studies=5)
    own_postgresql.stop()
    rest_no_more(server)
    wait_for_line(server, uid, "waits")
    return uid


def test_a_run_waits_for_the_database(server: Server, own_postgresql: PostgreSql) -> None:
    uid = lose_the_database(server, own_postgresql)
    own_postgresql.start()
    check_whole(server, uid)
    # A verification finds nothing that is not so.
    rest_before(server, 5)
    verification = server.post(f"/inventories/{server.get('/inventories')[0]}/verify", {"Check": "MD5"})["ID"]
    server.wait_until(verification, Studies=5)
    own_postgresql.stop()
    rest_no_more(server)
    wait_for_line(server, verification, "waits")
    own_postgresql.start()
    transaction = server.wait_for(verification)
    assert transaction["State"] == "Success"
    assert transaction["TransactionStatusComment"].startswith(f"all {STUDIES} instances"), transaction
    assert server.make()["Studies"] == STUDIES


def test_what_waits_for_the_database_can_be_cancelled(server: Server, own_postgresql: PostgreSql) -> None:
    uid = lose_the_database(server, own_postgresql)
    transaction = server.post(f"/inventories/transactions/{uid}/cancel")
    assert transaction["TransactionStatus"] == "CANCELED"
    own_postgresql.start()
    assert not list((server.state_directory / "instances").glob("*"))
    check_whole(server, server.begin())


def check_whole(server: Server, uid: str) -> None:
    transaction = server.wait_for(uid)
    assert (transaction["State"], transaction["Studies"], transaction["Skipped"]) == ("Success", STUDIES, []), transaction
    assert server.get("/inventories") == [transaction["SOPInstanceUID"]]
    summary = server.get(f"/inventories/{transaction['SOPInstanceUID']}")
    uids = object_uids(server.studies(summary))
    assert summary["InventoryCompletionStatus"] == "COMPLETE" and len(uids) == len(set(uids)) == STUDIES
    files = [path for path in (server.state_directory / "instances").rglob("*") if path.is_file()]
    assert len(files) == len(summary["InstanceUIDs"])
