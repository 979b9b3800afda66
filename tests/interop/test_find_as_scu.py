"""C-FIND as SCU, on our own associations: what peers of other makes answer, and how it ends."""

from __future__ import annotations

import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt

from orthanc_inventory.dicom.file_format import read_data_set
from orthanc_inventory.dicom.transcoding import encoded_attributes
from orthanc_inventory.services.dimse import presentation
from orthanc_inventory.services.dimse.association import Association, Limits
from orthanc_inventory.services.dimse.connection import (
    ASSOCIATE_RQ, P_DATA, RELEASE_RP, RELEASE_RQ, AssociationEnded, Connection, Pdu,
)
from orthanc_inventory.services.dimse.find import Find
from orthanc_inventory.services.dimse.inventory_find import InventoryFind
from orthanc_inventory.services.dimse.messages import C_FIND, RESPONSE, encode_command
from orthanc_inventory.services.dimse.peers import Modality
from orthanc_inventory.services.dimse.requestor import CannotAssociate, Requestor
from tests.integration import archive
from tests.integration.server import Server, free_port

from .peer import FIND, keys, serving, start

REPOSITORY_QUERY = "1.2.840.10008.5.1.4.1.1.201.6"
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
MakeServer = Callable[..., Server]


@contextmanager
def associated(port: int, sop_class: str, folder: Path, extended: bytes = b"", idle: float = 60) -> Iterator[Association]:
    modality = Modality("PEER", "PEER", "127.0.0.1", port, False, "", 0, frozenset())
    requestor = Requestor("SCU", None, Limits(idle, 3600, 0, folder))  # type: ignore[arg-type]
    with requestor.association(modality, sop_class, extended) as association:
        yield association


def query(association: Association, sop_class: str, **attributes: Any) -> Find:
    context = association.context(sop_class)[0]
    return Find(association, context, encoded_attributes(attributes, context.transfer_syntax))


def decoded(association: Association, sop_class: str, identifier: bytes) -> dict[str, Any]:
    data_set, place = read_data_set(identifier, association.context(sop_class)[0].transfer_syntax, "the answer")
    return data_set.decode(place, "")


def found(association: Association, sop_class: str, **attributes: Any) -> tuple[list[dict[str, Any]], int | None]:
    made = query(association, sop_class, **attributes)
    answers = [decoded(association, sop_class, identifier) for identifier in made.answers()]
    return answers, made.status


def answering(*responses: tuple[int, Dataset | None]) -> list[Any]:
    """The handler of a peer that gives these answers to each query."""

    def handle(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        yield from responses

    return [(evt.EVT_C_FIND, handle)]


def studies(*numbers: int) -> list[tuple[int, Dataset]]:
    return [(0xFF00, keys(StudyInstanceUID=f"1.{number}")) for number in numbers]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_answers_come_in_the_transfer_syntax_of_the_peer(syntax: str, tmp_path: Path) -> None:
    asked: list[Dataset] = []

    def handle(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        asked.append(event.identifier)
        yield 0xFF00, keys(StudyInstanceUID="1.2", PatientName="Prüfung", SpecificCharacterSet="ISO_IR 100")
        yield 0xFF01, keys(StudyInstanceUID="1.3", PatientName="")

    with serving(STUDY_ROOT, syntaxes=[syntax], handlers=[(evt.EVT_C_FIND, handle)]) as port:
        with associated(port, STUDY_ROOT, tmp_path) as association:
            made = query(association, STUDY_ROOT, QueryRetrieveLevel="STUDY", PatientName="Pr*", StudyInstanceUID="")
            answers = [decoded(association, STUDY_ROOT, identifier) for identifier in made.answers()]
    assert [(answer["StudyInstanceUID"], answer["PatientName"]) for answer in answers] == [("1.2", "Prüfung"), ("1.3", "")]
    assert (made.status, made.keys_unsupported) == (0, True)
    assert asked == [keys(QueryRetrieveLevel="STUDY", PatientName="Pr*", StudyInstanceUID="")]


@pytest.mark.parametrize("status", [0x0000, 0xA700, 0xA710, 0xA900, 0xC123, 0x0122, 0xB001])
def test_the_final_status_is_told_and_the_next_query_is_answered(status: int, tmp_path: Path) -> None:
    # After B001H pynetdicom sends 0000H as well.
    with serving(REPOSITORY_QUERY, handlers=answering(*studies(1, 2), (status, None))) as port:
        with associated(port, REPOSITORY_QUERY, tmp_path) as association:
            for _ in range(50):
                answers, told = found(association, REPOSITORY_QUERY, QueryRetrieveLevel="STUDY", RecordKey="")
                assert ([answer["StudyInstanceUID"] for answer in answers], told) == (["1.1", "1.2"], status)


def test_an_error_comment_is_told(tmp_path: Path) -> None:
    status = Dataset()
    status.Status, status.ErrorComment = 0xA700, "too much"

    with serving(STUDY_ROOT, handlers=answering((status, None))) as port:  # type: ignore[arg-type]
        with associated(port, STUDY_ROOT, tmp_path) as association:
            made = query(association, STUDY_ROOT, QueryRetrieveLevel="STUDY")
            assert (list(made.answers()), made.status, made.comment) == ([], 0xA700, "too much")


def test_a_query_is_cancelled(tmp_path: Path) -> None:
    def handle(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        yield from studies(*range(100))
        # pynetdicom reads what comes only while it has nothing to send.
        while not event.is_cancelled:
            time.sleep(0.01)
        yield 0xFE00, None

    with serving(STUDY_ROOT, handlers=[(evt.EVT_C_FIND, handle)]) as port:
        with associated(port, STUDY_ROOT, tmp_path) as association:
            for _ in range(2):
                made = query(association, STUDY_ROOT, QueryRetrieveLevel="STUDY", StudyInstanceUID="")
                count = 0
                for count, _ in enumerate(made.answers(), 1):
                    if count == 5:
                        made.cancel()
                assert (made.status, count) == (0xFE00, 100)
            made.cancel()  # too late, and nothing is sent


def test_what_is_negotiated_is_told(tmp_path: Path) -> None:
    def negotiate(event: evt.Event) -> dict[str, bytes]:
        return {uid: bytes(byte & 1 for byte in information[:3]) for uid, information in event.app_info.items()}

    handlers = [(evt.EVT_SOP_EXTENDED, negotiate), *answering()]
    with serving(STUDY_ROOT, handlers=handlers) as port:
        with associated(port, STUDY_ROOT, tmp_path, extended=b"\1\1\0\1") as association:
            assert association.extended == {STUDY_ROOT: b"\1\1\0"}
        with associated(port, STUDY_ROOT, tmp_path) as association:
            assert association.extended == {}


def test_what_the_peer_does_not_accept(tmp_path: Path) -> None:
    with serving(STUDY_ROOT, handlers=answering()) as port:
        with associated(port, REPOSITORY_QUERY, tmp_path) as association:
            assert association.context(REPOSITORY_QUERY) == []
    with pytest.raises(CannotAssociate, match="no connection to PEER: Connection refused"):
        with associated(free_port(), STUDY_ROOT, tmp_path):
            pass


def test_a_peer_that_disappears(tmp_path: Path) -> None:
    def handle(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        yield from studies(1, 2)
        event.assoc.abort()

    with serving(STUDY_ROOT, handlers=[(evt.EVT_C_FIND, handle)]) as port:
        with pytest.raises(AssociationEnded):
            with associated(port, STUDY_ROOT, tmp_path) as association:
                found(association, STUDY_ROOT, QueryRetrieveLevel="STUDY")


def test_a_peer_that_falls_silent(tmp_path: Path) -> None:
    ended = threading.Event()

    def handle(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        yield from studies(1)
        ended.wait(60)

    with serving(STUDY_ROOT, handlers=[(evt.EVT_C_FIND, handle)]) as port:
        with pytest.raises(AssociationEnded, match="it does not answer"):
            with associated(port, STUDY_ROOT, tmp_path, idle=1) as association:
                found(association, STUDY_ROOT, QueryRetrieveLevel="STUDY")
        ended.set()


# Peers by hand


@contextmanager
def by_hand(answer: Callable[[Connection, int], None]) -> Iterator[int]:
    """A peer that accepts everything, and lets ``answer`` write what comes upon a request, whose context it is told."""
    listening = socket.create_server(("127.0.0.1", 0))
    problems: list[BaseException] = []

    def serve() -> None:
        peer, _ = listening.accept()
        connection = Connection(peer, 60)
        try:
            pdu = connection.read()
            assert pdu.kind == ASSOCIATE_RQ
            service = InventoryFind(None)  # type: ignore[arg-type]
            _, accepted = presentation.accept(presentation.read_request(pdu), [service], lambda permission: True)
            connection.write(accepted)
            while (pdu := connection.read()).kind != RELEASE_RQ:
                if pdu.kind == P_DATA and pdu.content[5] & 3 == 2:  # the last fragment of an identifier
                    answer(connection, pdu.content[4])
            connection.write(Pdu(RELEASE_RP, bytes(4)).encoded)
        except AssociationEnded:
            pass
        except BaseException as error:
            problems.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        thread.join(60)
        listening.close()
    assert problems == []


def response(context: int, status: int, message_id: int = 1, data: bytes = b"") -> bytes:
    """The presentation data values of a response."""
    command = {"CommandField": C_FIND | RESPONSE, "MessageIDBeingRespondedTo": message_id, "Status": status}
    values = [(3, encode_command(command, bool(data)))] + ([(2, data)] if data else [])
    return b"".join(pack(">IBB", len(value) + 2, context, header) + value for header, value in values)


IDENTIFIER = encoded_attributes({"SOPInstanceUID": "1.2.3"}, ExplicitVRLittleEndian)


def test_hundreds_of_thousands_of_answers_need_no_memory(tmp_path: Path) -> None:
    # As many in a PDU as it can hold, which is allowed (PS3.8 9.3.5).
    per_pdu, pdus = 400, 500

    def answer(connection: Connection, context: int) -> None:
        pdu = Pdu(P_DATA, response(context, 0xFF00, data=IDENTIFIER) * per_pdu).encoded
        for _ in range(pdus):
            connection.write(pdu)
        connection.write(Pdu(P_DATA, response(context, 0)).encoded)

    with by_hand(answer) as port, associated(port, FIND, tmp_path) as association:
        made = query(association, FIND, SOPInstanceUID="")
        answers = made.answers()
        for _ in range(1000):
            assert next(answers) == IDENTIFIER
        tracemalloc.start()
        try:
            count = sum(identifier == IDENTIFIER for identifier in answers)
            assert tracemalloc.get_traced_memory()[1] < 4_000_000
        finally:
            tracemalloc.stop()
        assert (made.status, count + 1000) == (0, per_pdu * pdus)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (lambda context: response(context, 0xFF00), "an answer without an identifier"),
        (lambda context: response(context, 0xFF00, data=bytes(1024 * 1024 + 2)), "one that is too large"),
        (lambda context: response(context, 0, message_id=77) * 20, "more messages came than were asked for"),
        (lambda context: response(context + 100, 0), "a presentation context that was not accepted"),
        (lambda context: b"\0\0", "a PDU is broken"),
    ],
)
def test_answers_that_are_none(content: Callable[[int], bytes], problem: str, tmp_path: Path) -> None:
    def answer(connection: Connection, context: int) -> None:
        whole = content(context)
        if len(whole) < 100_000:
            connection.write(Pdu(P_DATA, whole).encoded)
            return
        connection.write(Pdu(P_DATA, response(context, 0xFF00, data=b"..")[:-8]).encoded)
        for position in range(0, len(IDENTIFIER) + 1024 * 1024, 32_768):
            last = position + 32_768 >= len(IDENTIFIER) + 1024 * 1024
            connection.write(Pdu(P_DATA, pack(">IBB", 32_770, context, 2 if last else 0) + bytes(32_768)).encoded)

    with by_hand(answer) as port:
        with pytest.raises(AssociationEnded, match=problem):
            with associated(port, FIND, tmp_path) as association:
                found(association, FIND, SOPInstanceUID="")


def test_a_second_final_answer_does_not_end_the_next_query(tmp_path: Path) -> None:
    """However late it comes, and with whatever in between."""
    asked: list[int] = []

    def answer(connection: Connection, context: int) -> None:
        asked.append(len(asked) + 1)
        late = response(context, 0, asked[-1] - 1) if len(asked) > 1 else b""
        mine = response(context, 0xFF00, asked[-1], IDENTIFIER)
        connection.write(Pdu(P_DATA, mine + late + mine + late + response(context, 0xB001, asked[-1])).encoded)

    with by_hand(answer) as port, associated(port, FIND, tmp_path) as association:
        for _ in range(30):
            answers, status = found(association, FIND, SOPInstanceUID="")
            assert ([answer["SOPInstanceUID"] for answer in answers], status) == (["1.2.3"] * 2, 0xB001)


# Orthanc itself, and our own Application Entity


def test_orthanc_and_its_inventories_are_asked(make_server: MakeServer, tmp_path: Path) -> None:
    server, port = start(make_server)
    server.store(*archive.files(5))
    uid = server.make()["SOPInstanceUID"]
    with associated(port, FIND, tmp_path) as association:
        answers, status = found(association, FIND, SOPInstanceUID="", InventoryLevel="INSTANCE")
        assert ([answer["SOPInstanceUID"] for answer in answers], status) == ([uid], 0)
        assert found(association, FIND, QueryRetrieveLevel="STUDY") == ([], 0xA900)
    with associated(server.dicom_port, STUDY_ROOT, tmp_path) as association:
        answers, status = found(association, STUDY_ROOT, QueryRetrieveLevel="STUDY", StudyInstanceUID="", PatientID="P*")
    assert {answer["StudyInstanceUID"] for answer in answers} == {archive.uid(number, 1) for number in range(1, 6)}
    assert status == 0
