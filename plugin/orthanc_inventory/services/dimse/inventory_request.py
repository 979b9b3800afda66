"""Inventory Creation as SCU (PS3.4 KK.2): actions that are asked of a peer, and the events by which it tells of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from ...dicom.decoder import InvalidInventory
from ...dicom.transcoding import encoded_attributes
from ...dicom.uids import INVENTORY_CREATION, STORAGE_MANAGEMENT_INSTANCE
from ...production.events import EventType
from .association import Association, close
from .messages import INVALID_ARGUMENT_VALUE, N_ACTION, N_EVENT_REPORT, SUCCESS, Message
from .service import Refusal, Request, Response

# PS3.7 10.1.1.1.8
_NO_SUCH_EVENT_TYPE = 0x0113


class Action(IntEnum):
    """Action Type ID (0000,1008), Table KK.2-1."""

    INITIATE = 11
    REQUEST_STATUS = 12
    CANCEL = 13
    PAUSE = 14
    RESUME = 15


_STATUSES = {
    EventType.STATUS: "PROCESSING",
    EventType.TERMINATED_WITH_INSTANCES: "COMPLETE",
    EventType.TERMINATED_WITHOUT_INSTANCES: "FAILURE",
}


class Event(NamedTuple):
    """``information`` is by keyword."""

    type: EventType
    information: Mapping[str, Any]

    @property
    def is_last(self) -> bool:
        return self.type is not EventType.STATUS

    @property
    def status(self) -> str:
        """Transaction Status (0008,0417); an SCU need not be told it, so the type of the event stands for one."""
        return self.information.get("TransactionStatus") or _STATUSES[self.type]


class Answer(NamedTuple):
    """Status and Error Comment of a response, and with B010H the tags of the keys that do not select anything."""

    status: int
    comment: str
    ignored: list[int]


def act(
    association: Association, action: Action, information: Mapping[str, Any], serve: Callable[[Message], None]
) -> Answer:
    """Asks for an action; events that come before the answer go to ``serve``.

    Args:
        information: by keyword, for ``encode_attributes``.

    Raises:
        AssociationEnded
    """
    context = association.context(INVENTORY_CREATION)[0]
    command = {
        "CommandField": N_ACTION,
        "RequestedSOPClassUID": INVENTORY_CREATION,
        "RequestedSOPInstanceUID": STORAGE_MANAGEMENT_INSTANCE,
        "ActionTypeID": int(action),
    }
    association.begin(context, command, (encoded_attributes(information, context.transfer_syntax),))
    response = association.next_response(serve)
    close(response.data)
    told = response.command
    return Answer(told["Status"], told.get("ErrorComment", ""), told.get("AttributeIdentifierList", []))


class InventoryEvents:
    """Takes the events of one transaction. Others are refused, so that the peer does not take them for told."""

    sop_class = INVENTORY_CREATION
    operation = N_EVENT_REPORT
    permission = "NEventReport"
    sends: tuple[str, ...] = (INVENTORY_CREATION,)

    def __init__(self, uid: str, take: Callable[[Event], None]) -> None:
        self._uid = uid
        self._take = take

    def negotiate(self, information: bytes) -> bytes | None:
        return None

    def serve(self, request: Request) -> Iterator[Response]:
        kind = request.command.get("EventTypeID")
        if kind not in tuple(EventType):
            raise Refusal(_NO_SUCH_EVENT_TYPE, "the Event Type ID must be 11, 12 or 13")
        data_set, place = request.data_set()
        try:
            information = data_set.decode(place, "")
        except InvalidInventory as error:
            raise Refusal(INVALID_ARGUMENT_VALUE, error.problem) from None
        if information.get("TransactionUID") != self._uid:
            raise Refusal(INVALID_ARGUMENT_VALUE, "TransactionUID is not known here")
        self._take(Event(EventType(kind), information))
        yield Response(SUCCESS)
