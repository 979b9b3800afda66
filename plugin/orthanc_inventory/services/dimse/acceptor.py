"""What becomes of a connection that a peer opens: an association, requests and their answers, a line in the log for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from pydicom.uid import UID
from pynetdicom.pdu_primitives import A_ASSOCIATE

from ...host import describe
from . import presentation
from .association import Association, Limits, Peer, close
from .connection import ASSOCIATE_RQ, BY_USER, INVALID_PARAMETER, UNEXPECTED_PDU, AssociationEnded, Connection
from .messages import (
    C_ECHO,
    NOT_AUTHORIZED,
    OPERATIONS,
    PROCESSING_FAILURE,
    RESPONSE,
    SOP_CLASS_NOT_SUPPORTED,
    SUCCESS,
    UNABLE_TO_PROCESS,
    UNRECOGNIZED_OPERATION,
    Message,
    is_pending,
)
from .peers import Peers
from .presentation import Rejection
from .service import Refusal, Request, Response, Service

# VR LO of Error Comment (0000,0902)
_LONGEST_COMMENT = 64
# A peer that takes PDUs shorter than this (bytes) cannot be answered.
_SHORTEST_PDU = 128


class Places(Protocol):
    """The associations that there may be at a time."""

    def take(self, association: Association) -> bool:
        """False when there are as many as there may be."""

    def leave(self, association: Association) -> None: ...


class Acceptor:
    """``called`` is the AE title that must be called, empty for any."""

    def __init__(
        self,
        services: Sequence[Service],
        peers: Peers,
        called: str,
        limits: Limits,
        places: Places,
        log: Callable[[str], None],
    ) -> None:
        self._services = services
        self._peers = peers
        self._called = called
        self._limits = limits
        self._places = places
        self._log = log

    def serve(self, connection: Connection, address: str) -> None:
        """From the A-ASSOCIATE-RQ to the end of the association."""
        peer = Peer("?", address)
        try:
            pdu = connection.read()
            if pdu.kind != ASSOCIATE_RQ:
                connection.abort(UNEXPECTED_PDU)
                raise AssociationEnded("it did not begin with an A-ASSOCIATE-RQ")
            try:
                request = presentation.read_request(pdu)
                peer = Peer(_printable(request.calling_ae_title), address)
            except Exception:  # whatever pynetdicom finds wrong
                connection.abort(INVALID_PARAMETER)
                raise AssociationEnded("its A-ASSOCIATE-RQ is broken") from None
            self._associate(connection, peer, request, presentation.protocol_version(pdu))
        except AssociationEnded as error:
            self._log(f"DICOM: association of {peer} ended: {error}")
        except Exception as error:  # a defect must not be told to the peer, with data in it
            connection.abort(BY_USER)
            self._log(f"DICOM: association of {peer} ended: {describe(error)}")

    def _associate(self, connection: Connection, peer: Peer, request: A_ASSOCIATE, version: int) -> None:
        permissions = self._peers.permissions(peer)
        rejection = self._rejection(request, permissions, version)
        negotiated, answer = presentation.accept(request, self._services, permissions.__contains__)
        if 0 < negotiated.maximum < _SHORTEST_PDU:
            connection.abort(INVALID_PARAMETER)
            raise AssociationEnded("it takes no PDU of a useful length")
        # What the peer has to send and to take must not hold the association longer than a pause between requests may.
        connection.patience = self._limits.idle or self._limits.request
        association = Association(
            connection, peer, negotiated.contexts, negotiated.maximum, self._limits, negotiated.extended
        )
        if rejection is None and not self._places.take(association):
            rejection = presentation.LOCAL_LIMIT_EXCEEDED
        if rejection is not None:
            connection.write_last(rejection.encoded)
            self._log(f"DICOM: association of {peer} is rejected: {rejection.text}")
            return
        try:
            connection.write(answer)
            while (message := association.next_request()) is not None:
                self._serve_request(association, message, permissions)
        finally:
            self._places.leave(association)
            for note in association.when_over.values():
                note()

    def _rejection(self, request: A_ASSOCIATE, permissions: frozenset[str], version: int) -> Rejection | None:
        if not version & 1:
            return presentation.PROTOCOL_VERSION_NOT_SUPPORTED
        if request.application_context_name != presentation.APPLICATION_CONTEXT:
            return presentation.NO_SUCH_APPLICATION_CONTEXT
        if self._called and not self._peers.is_same(request.called_ae_title, self._called):
            return presentation.CALLED_AE_TITLE_NOT_RECOGNIZED
        if not permissions:
            return presentation.CALLING_AE_TITLE_NOT_RECOGNIZED
        return None

    def _serve_request(self, association: Association, message: Message, permissions: frozenset[str]) -> None:
        command = message.command
        operation = command["CommandField"]
        if operation not in OPERATIONS or "MessageID" not in command:
            raise association.violation("it sent a request that is none")
        common = _common(command)
        said, pending = "unanswered", 0
        try:
            for response in self._responses(association, message, permissions):
                status = response.status
                said = f"{status:04X}H"
                pending += is_pending(status)
                elements = dict(response.elements)
                if "ErrorComment" in elements:
                    elements["ErrorComment"] = elements["ErrorComment"][:_LONGEST_COMMENT]
                data = (response.data,) if response.data else ()
                association.send(message.context, {**common, **elements, "Status": status}, data)
            association.flush()
        finally:
            close(message.data)
            sop_class = UID(association.contexts[message.context].sop_class).name
            found = f" after {pending} pending responses" if pending else ""
            self._log(f"DICOM: {OPERATIONS[operation]} of {sop_class} by {association.peer}: {said}{found}")

    def _responses(
        self, association: Association, message: Message, permissions: frozenset[str]
    ) -> Iterator[Response]:
        """Those of the service up to its final one, whatever happens to it."""
        command, context = message.command, association.contexts[message.context]
        operation = command["CommandField"]
        service = next(
            (entry for entry in self._services if entry.sop_class == context.sop_class and entry.operation == operation), None
        )
        if _sop_class(command) != context.sop_class:
            yield Response(SOP_CLASS_NOT_SUPPORTED)
        elif service is None:
            yield Response(UNRECOGNIZED_OPERATION)
        elif not context.as_scp or service.permission not in permissions:
            yield Response(NOT_AUTHORIZED)
        else:
            request = Request(association, context, command, message.data, message.size, message.too_large)
            try:
                for response in service.serve(request):
                    yield response
                    if not is_pending(response.status):
                        return
            except Refusal as refusal:
                yield refusal.response
                return
            except AssociationEnded:
                raise
            except Exception as error:  # a defect, or Orthanc fails
                self._log(f"DICOM: {OPERATIONS[operation]} failed: {describe(error)}")
                yield Response(UNABLE_TO_PROCESS if operation < C_ECHO else PROCESSING_FAILURE)
                return
            yield Response(SUCCESS)


def _common(command: Mapping[str, Any]) -> dict[str, Any]:
    """What each response says again of its request (PS3.7 9.3, 10.3)."""
    common = {"CommandField": command["CommandField"] | RESPONSE, "MessageIDBeingRespondedTo": command["MessageID"]}
    if sop_class := _sop_class(command):
        common["AffectedSOPClassUID"] = sop_class
    instance = command.get("AffectedSOPInstanceUID") or command.get("RequestedSOPInstanceUID")
    if instance:
        common["AffectedSOPInstanceUID"] = instance
    for keyword in ("ActionTypeID", "EventTypeID"):
        if keyword in command:
            common[keyword] = command[keyword]
    return common


def _sop_class(command: Mapping[str, Any]) -> str:
    return command.get("AffectedSOPClassUID") or command.get("RequestedSOPClassUID") or ""


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
