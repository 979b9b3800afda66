"""PDUs and messages that are nearly right, to the Application Entity of a real Orthanc: each association comes to its end."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from struct import pack

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.presentation import PresentationContext

from orthanc_inventory.dicom.elements import encode_attributes
from orthanc_inventory.dicom.transcoding import encoded_attributes
from orthanc_inventory.services.dimse.messages import (
    C_CANCEL, C_ECHO, C_FIND, C_GET, C_MOVE, C_STORE, N_ACTION, encode_command,
)
from tests.integration import archive, foreign
from tests.integration.server import INSTALLATIONS, Installation, Server
from tests.interop.peer import start

from .mutator import Mutator
from .test_files import WORDS
from .test_parsers import identifiers
from .test_routes import memory

Cases = Callable[[str, int, int], range]
_PATIENCE = 60.0
# How one finds that the other side has seen enough and closed the connection, at whatever step.
_CLOSED = (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN)
_GROWTH = 100 * 1024 * 1024
# SOP classes by context: Verification, Storage, FIND, MOVE, GET, Creation, Repository Query.
CLASSES = {1: "1.2.840.10008.1.1", **{2 * number + 1: f"1.2.840.10008.5.1.4.1.1.201.{number}" for number in range(1, 7)}}
_IMPLICIT = 15  # the context of Repository Query in Implicit VR


@pytest.fixture(scope="module", params=INSTALLATIONS, ids=[entry.name.replace(" ", "-") for entry in INSTALLATIONS])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, int]]:
    installation: Installation = request.param
    servers: list[Server] = []

    def make(**arguments: object) -> Server:
        servers.append(Server(installation, tmp_path_factory.mktemp("fuzzed"), **arguments))  # type: ignore[arg-type]
        return servers[-1]

    inventory = {"StoreIn": "Directory", "MaximumPendingRuns": 1000}
    server, port = start(make, {"MaximumAssociations": 50}, inventory, DicomModalities={"raw": ["RAW", "127.0.0.1", 1]})
    server.store(*archive.files(2))
    server.make()
    yield server, port
    for server in servers:
        server.kill()


def associate_request() -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = "RAW", "INVENTORY"
    primitive.presentation_context_definition_list = [
        *(_context(identifier, sop_class, ExplicitVRLittleEndian) for identifier, sop_class in CLASSES.items()),
        _context(_IMPLICIT, CLASSES[13], ImplicitVRLittleEndian),
    ]
    length, implementation, extended = (
        MaximumLengthNotification(), ImplementationClassUIDNotification(), SOPClassExtendedNegotiation()
    )
    length.maximum_length_received = 16384
    implementation.implementation_class_uid = "2.25.1"  # type: ignore[assignment]
    extended.sop_class_uid = CLASSES[13]  # type: ignore[assignment]
    extended.service_class_application_information = bytes([1] * 7)
    primitive.user_information = [length, implementation, extended]  # type: ignore[list-item]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return pdu.encode()


def _context(identifier: int, sop_class: str, syntax: str) -> PresentationContext:
    context = PresentationContext()
    context.context_id = identifier
    context.abstract_syntax = sop_class  # type: ignore[assignment]
    context.transfer_syntax = [syntax]  # type: ignore[assignment]
    return context


def message(context: int, command: int, data: bytes = b"", **elements: object) -> bytes:
    """A command set and a data set in P-DATA-TF PDUs."""
    uid = "RequestedSOPClassUID" if command == N_ACTION else "AffectedSOPClassUID"
    sop_class = CLASSES.get(context, CLASSES[13])
    encoded = encode_command({"CommandField": command, "MessageID": 1, uid: sop_class, **elements}, bool(data))
    return _pdus(context, 3, encoded) + (_pdus(context, 2, data) if data else b"")


def _pdus(context: int, header: int, content: bytes) -> bytes:
    return pack(">BBIIBB", 4, 0, len(content) + 6, len(content) + 2, context, header) + content


def messages() -> list[bytes]:
    scope = {"GeneralMatchingSequence": [{"PatientName": "F*"}], "RangeMatchingSequence": [{"StudyDate": "20200101"}, {}]}
    action = {"TransactionUID": "1.2.3", "InventoryLevel": "STUDY", "ScopeOfInventorySequence": [scope]}
    file = foreign.encode(foreign.inventory("1.9.5", [foreign.study(1)]))
    stored = file[144 + int.from_bytes(file[140:144], "little") :]
    query = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "PatientName": "F*", "RecordKey": "", "StudyDate": "2020-"}
    instance = "1.2.840.10008.5.1.4.1.1.201.1.1"
    explicit_study, implicit_study, explicit_inventory, _ = identifiers()
    uids = encode_attributes({"SOPInstanceUID": "1.2.3\\1.9.5"})
    return [
        message(1, C_ECHO),
        message(3, C_STORE, stored, AffectedSOPInstanceUID="1.9.5", Priority=0),
        message(5, C_FIND, explicit_inventory, Priority=0),
        message(5, C_FIND, encode_attributes({"SOPInstanceUID": "", "InventoryLevel": ""}), Priority=0),
        message(7, C_MOVE, uids, MoveDestination="RAW", Priority=0),
        message(9, C_GET, uids, Priority=0),
        *(
            message(11, N_ACTION, encode_attributes({**action, "RetainInstances": "Y"}), ActionTypeID=kind,
                    RequestedSOPInstanceUID=instance)
            for kind in range(11, 16)
        ),
        message(13, C_FIND, explicit_study, Priority=0),
        message(13, C_FIND, encode_attributes(query), Priority=0),
        message(_IMPLICIT, C_FIND, implicit_study, Priority=0),
        message(_IMPLICIT, C_FIND, encoded_attributes(query, ImplicitVRLittleEndian), Priority=0)
        + message(_IMPLICIT, C_CANCEL, MessageIDBeingRespondedTo=1),
    ]


REQUEST = associate_request()
RELEASE = bytes.fromhex("050000000004") + bytes(4)


def talk(port: int, *sent: bytes) -> bytes:
    """All that comes until the other side closes; after the first PDUs an A-ASSOCIATE-AC is waited for."""
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), _PATIENCE) as connection:
        try:
            for place, content in enumerate(sent):
                connection.sendall(content)
                if place < len(sent) - 1:
                    received += connection.recv(65536)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                received += piece
        except OSError as error:
            if error.errno not in _CLOSED:
                raise
    return bytes(received)


def check(target: tuple[Server, int], before: int) -> None:
    server, port = target
    answer = talk(port, REQUEST, message(1, C_ECHO) + RELEASE)
    assert answer[:1] == b"\x02" and answer.endswith(bytes.fromhex("060000000004") + bytes(4)), answer
    assert server.get("/inventories/status")["Dimse"]["Running"]
    wrong = [line for line in server.log_lines() if " in " in line and ".py, line" in line]
    assert not wrong, wrong[:3]
    assert "Traceback" not in server.log() and "Warning:" not in server.log()
    assert memory(server) < before + _GROWTH


def wait_for_threads(server: Server, most: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while len(os.listdir(f"/proc/{server.process_id}/task")) > most:
        assert time.monotonic() < deadline, "threads are left"
        time.sleep(0.1)


def test_association_requests(target: tuple[Server, int], cases: Cases) -> None:
    server, port = target
    numbers = cases("A-ASSOCIATE-RQ and other first PDUs", 100, 4_000)
    check(target, memory(server))
    threads, before = len(os.listdir(f"/proc/{server.process_id}/task")), memory(server)
    mutator = Mutator("associations", [REQUEST, REQUEST, message(1, C_ECHO), RELEASE, b"GET / HTTP/1.1\r\n\r\n", bytes(1000)])
    for number in numbers:
        talk(port, mutator.case(number))
        if number % 100 == 99:
            check(target, before)
    check(target, before)
    wait_for_threads(server, threads + 2)


def test_messages(target: tuple[Server, int], cases: Cases) -> None:
    server, port = target
    numbers = cases("DIMSE messages in an association", 200, 10_000)
    check(target, memory(server))
    threads, before = len(os.listdir(f"/proc/{server.process_id}/task")), memory(server)
    words = [*WORDS, b"\\", b"*", b"1" * 5000 + b"x", REQUEST[:100], RELEASE, b"\x04\0\0\0\0\6"]
    mutator = Mutator("messages", messages(), words)
    answered = 0
    for number in numbers:
        answered += len(talk(port, REQUEST, mutator.case(number) + RELEASE)) > 400
        if number % 100 == 99:
            check(target, before)
            server.request("DELETE", "/inventories/1.9.5")
    check(target, before)
    wait_for_threads(server, threads + 2)
    assert answered > len(numbers) // 10
    assert not [name for name in os.listdir(server.state_directory) if name.startswith("tmp")]
