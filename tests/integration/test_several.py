"""Several Orthancs on one index in PostgreSQL, which share the journal of inventories too."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from . import archive
from .postgresql import PASSWORD, PostgreSql
from .server import INSTALLATIONS, PLUGIN, POSTGRESQL, POSTGRESQL_PLUGIN, REPOSITORY, Server, object_uids

# The one whose plugin for PostgreSQL lets several Orthancs work on one index.
_INSTALLATION = INSTALLATIONS[1]
_PATIENCE = 60.0
_LEASE = 4
# Small leaves, and a run that rests before each study until the file is there.
_SLOWLY = """
def rest(*arguments):
    while not os.path.exists(folder + "/go on"):
        time.sleep(0.01)
at(IndexSource, 'read', range({0}, 1_000_000), rest)
"""


@pytest.fixture
def database(postgresql: PostgreSql) -> dict[str, Any]:
    """Orthanc's section PostgreSQL of an empty database, in which the administrator has made the schema of the journal."""
    section = {**postgresql.create_database(), "Lock": False}
    with postgresql.connect(section["Database"]) as connection:
        connection.execute("CREATE SCHEMA orthanc_inventory")
    return section


@pytest.fixture
def make(database: dict[str, Any], tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes one of several Orthancs that is not started yet; each one ends with the test."""
    servers: list[Server] = []

    def make(configuration: dict[str, Any] | None = None, **inventory: Any) -> Server:
        folder = tmp_path / f"orthanc{len(servers)}"
        folder.mkdir()
        server = Server(
            _INSTALLATION,
            folder,
            {
                "Plugins": [PLUGIN, POSTGRESQL_PLUGIN],
                "StorageDirectory": str(tmp_path / "storage"),
                "PostgreSQL": database,
                "DatabaseServerIdentifier": f"orthanc{len(servers)}",
                **(configuration or {}),
            },
            {
                "PostgreSQL": True,
                "MaxRecordsPerInstance": 6,
                "SharedJournal": {"Enable": True, "Folder": str(tmp_path / "shared"), "LeaseSeconds": _LEASE},
                **inventory,
            },
        )
        server.bound = tmp_path
        server.environment = dict(POSTGRESQL)
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.kill()


HELPS = "is worked at here, too"


def go_on(*servers: Server) -> None:
    for server in servers:
        (server.folder / "go on").touch()


def working(servers: list[Server], uid: str, verb: str = "starts") -> list[Server]:
    """Those that lead a run, or help."""
    return [server for server in servers if any(line.startswith(f"{uid} {verb}") for line in server.log_lines())]


def wait_for(what: Callable[[], Any]) -> Any:
    """What it answers, once that is true."""
    deadline = time.monotonic() + _PATIENCE
    while not (answer := what()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


def check(server: Server, uid: str, patients: int) -> None:
    """Each study is in the inventory once, which is the only one, and COMPLETE."""
    transaction = server.transaction(uid)
    assert (transaction["State"], transaction["Studies"], transaction["Skipped"]) == ("Success", patients, [])
    (root,) = server.get("/inventories")
    assert root == transaction["SOPInstanceUID"]
    summary = server.get(f"/inventories/{root}")
    assert (summary["InventoryCompletionStatus"], summary["Missing"]) == ("COMPLETE", [])
    numbers = range(1, patients + 1)
    expected = [(f"P{n:04}", archive.uid(n, 1), archive.uid(n, 1, 1), archive.uid(n, 1, 1, 1)) for n in numbers]
    assert object_uids(server.studies(summary)) == sorted(expected)
    # Nothing is left of what was cut short.
    wait_for(lambda: kept(server) == len(summary["InstanceUIDs"]))


def kept(server: Server) -> int:
    """How many inventory instances are in Orthanc."""
    studies = server.post("/tools/find", {"Level": "Study", "Query": {"PatientID": "ORTHANC-INVENTORY"}})
    return sum(server.get(f"/studies/{study}/statistics")["CountInstances"] for study in studies)


@pytest.mark.parametrize("victim", ["leader", pytest.param("another", marks=pytest.mark.long)])
def test_studies_are_shared_out_and_those_of_a_dead_orthanc_are_read_by_others(
    make: Callable[..., Server], victim: str
) -> None:
    servers = [make() for _ in range(3)]
    for server in servers:
        server.start_with(_SLOWLY.format(2))
    servers[0].store(*archive.files(24))
    uid = servers[0].begin()
    # Each has read a study, and is at the next.
    [leader] = wait_for(lambda: working(servers, uid))
    helpers = wait_for(lambda: len(found := working(servers, uid, HELPS)) == 2 and found)
    for server in servers:
        assert server.get("/inventories/transactions") == [uid]
        assert server.transaction(uid)["State"] == "Running"
    dead = leader if victim == "leader" else helpers[0]
    dead.kill()
    start = time.monotonic()
    others = [server for server in servers if server is not dead]
    go_on(*others)
    for server in others:
        server.wait_for(uid)
        check(server, uid, 24)
    print(f"{victim}: over {time.monotonic() - start:.1f} s after the death, with leases of {_LEASE} s")
    assert len(working(others, uid)) == 1
    # The dead one comes back, and knows what the others do.
    dead.start()
    check(dead, uid, 24)


@pytest.mark.parametrize("moments", [2, pytest.param(25, marks=pytest.mark.long)])
def test_one_that_is_killed_at_random_and_comes_back(make: Callable[..., Server], moments: int) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    chance = random.Random(seed)
    servers = [make(ThrottleDelay=100).start() for _ in range(2)]
    servers[0].store(*archive.files(24))
    start = time.monotonic()
    summary = servers[0].make()
    duration, hit = time.monotonic() - start, 0
    servers[1].delete(f"/inventories/{summary['SOPInstanceUID']}")
    for _ in range(moments):
        uid = chance.choice(servers).begin()
        time.sleep(chance.uniform(0, duration))
        victim, other = chance.sample(servers, 2)
        victim.kill()
        hit += other.transaction(uid)["State"] == "Running"
        victim.start()
        for server in servers:
            server.wait_for(uid)
            check(server, uid, 24)
        victim.delete(f"/inventories/{other.get('/inventories')[0]}")
        for server in servers:
            assert server.get("/inventories") == []
        wait_for(lambda: kept(other) == 0)
    print(f"{moments} kills, {hit} of them in a run, {moments} inventories")


def test_another_orthanc_pauses_and_resumes(make: Callable[..., Server]) -> None:
    servers = [make().start_with(_SLOWLY.format(2)) for _ in range(2)]
    servers[0].store(*archive.files(12))
    uid = servers[0].begin()
    [leader] = wait_for(lambda: working(servers, uid))
    [other] = [server for server in servers if server is not leader]
    wait_for(lambda: working(servers, uid, HELPS))
    assert other.post(f"/inventories/transactions/{uid}/pause")["TransactionStatus"] == "PAUSED"
    assert leader.transaction(uid)["State"] == "Paused"
    assert "PAUSED" in leader.error("POST", f"/inventories/transactions/{uid}/pause", 409)
    go_on(*servers)
    # Who led it may not have looked yet, and must not go on when it does.
    assert other.post(f"/inventories/transactions/{uid}/resume")["TransactionStatus"] == "PROCESSING"
    for server in servers:
        server.wait_for(uid)
        check(server, uid, 12)


def two_at_work(make: Callable[..., Server]) -> tuple[Server, Server, str]:
    """Who leads a run, who helps with it, and its Transaction UID."""
    servers = [make().start_with(_SLOWLY.format(2)) for _ in range(2)]
    servers[0].store(*archive.files(12))
    uid = servers[0].begin()
    [leader] = wait_for(lambda: working(servers, uid))
    wait_for(lambda: working(servers, uid, HELPS))
    [other] = [server for server in servers if server is not leader]
    return leader, other, uid


def test_another_orthanc_cancels(make: Callable[..., Server], postgresql: PostgreSql, database: dict[str, Any]) -> None:
    leader, other, uid = two_at_work(make)
    with ThreadPoolExecutor(1) as thread, postgresql.connect(database["Database"]) as connection:
        answer = thread.submit(other.post, f"/inventories/transactions/{uid}/cancel")
        # Only then does the run get on: it must not be at its end before.
        query = "SELECT 1 FROM orthanc_inventory.transactions WHERE document ->> 'cancellation' IS NOT NULL"
        wait_for(lambda: connection.execute(query).fetchone())
        go_on(leader, other)
        assert answer.result()["TransactionStatus"] == "CANCELED"
    for server in (leader, other):
        assert server.transaction(uid)["TransactionStatus"] == "CANCELED"
        assert server.get("/inventories") == []
    # What the helper has written last goes as soon as it sees that it counts no more.
    wait_for(lambda: kept(other) == 0)


def test_two_begin_at_once(make: Callable[..., Server]) -> None:
    servers = [make().start() for _ in range(2)]
    servers[0].store(*archive.files(3))
    with ThreadPoolExecutor(8) as threads:
        same = {"TransactionUID": "2.25.7"}
        answers = list(threads.map(lambda n: servers[n % 2].request("POST", "/inventories", json=same).status_code, range(8)))
        assert sorted(answers) == [200] + 7 * [409]
        uids = list(threads.map(lambda n: servers[n % 2].begin(), range(8)))
    for uid in ["2.25.7", *uids]:
        assert servers[1].wait_for(uid)["State"] == "Success"
    assert len(set(servers[0].get("/inventories"))) == 9
    assert servers[0].get("/inventories") == servers[1].get("/inventories")


def test_the_database_is_stopped_and_started_in_a_run(make: Callable[..., Server], postgresql: PostgreSql) -> None:
    servers = [make().start_with(_SLOWLY.format(2)) for _ in range(2)]
    servers[0].store(*archive.files(12))
    uid = servers[0].begin()
    wait_for(lambda: working(servers, uid, HELPS))
    postgresql.stop()
    try:
        for server in servers:
            assert server.request("GET", "/inventories/transactions").status_code == 503
        go_on(*servers)
    finally:
        postgresql.start()

    def over() -> bool:
        answer = servers[0].request("GET", f"/inventories/transactions/{uid}")
        return answer.status_code == 200 and answer.json()["State"] in ("Success", "Failure")

    wait_for(over)
    for server in servers:
        check(server, uid, 12)
        assert PASSWORD not in server.log()


@pytest.mark.long
def test_one_that_was_stopped_for_longer_than_its_lease_does_no_harm(make: Callable[..., Server]) -> None:
    leader, other, uid = two_at_work(make)
    os.kill(leader.process_id, signal.SIGSTOP)
    go_on(leader, other)
    try:
        other.wait_for(uid)
    finally:
        os.kill(leader.process_id, signal.SIGCONT)
    for server in (leader, other):
        wait_for(lambda: server.transaction(uid)["State"] == "Success")
        check(server, uid, 12)


def test_a_schedule_starts_one_run_and_retention_keeps_one(make: Callable[..., Server]) -> None:
    schedule = {"Name": "nightly", "Every": "1w", "Keep": 1}
    servers = [make(Schedules=[schedule]) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda server: server.start(), servers))
    first = wait_for(lambda: servers[0].get("/inventories/transactions"))
    assert len(first) == 1
    servers[1].wait_for(first[0])
    by_hand = servers[2].post("/inventories/schedules/nightly/run")["ID"]
    servers[0].wait_for(by_hand)
    for server in servers:
        wait_for(lambda: len(server.get("/inventories")) == 1)
        assert server.get("/inventories") == [server.transaction(by_hand)["SOPInstanceUID"]]
        assert server.get("/inventories/transactions") == [first[0], by_hand]
    deleted = [line for server in servers for line in server.log_lines() if line.startswith("retention")]
    assert deleted == ["retention: 1 inventories were deleted"]


def test_inventories_in_a_folder_that_all_share(make: Callable[..., Server], tmp_path: Path) -> None:
    servers = [make(StoreIn="Directory").start() for _ in range(2)]
    servers[0].store(*archive.files(8))
    summary = servers[0].make()
    there = servers[1].get(f"/inventories/{summary['SOPInstanceUID']}")
    assert there == summary and there["Missing"] == [] and len(servers[1].studies(there)) == 8
    imported = servers[1].request("GET", f"/inventories/{summary['InstanceUIDs'][-1]}/file").content
    servers[0].delete(f"/inventories/{summary['SOPInstanceUID']}")
    assert servers[1].get("/inventories") == []
    uid = servers[1].request("POST", "/inventories/import", data=imported).json()["ID"]
    assert servers[0].request("GET", f"/inventories/{uid}/file").content == imported
    assert all(path.stat().st_mode & 0o077 == 0 for path in [tmp_path / "shared", *(tmp_path / "shared").rglob("*")])


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ("no schema", "the database has no schema orthanc_inventory"),
        pytest.param(
            "another folder", "Inventory.SharedJournal.Folder is not that of the other Orthancs", marks=pytest.mark.long
        ),
        pytest.param("later version", "has the version 99 of a later plugin", marks=pytest.mark.long),
        ("no folder", "Inventory.SharedJournal.Folder is missing"),
        ("no connection", "Inventory.PostgreSQL is false"),
    ],
)
def test_what_cannot_be_shared_is_refused(
    make: Callable[..., Server], postgresql: PostgreSql, database: dict[str, Any], tmp_path: Path, problem: str, said: str
) -> None:
    shared: dict[str, Any] = {"Enable": True, "Folder": str(tmp_path / "shared")}
    inventory: dict[str, Any] = {}
    if problem == "no folder":
        del shared["Folder"]
    elif problem == "no connection":
        inventory["PostgreSQL"] = False
    elif problem != "no schema":
        make().start().stop()
    with postgresql.connect(database["Database"]) as connection:
        if problem == "no schema":
            connection.execute("DROP SCHEMA orthanc_inventory CASCADE")
        elif problem == "later version":
            connection.execute("UPDATE orthanc_inventory.journal SET version = 99")
    if problem == "another folder":
        shared["Folder"] = str(tmp_path / "not shared")
    server = make(SharedJournal=shared, **inventory).start()
    assert said in server.error("GET", "/inventories/status", 503)


def test_the_plugin_needs_no_more_rights_than_the_readme_gives(
    make: Callable[..., Server], postgresql: PostgreSql, database: dict[str, Any]
) -> None:
    server = make()
    server.configuration["Inventory"] = {}
    server.start().stop()
    name, user = database["Database"], f"inventory_of_{database['Database']}"
    statements = re.findall(r"```sql\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert len(statements) == 2
    with postgresql.connect(name, "postgres") as connection:
        connection.execute("DROP SCHEMA orthanc_inventory")
        for statement in "".join(statements).split(";"):
            for word, other in (("orthanc_db", name), ("choose-one", PASSWORD), (" inventory", f" {user}")):
                statement = statement.replace(word, other)
            if statement.strip():
                connection.execute(statement.encode())
    other = make(PostgreSQL=postgresql.access(name, user)).start()
    other.store(*archive.files(3))
    assert other.make()["Studies"] == 3
    assert other.get("/inventories/status")["Source"].startswith("snapshot")
    with postgresql.connect(name) as connection:
        query = "SELECT tableowner FROM pg_tables WHERE schemaname = 'orthanc_inventory'"
        assert {owner for (owner,) in connection.execute(query.encode())} == {user}
