"""orthanc-inventory request: another system is asked to make an inventory, and is followed to its end."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt

from orthanc_inventory.services.dimse.application_entity import ApplicationEntity, Settings
from orthanc_inventory.services.dimse.association import Limits
from orthanc_inventory.services.dimse.messages import N_ACTION
from orthanc_inventory.services.dimse.service import Request, Response
from tests.integration import foreign
from tests.integration.server import free_port
from tests.integration.test_command_line import begun, command, refused, succeeded

from .creating_peer import Action, CreatingPeer, calling, report, root
from .creation import CANCEL, CREATION, INITIATE, PAUSE, REQUEST_STATUS, RESUME, STATUS, WITH_INSTANCES, WITHOUT_INSTANCES
from .peer import GET, STORAGE, certificate, keys
from .test_get_command import sends

ROOT = "1.8.1"


def to(port: int, *arguments: str) -> list[str]:
    return ["request", "--peer", f"PEER@127.0.0.1:{port}", *arguments]


def completing(action: Action) -> None:
    """All goes well."""
    if action.type in (INITIATE, REQUEST_STATUS):
        assert action.tell(STATUS, "PROCESSING", TotalNumberOfStudyRecords=3) == 0
        assert action.tell(STATUS, "COMPLETE", TotalNumberOfStudyRecords=5) == 0
        # Which need not tell the status.
        assert action.tell(WITH_INSTANCES, "", TotalNumberOfStudyRecords=5, **root(ROOT)) == 0


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_request_is_followed_to_its_end(syntax: str, early: bool) -> None:
    peer = CreatingPeer(completing, early=early)
    with peer.listening(syntaxes=[syntax]) as port:
        done = command(
            *to(port, "--level", "study", "--purpose", "Prüfung", "--interval", "7", "--scope", "StudyDate=20200101-20201231"),
            *("--scope", "PatientName=MÜ*", "--scope", "Modality=CT\\MR", "--scope", 'AccessionNumber=""'),
        )
    assert done.returncode == 0, done.stderr
    [action] = peer.actions
    assert done.stdout.split() == [action.uid, ROOT]
    assert done.stderr.splitlines() == ["processing, 3 studies", "complete, 5 studies"]
    told = action.information
    assert (action.type, told.InventoryLevel, told.InventoryPurpose, told.RequestedStatusInterval) == (
        INITIATE, "STUDY", "Prüfung", 7,
    )
    [scope] = told.ScopeOfInventorySequence
    assert [item.StudyDate for item in scope.RangeMatchingSequence] == ["20200101", "20201231"]
    [general], [empty] = scope.GeneralMatchingSequence, scope.EmptyValueMatchingSequence
    assert general.PatientName == "MÜ*" and list(general.Modality) == ["CT", "MR"] and empty.AccessionNumber == ""
    assert sorted(scope.ExtendedMatchingMechanisms) == ["EMPTY_VALUE", "MULTIPLE_VALUE", "RELATIONAL"]
    assert scope.QueryRetrieveLevel == "SERIES"


def test_everything_is_asked_for_by_an_empty_scope() -> None:
    peer = CreatingPeer(completing)
    with peer.listening() as port:
        document = json.loads(succeeded(*to(port, "--json")))
    [action] = peer.actions
    expected = {
        "TransactionUID": action.uid, "TransactionStatus": "COMPLETE", "ReferencedSOPInstanceUID": ROOT,
        "TotalNumberOfStudyRecords": 5, "IgnoredKeys": [],
    }
    assert {key: document[key] for key in expected} == expected
    assert "ScopeOfInventorySequence" in action.information and not action.information.ScopeOfInventorySequence
    assert action.information.InventoryLevel == "INSTANCE" and "InventoryPurpose" not in action.information


@pytest.mark.parametrize("status", ["FAILURE", "CANCELED"])
def test_what_fails_there_is_told(status: str) -> None:
    def behaviour(action: Action) -> None:
        action.tell(WITHOUT_INSTANCES, status, TransactionStatusComment="disk full")

    with CreatingPeer(behaviour).listening() as port:
        done = command(*to(port))
    assert done.returncode == 1 and f"the transaction ended as {status}: disk full" in done.stderr
    assert len(done.stdout.split()) == 1


def test_what_is_refused_is_told_in_one_line() -> None:
    refusal = keys(Status=0x0212, ErrorComment="no such level")
    with CreatingPeer(lambda action: None, {INITIATE: refusal}).listening() as port:
        assert refused(*to(port)).endswith("PEER refuses to initiate with 0212H: no such level")
    with CreatingPeer(lambda action: None, {CANCEL: 0x0110}).listening() as port:
        assert "PEER refuses to cancel with 0110H: Processing Failure" in refused(*to(port, "--cancel", "1.2.3"))
    assert "no connection to PEER" in refused(*to(free_port()))


class Unmatching:
    """A service that takes any request, but cannot match two of its keys."""

    sop_class, operation, permission, sends = CREATION, N_ACTION, "NAction", (CREATION,)

    def negotiate(self, information: bytes) -> bytes | None:
        return None

    def serve(self, request: Request) -> Iterator[Response]:
        yield Response(0xB010, None, {"AttributeIdentifierList": [0x00100010, 0x00091001]})

    def permissions(self, peer: Any) -> frozenset[str]:
        return frozenset({"NAction"})

    def is_same(self, first: str, second: str) -> bool:
        return True


def test_keys_that_select_nothing_are_named(tmp_path: Path) -> None:
    # pynetdicom drops the Attribute Identifier List.
    service = Unmatching()
    settings = Settings("PEER", "127.0.0.1", port := free_port(), "", 5, Limits(60, 60, 0, tmp_path))
    entity = ApplicationEntity(settings, [service], service, None, lambda line: None)
    entity.start()
    try:
        done = command(*to(port, "--scope", "PatientName=X*", "--no-wait", "--json"))
    finally:
        entity.stop()
    assert done.returncode == 0 and json.loads(done.stdout)["IgnoredKeys"] == ["PatientName", "00091001"]
    assert "PEER cannot match PatientName, 00091001: more is listed than was asked for" in done.stderr


# Associations that end


def test_a_peer_that_ends_the_association_is_asked_again() -> None:
    def behaviour(action: Action) -> None:
        if len(peer.actions) == 1:
            action.tell(STATUS, "PROCESSING", TotalNumberOfStudyRecords=1)
            action.association.abort()
        elif len(peer.actions) == 2:
            action.association.release()
        else:
            completing(action)

    peer = CreatingPeer(behaviour)
    with peer.listening() as port:
        uid, found = succeeded(*to(port)).split()
    assert [action.type for action in peer.actions] == [INITIATE, REQUEST_STATUS, REQUEST_STATUS]
    assert {action.uid for action in peer.actions} == {uid} and found == ROOT


def test_a_peer_that_does_not_come_back_is_given_up() -> None:
    def behaviour(action: Action) -> None:
        if action.type == INITIATE:
            action.tell(STATUS, "PROCESSING")
        action.association.abort()

    peer = CreatingPeer(behaviour)
    with peer.listening() as port:
        process = begun(*to(port, "--timeout", "5"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        uid = process.stdout.readline().decode().strip()
    _, errors = process.communicate(timeout=60)
    _, *others, last = errors.decode().splitlines()
    assert process.returncode == 2 and uid == peer.actions[0].uid
    assert all(line.endswith("; trying again") for line in others) and others
    assert last == "orthanc-inventory: no connection to PEER: Connection refused"


def test_a_request_whose_answer_is_lost() -> None:
    peer = CreatingPeer(lambda action: action.association.abort(), early=True)
    with peer.listening() as port:
        done = command(*to(port))
    uid = peer.actions[0].uid
    assert (done.returncode, done.stdout) == (2, "")
    assert f"it may have begun all the same; to follow it: orthanc-inventory request --status {uid} --peer" in done.stderr


def test_a_peer_that_tells_nothing(tmp_path: Path) -> None:
    with CreatingPeer(lambda action: None).listening() as port:
        done = command(*to(port, "--timeout", "3"))
        assert done.returncode == 2 and "PEER takes the question for the status, but does not tell it" in done.stderr
        assert "give --listen PORT" in done.stderr


def test_the_end_may_be_told_by_a_status_alone() -> None:
    with CreatingPeer(lambda action: action.tell(STATUS, "COMPLETE")).listening() as port:
        done = command(*to(port, "--timeout", "6"))
    assert done.returncode == 1 and "PEER does not tell which inventory came of it" in done.stderr


def test_events_over_associations_of_their_own() -> None:
    ours = free_port()
    answers: list[int | None] = []

    def behaviour(action: Action) -> None:
        if action.type != INITIATE:
            return
        action.association.abort()
        with calling(ours, "STRANGER") as association:
            assert not association.is_established
        with calling(ours) as association:
            assert association.is_established
            answers.append(report(association, STATUS, "1.2.3.4", "PROCESSING"))
            answers.append(report(association, 14, action.uid, "PROCESSING"))
            answers.append(report(association, STATUS, action.uid, "PROCESSING", TotalNumberOfStudyRecords=2))
        with calling(ours) as association:
            answers.append(report(association, WITH_INSTANCES, action.uid, "COMPLETE", **root(ROOT)))

    with CreatingPeer(behaviour).listening() as port:
        done = command(*to(port, "--listen", str(ours)))
    assert answers == [0x0115, 0x0113, 0, 0]
    assert done.returncode == 0 and done.stdout.split()[1] == ROOT and "processing, 2 studies" in done.stderr


def test_tls_in_both_directions(tmp_path: Path) -> None:
    server_key, server_certificate = certificate(tmp_path, "server")
    key, own = certificate(tmp_path, "client")

    def context(purpose: ssl.Purpose) -> ssl.SSLContext:
        made = ssl.create_default_context(purpose, cafile=str(own))
        made.check_hostname, made.verify_mode = False, ssl.CERT_REQUIRED
        made.load_cert_chain(server_certificate, server_key)
        return made

    ours = free_port()

    def behaviour(action: Action) -> None:
        if action.type == INITIATE:
            action.association.abort()
            with calling(ours, tls_args=(context(ssl.Purpose.SERVER_AUTH), None)) as association:
                report(association, WITH_INSTANCES, action.uid, "COMPLETE", **root(ROOT))

    options = ["--tls", "--certificate", str(own), "--key", str(key), "--trusted", str(server_certificate)]
    with CreatingPeer(behaviour).listening(ssl_context=context(ssl.Purpose.CLIENT_AUTH)) as port:
        assert succeeded(*to(port, "--listen", str(ours), *options)).split()[1] == ROOT
    assert "--listen with --tls needs --certificate and --key" in refused(*to(port, "--listen", str(ours), "--tls"))


# Earlier requests


def test_actions_on_an_earlier_request() -> None:
    def behaviour(action: Action) -> None:
        if action.type == CANCEL:
            action.tell(STATUS, "CANCELED")
            if action.information.RetainInstances == "Y":
                action.tell(WITH_INSTANCES, "CANCELED", **root(ROOT))
            else:
                action.tell(WITHOUT_INSTANCES, "CANCELED")
        elif action.type == REQUEST_STATUS:
            action.tell(STATUS, "PROCESSING")
        else:
            action.tell(STATUS, {PAUSE: "PROCESSING", RESUME: "PAUSED"}[action.type])
            action.tell(STATUS, {PAUSE: "PAUSED"}.get(action.type, "PROCESSING"), TotalNumberOfStudyRecords=7)

    peer = CreatingPeer(behaviour)
    with peer.listening() as port:
        assert succeeded(*to(port, "--status", "1.2.3", "--no-wait", "--interval", "5")) == "processing, 0 studies\n"
        assert succeeded(*to(port, "--pause", "1.2.3")) == "paused, 7 studies\n"
        assert succeeded(*to(port, "--resume", "1.2.3")) == "processing, 7 studies\n"
        assert succeeded(*to(port, "--cancel", "1.2.3")) == ""
        assert succeeded(*to(port, "--cancel", "1.2.3", "--retain")) == f"{ROOT}\n"
        assert json.loads(succeeded(*to(port, "--pause", "1.2.3", "--json")))["TransactionStatus"] == "PAUSED"
    told = [(action.type, action.information.get("RetainInstances"), action.uid) for action in peer.actions]
    assert told == [
        (REQUEST_STATUS, None, "1.2.3"), (PAUSE, None, "1.2.3"), (RESUME, None, "1.2.3"), (CANCEL, "N", "1.2.3"),
        (CANCEL, "Y", "1.2.3"), (PAUSE, None, "1.2.3"),
    ]
    assert peer.actions[0].information.RequestedStatusInterval == 5


def test_a_transaction_is_followed_anew_after_an_interruption() -> None:
    def behaviour(action: Action) -> None:
        if action.type == INITIATE:
            action.tell(STATUS, "PROCESSING")
        else:
            completing(action)

    peer = CreatingPeer(behaviour)
    with peer.listening() as port:
        process = begun(*to(port, "--ae-title", "MY OWN"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stderr is not None and b"processing" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        uid = output.decode().strip()
        assert process.returncode == 130 and uid == peer.actions[0].uid
        again = f"request --status {uid} --peer PEER@127.0.0.1:{port} --ae-title 'MY OWN'"
        assert errors.decode().splitlines() == [f"PEER goes on; to follow it again: orthanc-inventory {again}"]
        assert succeeded(*to(port, "--status", uid)) == f"{ROOT}\n"


# What came of it


@pytest.mark.parametrize(("completion", "code"), [("COMPLETE", 0), ("PARTIAL", 1)])
def test_the_inventory_is_fetched(completion: str, code: int, tmp_path: Path) -> None:
    data = foreign.inventory(ROOT, [foreign.study(1)], InventoryCompletionStatus=completion)
    handler, _ = sends({ROOT: data})
    with CreatingPeer(completing).listening(GET, handlers=[(evt.EVT_C_GET, handler)], sends=STORAGE) as port:
        done = command(*to(port, "--fetch", str(tmp_path / "new")))
        assert done.returncode == code, done.stderr
        assert done.stdout.split()[1] == str(tmp_path / "new" / f"{ROOT}.dcm")
        assert ("the inventory is PARTIAL" in done.stderr) is bool(code)
        document = json.loads(command(*to(port, "--fetch", str(tmp_path / "new"), "--json")).stdout)
    assert document["Fetched"]["Missing"] == [] and document["Fetched"]["Fetched"] == 0


def test_what_does_not_come_is_told(tmp_path: Path) -> None:
    with CreatingPeer(completing).listening() as port:
        done = command(*to(port, "--fetch", str(tmp_path)))
    assert done.returncode == 2 and "PEER does not accept Inventory - GET" in done.stderr


def test_an_event_cannot_name_another_file(tmp_path: Path) -> None:
    def behaviour(action: Action) -> None:
        action.tell(WITH_INSTANCES, "COMPLETE", **root("../../1.8.1"))

    with CreatingPeer(behaviour).listening(GET, handlers=[(evt.EVT_C_GET, sends({})[0])], sends=STORAGE) as port:
        done = command(*to(port, "--fetch", str(tmp_path / "new")))
    assert done.returncode == 2 and "PEER tells of an inventory that has no UID" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--status", "x"], "--status must be the UID of a transaction"),
        (["--retain"], "--retain is for --cancel only"),
        (["--fetch", "x", "--no-wait"], "--fetch and --no-wait do not go together"),
        (["--interval", "0"], "--interval must be a number of minutes from 1 to 65535"),
        (["--scope", "Levle=1"], "Levle"),
        (["--scope", "Labels=x"], "--scope Labels is for Orthanc only"),
        (["--listen", "0"], "--listen must be a port from 1 to 65535"),
    ],
)
def test_what_cannot_be_asked(arguments: list[str], told: str) -> None:
    assert told in refused(*to(1, *arguments))
