"""Inventories go when there are newer ones, or when they are old; what another is made of stays."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from . import archive
from .server import Server
from .waiting import wait_until


def wait_for(server: Server, uids: list[str]) -> None:
    """Until these inventories, and no others, are left."""
    wait_until(lambda: server.get("/inventories") == uids, lambda: (server.get("/inventories"), server.log()))


def wait_until_deleted(server: Server, number: int) -> None:
    """Until retention has told of so many, which it does when nothing of them is left."""

    def count() -> int:
        return sum(int(line.split()[1]) for line in server.log_lines() if line.startswith("retention: "))

    wait_until(lambda: count() == number, server.log)


def make_older(server: Server, uid: str, created: str) -> None:
    """As if the inventory had been made at another time."""
    with sqlite3.connect(server.state_directory / "journal.db") as journal:
        ((text,),) = journal.execute("SELECT document FROM inventories WHERE uid = ?", (uid,)).fetchall()
        document = json.dumps({**json.loads(text), "CreationTime": created})
        journal.execute("UPDATE inventories SET document = ? WHERE uid = ?", (document, uid))
    journal.close()


def test_the_newest_of_each_level_and_scope_stay(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"Retention": {"Keep": 2}}).start()
    server.store(*archive.files(2))
    before = server.get("/statistics")
    bodies: list[dict[str, Any]] = [{}, {"Level": "STUDY"}, {"Scope": {"PatientID": "P*"}}]
    first, second, third = ([server.make(**body)["SOPInstanceUID"] for body in bodies] for _ in range(3))
    wait_for(server, [*second, *third])
    wait_until_deleted(server, len(first))
    assert server.get("/statistics")["CountInstances"] == before["CountInstances"] + 6
    assert server.get(f"/inventories/{third[0]}")["Expiration"] is None
    server.error("GET", f"/inventories/{first[0]}/file", 404)


def test_what_is_too_old_goes_at_the_next_start(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"Retention": {"Days": 30}, "StoreIn": "Directory"}).start()
    server.store(*archive.files(2))
    old, new = server.make(), server.make()
    created, expiration = new["CreationTime"], new["Expiration"]
    assert len(expiration) == len("YYYYMMDDHHMMSS+0000") and expiration.endswith("+0000") and expiration[:8] > created[:8]
    server.stop()
    make_older(server, old["SOPInstanceUID"], "20250101T000000")
    server.start()
    wait_for(server, [new["SOPInstanceUID"]])
    wait_until_deleted(server, 1)
    assert [path.name for path in server.state_directory.rglob("*.dcm")] == [f"{new['SOPInstanceUID']}.dcm"]


def test_without_retention_nothing_goes(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"StoreIn": "Directory"}).start()
    old, new = server.make(), server.make()
    server.stop()
    make_older(server, old["SOPInstanceUID"], "19990101T000000")
    server.start()
    newest = server.make()
    uids = [summary["SOPInstanceUID"] for summary in (old, new, newest)]
    assert server.get("/inventories") == uids
