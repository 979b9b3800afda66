"""What the plugin may do in Orthanc's PostgreSQL, and for how long others have to wait for it."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from . import archive
from .postgresql import PASSWORD, PostgreSql
from .server import Server
from .test_postgresql import BY_SQL, connections, source, with_reader
from .test_rejections import note
from .test_verification import counts, verify
from .waiting import wait_until


@BY_SQL
def test_a_user_who_can_only_read_is_enough(make_server: Callable[..., Server], postgresql: PostgreSql) -> None:
    server, user = with_reader(make_server, postgresql)
    server.start()
    server.store(*archive.files(3), note(2, 1, "113039", (1, 1)))
    summary = server.make()
    assert summary["Studies"] == 3 and source(server).startswith("snapshot: ")
    withdrawn = {"Scope": {"RemovedFromOperationalUse": "Y"}}
    assert server.post("/inventories/preview", withdrawn)["Studies"] == server.make(**withdrawn)["Studies"] == 1
    assert counts(verify(server, summary["SOPInstanceUID"], "MD5")) == {"Checked": 2}  # what is withdrawn is not expected
    assert server.make(Base="latest")["TotalNumberOfStudyRecords"] == 3
    wait_until(lambda: connections(postgresql, server) == 0)
    assert "PostgreSQL cannot be read" not in server.log()
    database = server.configuration["PostgreSQL"]["Database"]
    with postgresql.connect(database, user, PASSWORD) as connection:
        for statement in (
            b"INSERT INTO labels VALUES (1, 'x')", b"UPDATE metadata SET value = ''", b"DELETE FROM attachedfiles",
            b"TRUNCATE resources", b"ALTER TABLE resources ADD COLUMN x TEXT",
        ):
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable)):
                connection.execute(statement)


@BY_SQL
def test_an_upgrade_of_the_tables_waits_for_no_run_that_rests(
    make_server: Callable[..., Server], postgresql: PostgreSql
) -> None:
    text = """
from orthanc_inventory.sources import postgresql, snapshot
snapshot._FIRST_STUDIES = snapshot._MOST_STUDIES = 1
postgresql._SETTINGS["idle_in_transaction_session_timeout"] = "1s"
def rest(*arguments):
    while not os.path.exists(folder + "/go on"):
        time.sleep(0.01)
at(StudyEncoder, 'encode', [2], rest)
"""
    server = make_server().start_with(text)
    server.store(*archive.files(4))
    uid = server.begin()
    server.wait_until(uid, Studies=1)
    with postgresql.connect(server.configuration["PostgreSQL"]["Database"], "postgres") as connection:
        connection.execute("SET lock_timeout = '60s'")
        connection.execute("VACUUM resources")
        connection.execute("ALTER TABLE metadata ADD COLUMN later TEXT")
        connection.execute("ALTER TABLE metadata DROP COLUMN later")
    (server.folder / "go on").touch()
    transaction = server.wait_for(uid)
    assert (transaction["State"], transaction["Studies"], transaction["Skipped"]) == ("Success", 4, [])
