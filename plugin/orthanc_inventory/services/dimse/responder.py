"""Requests of a peer and their answers, each from the service that it is for, with a line in the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydicom.uid import UID

from ...host import describe
from .association import Association, close
from .connection import AssociationEnded
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
from .service import PendingResponses, Refusal, Request, Response, Service

# VR LO of Error Comment (0000,0902)
_LONGEST_COMMENT = 64


class Responder:
    def __init__(self, services: Sequence[Service], log: Callable[[str], None]) -> None:
        self._services = services
        self._log = log

    def serve(self, association: Association, message: Message, permissions: frozenset[str]) -> None:
        """Answers a request of a peer that has these permissions.

        Raises:
            AssociationEnded
        """
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
                if isinstance(response, PendingResponses):
                    pending += len(response.data_sets)
                    association.send_all(message.context, {**common, "Status": status}, response.data_sets)
                    continue
                pending += is_pending(status)
                elements = dict(response.elements)
                if "ErrorComment" in elements:
                    elements["ErrorComment"] = elements["ErrorComment"][:_LONGEST_COMMENT]
                data = (response.data,) if response.data else ()
                association.send(message.context, {**common, **elements, "Status": status}, data)
                if not data:  # it tells of a sub-operation, and the next one may take long
                    association.flush()
            association.flush()
        finally:
            close(message.data)
            sop_class = UID(association.contexts[message.context].sop_class).name
            found = f" after {pending} pending responses" if pending else ""
            self._log(f"DICOM: {OPERATIONS[operation]} of {sop_class} by {association.peer}: {said}{found}")

    def _responses(
        self, association: Association, message: Message, permissions: frozenset[str]
    ) -> Iterator[Response | PendingResponses]:
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
