"""The index of an Orthanc in PostgreSQL, read in snapshots of its tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from . import archive
from .detailed_objects import KINDS, modified
from .postgresql import PASSWORD, PostgreSql
from .server import INSTALLATIONS, REPOSITORY, Server, object_uids
from .test_rejections import note
from .waiting import wait_until

BY_SQL = pytest.mark.indexes("PostgreSQL-by-SQL")
# A study at a time, and one ahead of it.
_SMALL_CHUNKS = """
import datetime
from orthanc_inventory.sources import group, session, snapshot
snapshot._FIRST_STUDIES = snapshot._MOST_STUDIES = 1
# No study is so new that it is read alone.
group._RESTLESS = datetime.timedelta(days=-1)
"""


def records(server: Server, summary: dict[str, Any]) -> list[bytes]:
    """The study records as bytes, without the moment of the run, in an order of their own."""
    return sorted(map(_bytes, server.studies(summary)))


def _bytes(study: Dataset) -> bytes:
    del study.ItemInventoryDateTime
    if "InventoriedSeriesSequence" in study:
        for series in study.InventoriedSeriesSequence:
            if "InventoriedInstancesSequence" in series:
                series.InventoriedInstancesSequence = sorted(
                    series.InventoriedInstancesSequence, key=lambda instance: instance.SOPInstanceUID
                )
        study.InventoriedSeriesSequence = sorted(study.InventoriedSeriesSequence, key=lambda series: series.SeriesInstanceUID)
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, study)
    return stream.getvalue()


def source(server: Server) -> str:
    return server.get("/inventories/status")["Source"]


def connections(postgresql: PostgreSql, server: Server) -> int:
    """Those of the plugin, with the index of this server."""
    with postgresql.connect("postgres", "postgres") as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'orthanc-inventory' AND datname = %s"
        ((count,),) = connection.execute(query, (server.configuration["PostgreSQL"]["Database"],)).fetchall()
    return count


def fill(server: Server) -> None:
    """All that records can be made of."""
    server.store(*(archive.encode(make()) for make in KINDS.values()), archive.encode(modified()))
    server.store(*archive.files(3, 2, 2, 3), note(2, 1, "113039", (1, 2)), note(3, 2, "113001", (1, 1), (1, 2), (1, 3)))
    server.store(archive.file(9, 1, StudyInstanceUID=archive.uid(1, 1)))  # one Study Instance UID, two patients
    server.store(
        archive.file(10, 1, PatientName="Šimek\\Ж^\t'", PatientID="a\\b", StudyDate=None, Modality=None, StudyDescription=""),
        archive.file(11, 1, AccessionNumber=None, InstanceNumber=None, NumberOfFrames="7", OtherPatientIDs=["X", "Y"]),
    )
    study = server.post("/tools/find", {"Level": "Study", "Query": {"PatientID": "P0001", "StudyID": "2"}})[0]
    server.post(f"/studies/{study}/modify", {"Replace": {"StudyDescription": "corrected"}, "KeepSource": True})


@BY_SQL
@pytest.mark.parametrize("extra", [False, True], ids=["usual tags", "more tags"])
def test_records_are_those_of_the_plugin_api(make_server: Callable[..., Server], extra: bool) -> None:
    tags = {
        "Patient": ["OtherPatientIDsSequence"], "Study": ["ProcedureCodeSequence", "TimezoneOffsetFromUTC"],
        "Series": ["Laterality", "RequestAttributesSequence"], "Instance": ["Rows", "Columns", "ContentLabel", "SOPClassUID"],
    }
    inventory = {"FileAccess": {"BaseUri": "https://pacs.example.org/"}}
    server = make_server(configuration={"ExtraMainDicomTags": tags} if extra else {}, inventory=inventory).start()
    fill(server)
    assert source(server).startswith("snapshot: ")
    bodies: list[dict[str, Any]] = [
        {}, {"Level": "STUDY"}, {"Level": "SERIES"}, {"Detail": "Files"}, {"Scope": {"Modality": "SR"}},
        {"IncludeRemoved": False},
    ]
    of_tables = [records(server, server.make(**body)) for body in bodies]
    server.stop()
    server.configuration["Inventory"]["PostgreSQL"] = False
    server.start()
    assert source(server).startswith("walk: ")
    of_api = [records(server, server.make(**body)) for body in bodies]
    assert [len(found) for found in of_tables] == [len(found) for found in of_api]
    for ours, theirs in zip(of_tables, of_api):
        for one, other in zip(ours, theirs):
            assert one == other


@BY_SQL
def test_a_run_sees_what_was_there_when_it_began_to_read(make_server: Callable[..., Server]) -> None:
    text = _SMALL_CHUNKS + """
def change(self, study, *arguments):
    other = next(entry for entry in json.loads(orthanc.RestApiGet("/studies")) if entry != study)
    instance, = json.loads(orthanc.RestApiGet("/studies/" + other + "/instances"))
    orthanc.RestApiDelete("/instances/" + instance["ID"])
    with open(folder + "/arriving", "rb") as file:
        orthanc.RestApiPost("/instances", file.read())
at(IndexSource, 'read', [1], change)
"""
    server = make_server()
    (server.folder / "arriving").write_bytes(archive.file(1, 1, 7, 7))
    server.start_with(text)
    server.store(*archive.files(4))
    summary = server.make()
    # Neither the deletion nor the object that came belong to this moment.
    assert summary["InventoryCompletionStatus"] == "COMPLETE" and summary["Instances"] == 4
    assert len({study.ItemInventoryDateTime for study in server.studies(summary)}) == 1
    increment = server.make(Base="latest")
    assert increment["InventoryCompletionStatus"] == "COMPLETE" and increment["Instances"] == 4 and increment["Removed"] > 0


@BY_SQL
def test_orthanc_waits_for_no_lock_and_nothing_is_written(make_server: Callable[..., Server], postgresql: PostgreSql) -> None:
    server = make_server().start_with(f"{_SMALL_CHUNKS}\nat(StudyEncoder, 'encode', [2], hold)")
    server.store(*archive.files(4))
    uid = server.begin()
    server.wait_until(uid, Studies=1)
    database = server.configuration["PostgreSQL"]["Database"]
    with postgresql.connect(database, "postgres") as connection:
        locks = connection.execute(
            "SELECT DISTINCT mode FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE application_name = 'orthanc-inventory' AND locktype = 'relation' AND datname = %s", (database,)
        ).fetchall()
    assert locks == [("AccessShareLock",)]
    (stored,) = server.store(archive.file(8, 8))
    server.delete(f"/instances/{stored}")
    server.let_go()
    assert server.wait_for(uid)["Studies"] == 4


@BY_SQL
def test_a_paused_run_holds_no_snapshot_and_goes_on_in_another(
    make_server: Callable[..., Server], postgresql: PostgreSql
) -> None:
    server = make_server(inventory={"MaxRecordsPerInstance": 3})
    server.start_with(f"{_SMALL_CHUNKS}\nat(StudyEncoder, 'encode', [2], hold)")
    server.store(*archive.files(6))
    uid = server.begin()
    server.wait_until(uid, Studies=1)
    assert connections(postgresql, server) == 1
    server.post(f"/inventories/transactions/{uid}/pause")
    server.let_go()
    server.wait_for(uid, "Paused")
    wait_until(lambda: connections(postgresql, server) == 0)
    server.post(f"/inventories/transactions/{uid}/resume")
    transaction = server.wait_for(uid)
    assert (transaction["State"], transaction["Studies"]) == ("Success", 6)
    studies = server.studies(server.get(f"/inventories/{transaction['SOPInstanceUID']}"))
    assert len(object_uids(studies)) == 6 and len({study.ItemInventoryDateTime for study in studies}) == 2


@BY_SQL
@pytest.mark.parametrize(
    "constant", ["session._OLD = -1", "snapshot._MOST_INSTANCES = 2"], ids=["old snapshots", "large studies"]
)
def test_a_run_is_whole_however_its_questions_are_cut(make_server: Callable[..., Server], constant: str) -> None:
    server = make_server().start_with(f"{_SMALL_CHUNKS}\n{constant}")
    server.store(*archive.files(4, 1, 2, 3))
    summary = server.make()
    assert summary["InventoryCompletionStatus"] == "COMPLETE" and len(set(object_uids(server.studies(summary)))) == 24


def with_reader(make_server: Callable[..., Server], postgresql: PostgreSql) -> tuple[Server, str]:
    """A server whose plugin comes as a user of its own with no more rights than the README gives it; the name of that."""
    server = make_server().start()
    server.stop()
    database = server.configuration["PostgreSQL"]["Database"]
    user = f"reader_of_{database}"
    statements, *_ = re.findall(r"```sql\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    statements = statements.replace("orthanc_db", database).replace("inventory", user).replace("choose-one", PASSWORD)
    with postgresql.connect(database, "postgres") as connection:
        has_labels = connection.execute("SELECT to_regclass('labels')").fetchone() != (None,)
        for statement in filter(str.strip, statements.split(";")):
            if "labels" not in statement or has_labels:
                connection.execute(statement.encode())
    server.configuration["Inventory"]["PostgreSQL"] = postgresql.access(database, user)
    return server, user


@BY_SQL
@pytest.mark.parametrize("returns", [True, False], ids=["another connection", "no other connection"])
def test_a_run_outlives_its_connection(
    make_server: Callable[..., Server], postgresql: PostgreSql, returns: bool
) -> None:
    server, user = with_reader(make_server, postgresql)
    server.start_with(f"{_SMALL_CHUNKS}\nat(IndexSource, 'read', [2], hold)")
    server.store(*archive.files(4))
    uid = server.begin()
    server.wait_until(uid, Studies=1)
    with postgresql.connect("postgres", "postgres") as connection:
        if not returns:
            connection.execute(f"ALTER ROLE {user} NOLOGIN".encode())
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (user,))
    wait_until(lambda: connections(postgresql, server) == 0)
    server.let_go()
    transaction = server.wait_for(uid)
    assert (transaction["State"], transaction["Studies"], transaction["Skipped"]) == ("Success", 4, [])
    assert any("PostgreSQL cannot be read" in line for line in server.log_lines()) is not returns
    assert source(server).startswith("snapshot" if returns else "walk")


@pytest.mark.indexes("PostgreSQL")
@pytest.mark.parametrize("installation", INSTALLATIONS[:1], ids=lambda installation: installation.name)
@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ("no psycopg", "psycopg is not installed"), ("no server", "nothing listens there"),
        ("wrong password", "user name or password is not accepted"), ("wrong database", "the database does not exist"),
        ("another index", "the index of another Orthanc"), ("no index", "does not hold an index of Orthanc"),
        ("no rights", "the user may not read"), ("another revision", "revision 2; known is version 6, revision 1"),
        ("bad URI", "the connection"),
    ],
)
def test_without_a_snapshot_the_plugin_api_is_asked_and_the_log_says_why(
    make_server: Callable[..., Server], postgresql: PostgreSql, problem: str, said: str
) -> None:
    server = make_server().start()
    server.store(*archive.files(2))
    server.stop()
    access = dict(server.configuration["PostgreSQL"])
    database = access["Database"]
    own = {key: access[key] for key in ("Host", "Port", "Database", "Username", "Password")}
    if problem == "no psycopg":
        server.environment = {}
    elif problem == "no server":
        own["Port"] = 1
    elif problem == "wrong password":
        own["Password"] = "secret-and-wrong"
    elif problem == "wrong database":
        own["Database"] = "nowhere"
    elif problem == "another index":
        other = make_server().start()
        other.stop()
        own["Database"] = other.configuration["PostgreSQL"]["Database"]
    elif problem == "no index":
        own["Database"] = "postgres"
    elif problem == "no rights":
        own["Username"] = f"nobody_{database}"
        with postgresql.connect(database, "postgres") as connection:
            connection.execute(f"CREATE ROLE {own['Username']} LOGIN PASSWORD '{PASSWORD}'".encode())
    elif problem == "bad URI":
        own["ConnectionUri"] = f"postgresql://orthanc:secret-and-wrong@127.0.0.1:x{access['Port']}/y"
    server.configuration["Inventory"]["PostgreSQL"] = own
    server.start()
    if problem == "another revision":  # with which this Orthanc itself would not start
        with postgresql.connect(database, "postgres") as connection:
            connection.execute("UPDATE globalproperties SET value = '2' WHERE property = 4")
    assert server.make()["Studies"] == 2
    told = source(server)
    assert told.startswith("walk: ") and said in told
    (line, *_) = [line for line in server.log_lines() if "PostgreSQL cannot be read" in line]
    assert said in line and "plugin API" in line
    for text in (told, server.log()):
        assert PASSWORD not in text and "secret" not in text


@pytest.mark.indexes("PostgreSQL-by-SQL")
@pytest.mark.parametrize("lock", [False, True])
def test_an_increment_compares_all_studies_only_where_others_may_change_them(
    make_server: Callable[..., Server], postgresql: PostgreSql, lock: bool
) -> None:
    server = make_server(configuration={"PostgreSQL": {**postgresql.create_database(), "Lock": lock}}).start()
    server.store(*archive.files(3))
    server.make()
    server.store(archive.file(4, 1))
    increment = server.make(Base="latest")
    assert (increment["Studies"], increment["TotalNumberOfStudyRecords"]) == (4, 4)
    assert any("the lists of all studies are compared" in line for line in server.log_lines()) is not lock


def test_an_index_elsewhere_is_no_snapshot(make_server: Callable[..., Server]) -> None:
    server = make_server(inventory={"PostgreSQL": True}).start()
    server.store(archive.file(1, 1))
    assert server.make()["Studies"] == 1
    assert "Orthanc does not keep its index there" in source(server)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("yes", "Inventory.PostgreSQL has an impossible value; allowed: true for"),
        ({"Port": "5432"}, "Inventory.PostgreSQL.Port has an impossible value; allowed: an integer from 1 to 65535"),
        ({"Hostname": "x"}, "Inventory.PostgreSQL.Hostname is unknown; allowed keys: Host, Port, Database"),
    ],
)
def test_a_wrong_key_is_named(make_server: Callable[..., Server], value: Any, said: str) -> None:
    server = make_server(inventory={"PostgreSQL": value}).start()
    assert said in server.error("GET", "/inventories/status", 503)
