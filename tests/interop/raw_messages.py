"""A C-FIND SCU on a bare socket: it tells every message that comes, and takes them as fast as they can be sent.

pynetdicom waits for more after a final warning, and DCMTK's findscu is slower than what is to be measured.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from struct import pack, unpack, unpack_from
from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import decode, encode
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification, SOPClassExtendedNegotiation,
)
from pynetdicom.presentation import PresentationContext

_CONTEXT = 1
_P_DATA, _RELEASE_RQ, _RELEASE_RP, _ABORT = 4, 5, 6, 7


class Answer(NamedTuple):
    """One response: status, the rest of its command set, and the encoded identifier, None if there is none."""

    status: int
    command: Dataset
    identifier: bytes | None


class Counted(NamedTuple):
    """The pending responses and the final status, the seconds from the request to that, and the last identifier."""

    pending: int
    status: int
    seconds: float
    last: bytes


class RawScu:
    """An association with one presentation context.

    Attributes:
        extended: the answer of the extended negotiation, None for none.
        longest_pdu: the bytes of the longest PDU that came in the association.
    """

    def __init__(
        self, port: int, sop_class: str, transfer_syntax: str, extended: bytes, maximum: int, called: str, patience: float
    ) -> None:
        self.sop_class = sop_class
        self.transfer_syntax = transfer_syntax
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=patience)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._input = bytearray()
        self._position = 0
        self._message_id = 0
        self.longest_pdu = 0
        self._socket.sendall(_request(sop_class, transfer_syntax, extended, maximum, called))
        kind, content = self._pdu()
        assert kind == 2, f"PDU type {kind} instead of A-ASSOCIATE-AC"
        accepted = A_ASSOCIATE_AC()
        accepted.decode(pack(">BBI", kind, 0, len(content)) + content)
        primitive = accepted.to_primitive()
        [context] = primitive.presentation_context_definition_results_list
        assert context.result == 0, f"the context is refused: {context.result}"
        items = [item for item in primitive.user_information if isinstance(item, SOPClassExtendedNegotiation)]
        self.longest_pdu = 0
        self.extended = items[0].service_class_application_information if items else None

    def close(self) -> None:
        self._socket.close()

    def release(self) -> None:
        """Nothing may come but the answer to it."""
        self._socket.sendall(pack(">BBI4x", _RELEASE_RQ, 0, 4))
        kind, _ = self._pdu()
        assert kind == _RELEASE_RP, f"PDU type {kind} instead of A-RELEASE-RP"
        self.close()

    def send(self, identifier: Dataset | bytes) -> int:
        """Sends a C-FIND-RQ and answers its Message ID."""
        self._message_id += 1
        command = Dataset()
        command.AffectedSOPClassUID = self.sop_class
        command.CommandField, command.MessageID, command.Priority, command.CommandDataSetType = 0x20, self._message_id, 0, 1
        self._send_command(command)
        self._send_fragment(self._encoded(identifier), 2)
        return self._message_id

    def cancel(self, message_id: int) -> None:
        command = Dataset()
        command.CommandField, command.MessageIDBeingRespondedTo, command.CommandDataSetType = 0xFFF, message_id, 0x101
        self._send_command(command)

    def answers(self) -> Iterator[Answer]:
        """The responses up to the first final one."""
        while True:
            command, identifier = self._message()
            decoded = decode(BytesIO(command), True, True)
            yield Answer(decoded.Status, decoded, identifier)
            if decoded.Status not in (0xFF00, 0xFF01):
                return

    def find(self, identifier: Dataset | bytes) -> list[Answer]:
        self.send(identifier)
        return list(self.answers())

    def is_silent(self, seconds: float = 0.5) -> bool:
        """Whether nothing comes for that time."""
        if self._position < len(self._input):
            return False
        before = self._socket.gettimeout()
        self._socket.settimeout(seconds)
        try:
            self._input += self._socket.recv(65536)
            return False
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(before)

    def count(self, identifier: Dataset | bytes) -> Counted:
        """Takes all answers without decoding them."""
        start = time.perf_counter()
        self.send(identifier)
        pending, last = 0, b""
        while True:
            command, data = self._message()
            status = _status(command)
            if status not in (0xFF00, 0xFF01):
                return Counted(pending, status, time.perf_counter() - start, last)
            pending += 1
            last = data or b""

    def data_set(self, answer: Answer) -> Dataset:
        assert answer.identifier is not None
        implicit = self.transfer_syntax == ImplicitVRLittleEndian
        deflated = self.transfer_syntax not in (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
        return decode(BytesIO(answer.identifier), implicit, True, deflated)

    def _encoded(self, identifier: Dataset | bytes) -> bytes:
        if isinstance(identifier, bytes):
            return identifier
        implicit = self.transfer_syntax == ImplicitVRLittleEndian
        deflated = self.transfer_syntax not in (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
        encoded = encode(identifier, implicit, True, deflated)
        assert encoded is not None
        return encoded

    def _send_command(self, command: Dataset) -> None:
        encoded = encode(command, True, True)
        assert encoded is not None
        self._send_fragment(pack("<HHII", 0, 0, 4, len(encoded)) + encoded, 3)

    def _send_fragment(self, content: bytes, header: int) -> None:
        pieces = [content[start : start + 16000] for start in range(0, len(content), 16000)] or [b""]
        for place, piece in enumerate(pieces):
            last = header if place == len(pieces) - 1 else header & 1
            self._socket.sendall(
                pack(">BBIIBB", _P_DATA, 0, len(piece) + 6, len(piece) + 2, _CONTEXT, last) + piece
            )

    def _message(self) -> tuple[bytes, bytes | None]:
        """Command set and data set, whole."""
        command, data = bytearray(), bytearray()
        has_data = ended = False
        while not ended:
            kind, content = self._pdu()
            assert kind == _P_DATA, f"PDU type {kind} instead of P-DATA-TF"
            position = 0
            while position < len(content):
                length, context, header = unpack_from(">IBB", content, position)
                assert context == _CONTEXT
                (command if header & 1 else data).extend(content[position + 6 : position + 4 + length])
                position += 4 + length
                if header == 3:
                    has_data = _has_data(bytes(command))
                    ended = not has_data
                elif header == 2:
                    ended = True
        return bytes(command), bytes(data) if has_data else None

    def _pdu(self) -> tuple[int, bytes]:
        kind, _, length = unpack(">BBI", self._take(6))
        self.longest_pdu = max(self.longest_pdu, length + 6)
        return kind, self._take(length)

    def _take(self, size: int) -> bytes:
        if len(self._input) < self._position + size:
            del self._input[: self._position]
            self._position = 0
            while len(self._input) < size:
                piece = self._socket.recv(1 << 20)
                assert piece, "the connection was closed"
                self._input += piece
        self._position += size
        return bytes(self._input[self._position - size : self._position])


@contextmanager
def raw_scu(
    port: int, sop_class: str, transfer_syntax: str = ExplicitVRLittleEndian, extended: Sequence[int] = (),
    maximum: int = 65536, called: str = "INVENTORY", patience: float = 60,
) -> Iterator[RawScu]:
    made = RawScu(port, sop_class, transfer_syntax, bytes(extended), maximum, called, patience)
    try:
        yield made
    finally:
        made.close()


def _request(sop_class: str, transfer_syntax: str, extended: bytes, maximum: int, called: str) -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = "RAW", called
    context = PresentationContext()
    context.context_id = _CONTEXT
    context.abstract_syntax = sop_class  # type: ignore[assignment]
    context.transfer_syntax = [transfer_syntax]  # type: ignore[assignment]
    primitive.presentation_context_definition_list = [context]
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = maximum
    implementation.implementation_class_uid = "2.25.1"  # type: ignore[assignment]
    items = [length, implementation]
    if extended:
        negotiation = SOPClassExtendedNegotiation()
        negotiation.sop_class_uid = sop_class  # type: ignore[assignment]
        negotiation.service_class_application_information = extended
        items.append(negotiation)  # type: ignore[arg-type]
    primitive.user_information = items  # type: ignore[assignment]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return pdu.encode()


def _elements(command: bytes | bytearray) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(command):
        _, element, length = unpack_from("<HHI", command, position)
        yield element, bytes(command[position + 8 : position + 8 + length])
        position += 8 + length


@lru_cache(maxsize=64)
def _number(command: bytes, element: int) -> int:
    """One of its numbers. Most command sets of an answer are the same, but for the identifier that follows."""
    return int(unpack("<H", dict(_elements(command))[element])[0])


def _has_data(command: bytes) -> bool:
    return _number(command, 0x0800) != 0x0101


def _status(command: bytes) -> int:
    return _number(command, 0x0900)
