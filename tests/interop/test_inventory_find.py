"""Inventories are found over DICOM by what they say of themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from tests.integration import archive, foreign, script
from tests.integration.conftest import _name
from tests.integration.server import INSTALLATIONS, Server

from .peer import FIND, SYNTAXES, association, find, keys, start

MakeServer = Callable[..., Server]


@pytest.fixture(scope="module", params=INSTALLATIONS, ids=_name)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, int]]:
    """Two inventories made here, the first with leaves, and one from elsewhere."""

    def make(**arguments: Any) -> Server:
        return Server(request.param, tmp_path_factory.mktemp("shared"), **arguments)

    server, port = start(make, inventory={"MaxRecordsPerInstance": 6})
    server.store(*archive.files(5))
    server.make(Purpose="Prüfung", Scope={"PatientID": "P*"}, Description="All")
    server.make(Level="STUDY", Purpose="Audit", Scope={"StudyDate": "20110101-20121231"})
    file = foreign.encode(foreign.inventory("1.9.1", [foreign.study(1)], TransactionUID="1.9.9"), foreign.DEFLATED)
    assert server.request("POST", "/inventories/import", data=file).status_code == 200
    yield server, port
    server.kill()


def uids(answers: list[Dataset]) -> set[str]:
    return {answer.SOPInstanceUID for answer in answers}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_instance_is_listed_with_what_is_asked_for(shared: tuple[Server, int], syntax: str) -> None:
    server, port = shared
    wanted = dict.fromkeys(
        ("SOPClassUID", "SOPInstanceUID", "ContentDate", "ContentTime", "TransactionUID", "InventoryPurpose", "InventoryLevel",
         "InventoryCompletionStatus", "InventoryInstanceDescription", "Manufacturer"), "")
    answers, status = find(
        port, syntaxes=[syntax], **wanted, ScopeOfInventorySequence=[], StudyAccessEndPointsSequence=[],
        InventoryAccessEndPointsSequence=[], NumberOfStudyRecordsInInstance=None, TotalNumberOfStudyRecords=None,
    )
    roots = server.get("/inventories?expand")
    assert status == 0 and uids(answers) == {uid for root in roots for uid in root["InstanceUIDs"]} and len(answers) > 4
    for answer in answers:
        file = server.file(answer.SOPInstanceUID)
        for element in answer:
            expected = file.get(element.keyword)
            assert element.value == ("" if expected is None and element.VR != "SQ" else expected or element.value), element
        # Nothing but what was asked for, and the character set.
        assert {element.keyword for element in answer} <= {
            *wanted, "ScopeOfInventorySequence", "StudyAccessEndPointsSequence", "InventoryAccessEndPointsSequence",
            "NumberOfStudyRecordsInInstance", "TotalNumberOfStudyRecords", "SpecificCharacterSet",
        }
    [own] = [answer for answer in answers if answer.SOPInstanceUID == roots[0]["SOPInstanceUID"]]
    assert own.InventoryPurpose == "Prüfung" and own.InventoryAccessEndPointsSequence[0].RetrieveAETitle == "INVENTORY"


QUERIES: dict[str, tuple[dict[str, Any], int]] = {
    "a purpose": ({"InventoryPurpose": "Audit"}, 1),
    "a wild card": ({"InventoryPurpose": "?udi*"}, 1),
    "text that is not ASCII": ({"SpecificCharacterSet": "ISO_IR 100", "InventoryPurpose": "Prüf*"}, 4),
    "a date": ({"ContentDate": "20260102"}, 1),
    "a range": ({"ContentDate": "20260101-20260103"}, 1),
    "an open range": ({"ContentDate": "-20260103", "ContentTime": "03-"}, 1),
    "several values": ({"InventoryLevel": ["STUDY", "SERIES"]}, 1),
    "complete ones": ({"InventoryCompletionStatus": "COMPLETE"}, 3),
    "an empty value": ({"InventoryInstanceDescription": '""'}, 2),
    "a number": ({"TotalNumberOfStudyRecords": 5}, 1),
    "an end point": ({"StudyAccessEndPointsSequence": [keys(RetrieveAETitle="ORTH*")]}, 5),
    "a key of the scope": ({"ScopeOfInventorySequence": [keys(GeneralMatchingSequence=[keys(PatientID="P*")])]}, 4),
    "a list of UIDs": ({"SOPInstanceUID": ["1.9.1", "1.9.2"]}, 1),
    "a transaction": ({"TransactionUID": "1.9.9"}, 1),
    "several keys": ({"InventoryLevel": "INSTANCE", "InventoryPurpose": "Umzug*", "ContentDate": "2026010-"[:7] + "2"}, 1),
    "nothing": ({"InventoryPurpose": "nobody"}, 0),
    "an unknown UID": ({"SOPInstanceUID": "1.2.3"}, 0),
}


@pytest.mark.parametrize("what", QUERIES)
def test_matching(shared: tuple[Server, int], what: str) -> None:
    query, count = QUERIES[what]
    answers, status = find(shared[1], **{"SOPInstanceUID": "", **query})
    assert (status, len(answers)) == (0, count)


def test_roots_are_found_by_what_they_incorporate(shared: tuple[Server, int]) -> None:
    server, port = shared
    root, leaf, *_ = server.get("/inventories?expand")[0]["InstanceUIDs"]
    answers, _ = find(
        port, SOPInstanceUID="", IncorporatedInventoryInstanceSequence=[keys(ReferencedSOPInstanceUID=leaf)]
    )
    assert uids(answers) == {root}
    assert answers[0].IncorporatedInventoryInstanceSequence == server.file(root).IncorporatedInventoryInstanceSequence
    assert "InventoriedStudiesSequence" not in answers[0]


def test_keys_that_nobody_has_are_told_by_the_status(shared: tuple[Server, int]) -> None:
    with association(shared[1], FIND) as made:
        statuses = [status.Status for status, _ in made.send_c_find(keys(SOPInstanceUID="1.9.1", PatientID="X"), FIND)]
    assert statuses == [0xFF01, 0]


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"QueryRetrieveLevel": "STUDY", "SOPInstanceUID": ""}, "QueryRetrieveLevel"),
        ({"ContentDate": "20269999"}, "ContentDate"),
        ({"ScopeOfInventorySequence": [keys(PatientID="1")]}, "PatientID"),
    ],
)
def test_what_is_no_query(shared: tuple[Server, int], query: dict[str, Any], word: str) -> None:
    with association(shared[1], FIND) as made:
        [(status, _)] = list(made.send_c_find(keys(**query), FIND))
        assert status.Status == 0xA900 and word in status.ErrorComment
        assert len(list(made.send_c_find(keys(SOPInstanceUID="1.9.1"), FIND))) == 2


def test_an_identifier_that_is_too_large(shared: tuple[Server, int]) -> None:
    with association(shared[1], FIND) as made:
        [(status, _)] = list(made.send_c_find(keys(SOPInstanceUID="", SelectorLTValue="x" * 1_100_000), FIND))
        assert status.Status == 0xA700
        assert len(list(made.send_c_find(keys(SOPInstanceUID="1.9.1"), FIND))) == 2


# Ever more slowly: a cancel is heard before the end, however late it comes.
SLOWLY = """
from orthanc_inventory.dicom.inventory_query import InventoryQuery
at(InventoryQuery, "matches", range(1, 10), lambda *arguments: time.sleep(0.05))
at(InventoryQuery, "matches", range(10, 30), lambda *arguments: time.sleep(1))
"""


def test_cancel(make_server: MakeServer, tmp_path: Path) -> None:
    # In the folder that Orthanc sees, see make_server.
    folder = tmp_path / "orthanc0"
    folder.mkdir()
    path = script.write(folder, SLOWLY)
    server, port = start(make_server, inventory={"MaxRecordsPerInstance": 3}, PythonScript=str(path))
    server.store(*archive.files(40))
    server.make()
    statuses = []
    with association(port, FIND) as made:
        for status, _ in made.send_c_find(keys(SOPInstanceUID=""), FIND, msg_id=5):
            statuses.append(status.Status)
            if len(statuses) == 3:
                made.send_c_cancel(5, query_model=FIND)
        assert statuses[-1] == 0xFE00 and len(statuses) < 30
        # A cancel that comes too late harms nobody.
        made.send_c_cancel(5, query_model=FIND)
        time.sleep(0.2)
        assert len(list(made.send_c_find(keys(SOPInstanceUID=server.get("/inventories")[0]), FIND, msg_id=5))) == 2


def test_what_was_deleted_is_not_found(make_server: MakeServer) -> None:
    server, port = start(make_server)
    server.store(archive.file(1, 1))
    first, second = server.make(Purpose="One"), server.make(Purpose="Two")
    answers, _ = find(port, SOPInstanceUID="")
    assert sorted(answer.SOPInstanceUID for answer in answers) == sorted(first["InstanceUIDs"] + second["InstanceUIDs"])
    # By hand, without the plugin.
    server.delete(f"/instances/{first['OrthancID']}")
    assert uids(find(port, SOPInstanceUID="")[0]) == {*first["InstanceUIDs"][1:], *second["InstanceUIDs"]}
    server.delete(f"/inventories/{second['SOPInstanceUID']}")
    assert uids(find(port, SOPInstanceUID="")[0]) == set(first["InstanceUIDs"][1:])


def test_the_copy_of_the_attributes_can_be_lost(make_server: MakeServer) -> None:
    server, port = start(make_server)
    server.store(archive.file(1, 1))
    server.make(Purpose="One")
    assert len(find(port, SOPInstanceUID="", InventoryPurpose="One")[0]) == 1
    server.stop()
    (server.state_directory / "attributes.db").write_bytes(b"this is no database" * 1000)
    server.start()
    assert len(find(port, SOPInstanceUID="", InventoryPurpose="One")[0]) == 1
