"""The record of changes: complete while the plugin watches, and known to be incomplete after anything else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from . import archive
from .server import Server
from .waiting import wait_until

pytestmark = pytest.mark.indexes("SQLite", "PostgreSQL", "PostgreSQL-by-SQL")


def watch(server: Server) -> tuple[int, int, str]:
    """Sequence, gap and state, as the plugin wrote them."""
    with sqlite3.connect(f"file:{server.state_directory / 'changes.db'}?mode=ro", uri=True) as connection:
        return connection.execute("SELECT sequence, gap, state FROM watch").fetchone()


def changes(server: Server) -> dict[str, tuple[str, int]]:
    with sqlite3.connect(f"file:{server.state_directory / 'changes.db'}?mode=ro", uri=True) as connection:
        return {row[0]: (row[1], row[2]) for row in connection.execute("SELECT identifier, level, deleted FROM changes")}


def wait_for_changes(server: Server, count: int) -> dict[str, tuple[str, int]]:
    wait_until(lambda: len(changes(server)) >= count, lambda: changes(server))
    return changes(server)


def test_every_kind_of_change_is_recorded(server: Server) -> None:
    first, second, third = server.store(*archive.files(1, 1, 1, 3))
    (study,) = server.get("/studies")
    assert wait_for_changes(server, 1) == {study: ("Study", 0)}
    server.delete(f"/instances/{first}")
    server.request("PUT", f"/instances/{second}/metadata/1024", data="x")
    found = wait_for_changes(server, 3)
    assert found[first] == ("Instance", 1) and found[second] == ("Instance", 0)
    server.delete(f"/studies/{study}")
    expected = {study: ("Study", 1), second: ("Instance", 1), third: ("Instance", 1)}
    wait_until(lambda: expected.items() <= changes(server).items(), lambda: changes(server))


def test_a_clean_stop_is_no_gap_and_a_kill_in_the_middle_is_one(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    server.store(*archive.files(2))
    wait_for_changes(server, 2)
    server.stop()
    _, gap, state = watch(server)
    assert state
    server.start()
    assert watch(server)[1] == gap
    # Changes of the last moment are lost with the process: the next start knows.
    server.store(*archive.files(3))
    server.kill()
    server.start()
    assert watch(server)[1] > gap


def test_changes_without_the_plugin_are_a_gap(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    identifiers = server.store(*archive.files(1, 1, 1, 2))
    wait_for_changes(server, 1)
    server.stop()
    _, gap, _ = watch(server)
    server.configuration["Inventory"] = {"Enable": False}
    server.start()
    server.delete(f"/instances/{identifiers[0]}")
    server.stop()
    server.configuration["Inventory"] = {}
    server.start()
    assert watch(server)[1] > gap
