"""Inventory Creation: what a peer can ask for, what it is answered, and what inventory comes of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.integration import archive
from tests.integration.browser import Explorer
from tests.integration.server import Server

from .creation import (
    CANCEL,
    CREATION,
    INITIATE,
    PAUSE,
    REQUEST_STATUS,
    RESUME,
    SMALL,
    STATUS,
    WITH_INSTANCES,
    WITHOUT_INSTANCES,
    Creator,
    start_for,
    with_script,
)
from .peer import STORAGE, association, get, keys

MakeServer = Callable[..., Server]


def halting(make_server: MakeServer, folder: Path, *creators: Creator, **inventory: Any) -> tuple[Server, int]:
    """With 20 studies, two of which fill an instance; its runs halt after five."""
    path = with_script(folder, "halt(5)")
    server, port = start_for(make_server, *creators, inventory={**SMALL, **inventory}, PythonScript=path)
    server.store(*archive.files(20))
    return server, port


def test_every_action_does_what_it_says_and_every_state_is_told(make_server: MakeServer, tmp_path: Path) -> None:
    creator = Creator()
    server, port = halting(make_server, tmp_path, creator)
    before = server.get("/statistics")
    with creator.associated(port) as peer:
        said = [(STATUS, "PROCESSING")]
        assert peer.initiate("1.2.3").status == 0
        creator.wait_for("1.2.3", 1)
        for action, status in (
            (REQUEST_STATUS, "PROCESSING"), (PAUSE, "PAUSED"), (REQUEST_STATUS, "PAUSED"), (RESUME, "PROCESSING"),
        ):
            assert peer.act(action, TransactionUID="1.2.3").status == 0
            said.append((STATUS, status))
            creator.wait_for("1.2.3", len(said))
            assert server.transaction("1.2.3")["TransactionStatus"] == status
        assert server.transaction("1.2.3")["Requestor"] == "AE: PEER (127.0.0.1)"
        server.wait_until("1.2.3", Studies=5)
        assert peer.act(REQUEST_STATUS, TransactionUID="1.2.3").status == 0
        [*_, told] = creator.wait_for("1.2.3", len(said) + 1)
        # What is in an instance already.
        assert told.information.TotalNumberOfStudyRecords in range(2, 20, 2)
        assert peer.act(CANCEL, TransactionUID="1.2.3", RetainInstances="N").status == 0
        *_, status, end = creator.wait_for_end("1.2.3")
    said += [(STATUS, "PROCESSING"), (STATUS, "CANCELED"), (WITHOUT_INSTANCES, "CANCELED")]
    assert creator.said("1.2.3") == said and not any(told.new for told in creator.told)
    assert status.information.TotalNumberOfStudyRecords == 0 and "cancelled" in end.information.TransactionStatusComment
    assert set(end.information.dir()) == {"TransactionUID", "TransactionStatus", "TransactionStatusComment"}
    assert server.transaction("1.2.3")["TransactionStatus"] == "CANCELED"
    assert server.get("/inventories") == [] and server.get("/statistics") == before


def test_instances_are_retained(make_server: MakeServer, tmp_path: Path) -> None:
    creator = Creator()
    server, port = halting(make_server, tmp_path, creator)
    with creator.associated(port) as peer:
        assert peer.initiate("1.2.3").status == 0
        server.wait_until("1.2.3", Studies=5)
        assert peer.act(CANCEL, TransactionUID="1.2.3", RetainInstances="Y").status == 0
        *_, end = creator.wait_for_end("1.2.3")
    assert end.said == (WITH_INSTANCES, "CANCELED")
    root = server.file(end.information.ReferencedSOPInstanceUID)
    assert root.InventoryCompletionStatus == "PARTIAL"
    assert root.TotalNumberOfStudyRecords == end.information.TotalNumberOfStudyRecords in range(2, 20, 2)


def general(character_set: str = "", **values: Any) -> Dataset:
    item = keys(GeneralMatchingSequence=[keys(**values)])
    if character_set:
        item.SpecificCharacterSet = character_set
    return item


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_the_inventory_is_the_one_that_was_asked_for(make_server: MakeServer, syntax: str) -> None:
    creator = Creator()
    server, port = start_for(
        make_server, creator, inventory={"FileAccess": {"BaseUri": "https://pacs.example/"}, "Retention": {"Days": 3}}
    )
    server.store(*archive.files(3, 2), archive.file(4, 1, PatientName="Müller^Jörg", StudyDate="20240615"))
    item = general("ISO_IR 100", PatientName="Müller*", ModalitiesInStudy=["CT", "MR"])
    item.ExtendedMatchingMechanisms = ["MULTIPLE_VALUE"]
    item.RangeMatchingSequence = [keys(StudyDate="20240101"), keys(StudyDate="")]
    with creator.associated(port, [syntax]) as peer:
        answer = peer.initiate("1.2.3", "SERIES", [item], InventoryPurpose="Für die Prüfung", SpecificCharacterSet="ISO_IR 192")
        assert answer.status == 0
        *_, status, end = creator.wait_for_end("1.2.3")
        assert peer.initiate("1.2.4", "STUDY").status == 0
        *_, of_all = creator.wait_for_end("1.2.4")
    assert end.said == (WITH_INSTANCES, "COMPLETE")
    told = end.information
    root = server.file(told.ReferencedSOPInstanceUID)
    assert (root.TransactionUID, root.InventoryLevel, root.InventoryPurpose) == ("1.2.3", "SERIES", "Für die Prüfung")
    assert root.TotalNumberOfStudyRecords == told.TotalNumberOfStudyRecords == status.information.TotalNumberOfStudyRecords == 1
    [stored] = root.ScopeOfInventorySequence
    [matched] = stored.GeneralMatchingSequence
    assert (matched.PatientName, matched.ModalitiesInStudy) == ("Müller*", ["CT", "MR"])
    assert [entry.StudyDate for entry in stored.RangeMatchingSequence] == ["20240101", ""]
    assert stored.ExtendedMatchingMechanisms == "MULTIPLE_VALUE"
    # How it can be fetched.
    summary = server.get(f"/inventories/{root.SOPInstanceUID}")
    assert told.ReferencedSOPClassUID == STORAGE and told.RetrieveAETitle == "INVENTORY"
    assert told.StoredInstanceBaseURI + told.FileAccessURI[2:] == f"https://pacs.example/inventories/{root.SOPInstanceUID}/file"
    assert (told.ContainerFileType, told.StoredInstanceTransferSyntaxUID) == ("DICOM", ExplicitVRLittleEndian)
    assert (told.MACAlgorithm, told.MAC.hex()) == ("SHA256", summary["SHA256"][root.SOPInstanceUID])
    assert told.ExpirationDateTime == summary["Expiration"]
    # Without a scope it is the whole repository.
    whole = server.file(of_all.information.ReferencedSOPInstanceUID)
    assert whole.TotalNumberOfStudyRecords == 7 and list(whole.ScopeOfInventorySequence) == []


def test_the_result_can_be_fetched_over_dicom(make_server: MakeServer) -> None:
    creator = Creator()
    server, port = start_for(make_server, creator)
    server.store(*archive.files(2))
    with creator.associated(port) as peer:
        peer.initiate("1.2.3")
        uid = creator.wait_for_end("1.2.3")[-1].information.ReferencedSOPInstanceUID
    received, _ = get(port, uid)
    assert list(received) == [uid]


def test_keys_that_cannot_be_matched_are_listed_and_left_out(make_server: MakeServer) -> None:
    creator = Creator()
    server, port = start_for(make_server, creator)
    server.store(*archive.files(3))
    item = general(PatientID="P000*", StationName="x", InstitutionName="y", ConsultingPhysicianName="z", Modality="CT")
    item.GeneralMatchingSequence[0].add_new(0x00190010, "LO", "CREATOR")
    with creator.associated(port) as peer:
        answer = peer.initiate("1.2.3", scope=[item])
        assert answer.status == 0xB010
        # Known to nobody, not in the index, and one that needs RELATIONAL.
        assert answer.tags == [0x00080060, 0x00080080, 0x0008009C, 0x00081010, 0x00190010]
        *_, end = creator.wait_for_end("1.2.3")
        # One alone.
        one = peer.initiate("1.2.4", scope=[general(StationName="x")])
        assert (one.status, one.tags) == (0xB010, [0x00081010])
        *_, other = creator.wait_for_end("1.2.4")
    assert end.said == (WITH_INSTANCES, "COMPLETE")
    [stored] = server.file(end.information.ReferencedSOPInstanceUID).ScopeOfInventorySequence
    assert stored.dir() == ["GeneralMatchingSequence"] and stored.GeneralMatchingSequence[0].dir() == ["PatientID"]
    assert other.information.TotalNumberOfStudyRecords == 3
    assert list(server.file(other.information.ReferencedSOPInstanceUID).ScopeOfInventorySequence) == []


def unsupported(**values: Any) -> Dataset:
    item = general(PatientID="P*")
    item.update(keys(**values))
    return item


@pytest.fixture
def creating(make_server: MakeServer) -> tuple[Creator, Server, int]:
    creator = Creator()
    server, port = start_for(make_server, creator)
    server.store(archive.file(1, 1))
    return creator, server, port


def test_what_is_not_supported_starts_nothing(creating: tuple[Creator, Server, int]) -> None:
    creator, server, port = creating
    relational = keys(ExtendedMatchingMechanisms="RELATIONAL", QueryRetrieveLevel="FRAME")
    with creator.associated(port) as peer:
        answers = [
            peer.initiate("1.2.3", scope=[unsupported(ExtendedMatchingMechanisms="MAGIC")]),
            peer.initiate("1.2.3", scope=[unsupported(SpecificCharacterSet="ISO_IR 999")]),
            peer.initiate("1.2.3", SpecificCharacterSet="ISO_IR 999"),
            peer.initiate("1.2.3", scope=[unsupported(**{entry.keyword: entry.value for entry in relational})]),
            peer.initiate("1.2.3", "PATIENT"),
        ]
    assert [answer.status for answer in answers] == [0x0212] * 5
    words = ("ExtendedMatchingMechanisms", "CharacterSet", "CharacterSet", "QueryRetrieveLevel", "InventoryLevel")
    for word, answer in zip(words, answers, strict=True):
        assert word in answer.comment and len(answer.comment) <= 64
    assert server.get("/inventories/transactions") == [] and creator.told == []


REQUEST: dict[str, Any] = {"TransactionUID": "1.2.9", "InventoryLevel": "STUDY", "ScopeOfInventorySequence": []}


def changed(**values: Any) -> Dataset:
    return keys(**{keyword: value for keyword, value in {**REQUEST, **values}.items() if value is not None})


def nested(**values: Any) -> Dataset:
    return changed(ScopeOfInventorySequence=[general(**values)])


WRONG: list[tuple[str, int, Dataset, int]] = [
    ("no transaction UID", INITIATE, changed(TransactionUID=None), 0x0120),
    ("an empty transaction UID", INITIATE, changed(TransactionUID=""), 0x0121),
    ("a transaction UID that is none", INITIATE, changed(TransactionUID="1.2.x"), 0x0115),
    ("two transaction UIDs", INITIATE, changed(TransactionUID=["1.2.7", "1.2.8"]), 0x0115),
    ("no level", INITIATE, changed(InventoryLevel=None), 0x0120),
    ("an empty level", INITIATE, changed(InventoryLevel=""), 0x0121),
    ("no scope", INITIATE, changed(ScopeOfInventorySequence=None), 0x0120),
    ("two items", INITIATE, changed(ScopeOfInventorySequence=[general(PatientID="a")] * 2), 0x0115),
    ("a date that is none", INITIATE, nested(StudyDate="2024-XX"), 0x0115),
    ("an interval of 0", INITIATE, changed(RequestedStatusInterval=0), 0x0115),
    ("two intervals", INITIATE, changed(RequestedStatusInterval=[1, 2]), 0x0115),
    ("a purpose that is too long", INITIATE, changed(InventoryPurpose="x" * 10241), 0x0115),
    ("no status of an unknown one", REQUEST_STATUS, keys(TransactionUID="1.2.9"), 0x0115),
    ("an unknown one to cancel", CANCEL, keys(TransactionUID="1.2.9", RetainInstances="N"), 0x0115),
    ("an unknown one to pause", PAUSE, keys(TransactionUID="1.2.9"), 0x0115),
    ("an unknown one to resume", RESUME, keys(TransactionUID="1.2.9"), 0x0115),
    ("nothing said of instances", CANCEL, keys(TransactionUID="1.1.1"), 0x0120),
    ("nothing clear said of instances", CANCEL, keys(TransactionUID="1.1.1", RetainInstances=""), 0x0121),
    ("something else said of instances", CANCEL, keys(TransactionUID="1.1.1", RetainInstances="MAYBE"), 0x0115),
    ("an interval of 0 later", REQUEST_STATUS, keys(TransactionUID="1.1.1", RequestedStatusInterval=0), 0x0115),
    ("a UID that is taken", INITIATE, changed(TransactionUID="1.1.1"), 0x0115),
    ("an action before the first", 10, keys(TransactionUID="1.1.1"), 0x0123),
    ("an action after the last", 16, keys(TransactionUID="1.1.1"), 0x0123),
]


def test_what_is_wrong_is_refused_and_changes_nothing(creating: tuple[Creator, Server, int]) -> None:
    creator, server, port = creating
    with creator.associated(port) as peer:
        peer.initiate("1.1.1")
        creator.wait_for_end("1.1.1")
        before, told = server.get("/inventories/transactions?expand"), len(creator.told)
        got = {name: peer.act(action, information).status for name, action, information, _ in WRONG}
        assert got == {name: status for name, _, _, status in WRONG}
        assert peer.act_raw(REQUEST_STATUS) == 0x0120
        # Inventory Storage is not the instance, however alike.
        assert peer.act(PAUSE, instance=STORAGE, TransactionUID="1.1.1").status == 0x0112
        # A verification is no transaction of the standard.
        root = server.get("/inventories")[0]
        verification = server.post(f"/inventories/{root}/verify", {"Synchronous": True})["ID"]
        for action in (REQUEST_STATUS, PAUSE, RESUME):
            assert peer.act(action, TransactionUID=verification).status == 0x0115
        assert peer.initiate(verification).status == 0x0115
    assert server.get("/inventories/transactions?expand")[:-1] == before and len(creator.told) == told


def test_what_a_state_does_not_allow_is_refused(make_server: MakeServer, tmp_path: Path) -> None:
    creator = Creator()
    server, port = halting(make_server, tmp_path, creator)
    with creator.associated(port) as peer:
        peer.initiate("1.2.3")
        assert "cannot be resumed" in (answer := peer.act(RESUME, TransactionUID="1.2.3")).comment and answer.status == 0x0110
        creator.wait_for("1.2.3", 1)
        assert peer.act(PAUSE, TransactionUID="1.2.3").status == 0
        creator.wait_for("1.2.3", 2)
        assert "cannot be paused" in (answer := peer.act(PAUSE, TransactionUID="1.2.3")).comment and answer.status == 0x0110
        assert peer.act(RESUME, TransactionUID="1.2.3").status == 0
        server.let_go()
        creator.wait_for_end("1.2.3")
        for action, word in ((PAUSE, "paused"), (RESUME, "resumed"), (CANCEL, "cancelled")):
            retain = {"RetainInstances": "Y"} if action == CANCEL else {}
            answer = peer.act(action, TransactionUID="1.2.3", **retain)
            assert answer.status == 0x0110 and f"is COMPLETE and Success cannot be {word}" in answer.comment
        said = creator.said("1.2.3")
        assert [status for _, status in said] == ["PROCESSING", "PAUSED", "PROCESSING", "COMPLETE", "COMPLETE"]
        # Who missed the end is told again.
        assert peer.act(REQUEST_STATUS, TransactionUID="1.2.3").status == 0
        *_, status, end = creator.wait_for("1.2.3", 7)
    assert status.said == (STATUS, "COMPLETE") and end.said == (WITH_INSTANCES, "COMPLETE")
    assert server.transaction("1.2.3")["State"] == "Success"


def test_a_transaction_belongs_to_who_asked_for_it(make_server: MakeServer, tmp_path: Path) -> None:
    creator, stranger = Creator(), Creator("STRANGER")
    server, port = halting(make_server, tmp_path, creator, stranger)
    of_user = server.begin()
    server.wait_for(of_user, "Running")
    with creator.associated(port) as peer:
        peer.initiate("1.2.3")
        creator.wait_for("1.2.3", 1)
        with stranger.associated(port) as other:
            for uid in ("1.2.3", of_user):
                assert other.act(CANCEL, TransactionUID=uid, RetainInstances="N").status == 0x0124
                for action in (REQUEST_STATUS, PAUSE, RESUME):
                    assert other.act(action, TransactionUID=uid).status == 0x0124
        assert server.transaction("1.2.3")["State"] == "Pending" and server.transaction(of_user)["State"] == "Running"
        # An administrator may do everything, and the peer is told.
        server.post("/inventories/transactions/1.2.3/pause")
        creator.wait_for("1.2.3", 2)
        server.post("/inventories/transactions/1.2.3/cancel")
        creator.wait_for_end("1.2.3")
    assert [status for _, status in creator.said("1.2.3")] == ["PROCESSING", "PAUSED", "CANCELED", "CANCELED"]
    assert stranger.told == []
    # Orthanc compares AE titles without regard to case.
    same = Creator("peer")
    with same.associated(port) as peer:
        assert peer.act(REQUEST_STATUS, TransactionUID="1.2.3").status == 0
        assert same.wait_for_end("1.2.3")[-1].said == (WITHOUT_INSTANCES, "CANCELED")


def test_no_user_can_be_taken_for_a_peer(make_server: MakeServer) -> None:
    creator = Creator()
    server, port = start_for(make_server, creator)
    for user in ("PEER", "AE: PEER (127.0.0.1)", "AE PEER (127.0.0.1)"):
        uid = server.request("POST", "/inventories", data=b"{}", auth=(user, "x")).json()["ID"]
        # A name ends at its colon.
        assert server.transaction(uid)["Requestor"] == user.partition(":")[0]
        with creator.associated(port) as peer:
            assert peer.act(REQUEST_STATUS, TransactionUID=uid).status == 0x0124


def test_limits(make_server: MakeServer, tmp_path: Path) -> None:
    creator, other = Creator(), Creator("OTHER")
    server, port = halting(make_server, tmp_path, creator, other, MaximumPendingRuns=4)
    scopes = [general(PatientID=f"P000{number}*") for number in range(6)]
    with creator.associated(port) as peer, other.associated(port) as second:
        running = server.begin()
        server.wait_for(running, "Running")
        assert peer.initiate("1.2.0", scope=[scopes[0]]).status == 0
        creator.wait_for("1.2.0", 1)
        equal = peer.initiate("1.2.1", scope=[scopes[0]])
        assert equal.status == 0x0213 and "the same level and scope" in equal.comment
        assert peer.initiate("1.2.1", "STUDY", scope=[scopes[0]]).status == 0
        creator.wait_for("1.2.1", 1)
        # Half of all that may wait is the most that a peer may have; paused ones count.
        assert peer.act(PAUSE, TransactionUID="1.2.0").status == 0
        creator.wait_for("1.2.0", 2)
        full = peer.initiate("1.2.2", scope=[scopes[1]])
        assert full.status == 0x0213 and "of this peer" in full.comment
        assert second.initiate("1.3.1", scope=[scopes[0]]).status == 0
        other.wait_for("1.3.1", 1)
        for _ in range(2):
            server.begin()
        assert second.initiate("1.3.2", scope=[scopes[1]]).status == 0x0213
    known = server.get("/inventories/transactions")
    assert {uid for uid in known if uid.startswith("1.")} == {"1.2.0", "1.2.1", "1.3.1"}


def test_who_may_not_ask_is_not_heard(make_server: MakeServer) -> None:
    silent = Creator("SILENT")
    modalities = {
        "forbidden": {"AET": "FORBIDDEN", "Host": "127.0.0.1", "Port": 104, "AllowNAction": False},
        "silent": {**silent.modality, "AllowEventReport": False},
    }
    server, port = start_for(make_server, DicomModalities=modalities)
    for ae_title, result in (("FORBIDDEN", 1), ("STRANGER", 1), ("SILENT", 0)):
        with association(port, "1.2.840.10008.1.1", CREATION, ae_title=ae_title) as made:
            contexts = made.accepted_contexts + made.rejected_contexts
            assert {context.abstract_syntax: context.result for context in contexts}[CREATION] == result
    with silent.listening(), silent.associated(port) as peer:
        assert peer.initiate("1.2.3").status == 0
        server.wait_for("1.2.3")
        assert peer.act(REQUEST_STATUS, TransactionUID="1.2.3").status == 0
    assert silent.told == []
    server.wait_for_line("SILENT fails", "AllowEventReport")


def test_the_page_shows_who_asked_and_ends_it(
    make_server: MakeServer, explore: Callable[..., Explorer], tmp_path: Path
) -> None:
    markup = "<img src=x>"
    creator = Creator(markup)
    server, port = halting(make_server, tmp_path, creator)
    with creator.associated(port) as peer:
        assert peer.initiate("1.2.3", InventoryPurpose="<b>bold</b>").status == 0
        tab = explore(server)
        tab.open("#/transactions")
        card = tab.page.get_by_role("article")
        expect(card).to_contain_text(f"by AE: {markup} (127.0.0.1)")
        assert tab.page.locator("main img").count() == 0
        tab.button("Cancel …").click()
        tab.button("Cancel and discard").click()
        expect(card).to_contain_text("Cancelled")
        assert creator.wait_for_end("1.2.3")[-1].said == (WITHOUT_INSTANCES, "CANCELED")


def encoded(data: Dataset, implicit: bool) -> bytes:
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, implicit
    write_dataset(stream, data)
    return stream.getvalue()


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_mutated_information_is_answered(make_server: MakeServer, syntax: str) -> None:
    creator = Creator()
    server, port = start_for(make_server, creator, inventory={"MaximumPendingRuns": 1000, "Level": "STUDY"})
    item = general("ISO_IR 100", PatientName="Müller*", PatientID="P1\\P2")
    item.ExtendedMatchingMechanisms = ["MULTIPLE_VALUE"]
    item.RangeMatchingSequence = [keys(StudyDate="20240101"), keys(StudyDate="")]
    valid = encoded(changed(ScopeOfInventorySequence=[item], RequestedStatusInterval=5), syntax == ImplicitVRLittleEndian)
    chance = random.Random(6)
    statuses = set()
    for _ in range(50):
        mutated = bytearray(valid)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(mutated))
            match chance.randrange(3):
                case 0:
                    mutated[place] = chance.randrange(256)
                case 1:
                    del mutated[place : place + chance.randint(1, 20)]
                case 2:
                    mutated[place:place] = chance.randbytes(chance.randint(1, 20))
        # Each on its own, as an event can come in between.
        with creator.associated(port, [syntax]) as peer:
            statuses.add(peer.act_raw(INITIATE, bytes(mutated)))
    assert statuses <= {0, 0xB010, 0x0115, 0x0120, 0x0121, 0x0212, 0x0213} and 0x0115 in statuses
    assert not [line for line in server.log_lines() if "failed:" in line]
    with creator.associated(port, [syntax]) as peer:
        assert peer.initiate("1.5.5").status == 0
        creator.wait_for_end("1.5.5")


def test_no_value_of_a_request_is_in_the_log(make_server: MakeServer) -> None:
    creator = Creator()
    server, port = start_for(make_server, creator)
    valid = encoded(changed(ScopeOfInventorySequence=[general("ISO_IR 100", StudyInstanceUID="1.2.3", PatientID="P1")]), False)
    for found, written in ((b"1.2.3\0", b"SE\nCRT"), (b"P1", b"\n!"), (b"ISO_IR 100", b"\nSECRET\0\0\0")):
        assert valid.count(found) == 1 and len(found) == len(written)
        with creator.associated(port, [ExplicitVRLittleEndian]) as peer:
            assert peer.act_raw(INITIATE, valid.replace(found, written)) in (0x0115, 0x0212)
    assert "CRT" not in server.log() and "SECRET" not in server.log() and "Warning:" not in server.log()
