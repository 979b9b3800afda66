"""What a service is to the Application Entity: the SOP class that it serves, whom, and what it answers to a request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple, Protocol

from ...dicom.decoder import EncodedDataSet, InvalidInventory, Place
from ...dicom.file_format import read_data_set
from ...dicom.uids import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from .association import LARGEST_IDENTIFIER, Association, Context, Peer
from .messages import (
    DOES_NOT_MATCH_SOP_CLASS,
    INVALID_ARGUMENT_VALUE,
    N_EVENT_REPORT,
    OUT_OF_RESOURCES,
    RESOURCE_LIMITATION,
)

# The one that is preferred first.
TRANSFER_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)


class Refusal(Exception):
    """A request cannot be served: the status, and one line for the peer, without patient data."""

    def __init__(self, status: int, comment: str, **elements: Any) -> None:
        super().__init__(comment)
        self.response = Response(status, None, {"ErrorComment": comment, **elements})


class Response(NamedTuple):
    """``data`` is a data set in the transfer syntax of the request's context; ``elements`` are further ones of the command
    set by keyword, see ``messages``.
    """

    status: int
    data: bytes | None = None
    elements: Mapping[str, Any] = {}


class PendingResponses(NamedTuple):
    """Several that differ in their data sets only: much cheaper than one by one."""

    status: int
    data_sets: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """``command`` is its command set by keyword; ``data`` its data set, as it was encoded."""

    association: Association
    context: Context
    command: Mapping[str, Any]
    data: BinaryIO | None
    size: int
    too_large: bool

    @property
    def peer(self) -> Peer:
        return self.association.peer

    def is_canceled(self) -> bool:
        """Whether the peer sent a C-CANCEL. To be called between any two steps of work, also as this ends the service when
        the association is at its end.
        """
        return self.association.is_canceled(self.command["MessageID"])

    def data_set(self) -> tuple[EncodedDataSet, Place]:
        """The identifier, or the information of an action.

        Raises:
            Refusal: there is none, it is too large or it cannot be read.
        """
        composite = self.command["CommandField"] < N_EVENT_REPORT
        if self.too_large:
            status = OUT_OF_RESOURCES if composite else RESOURCE_LIMITATION
            raise Refusal(status, f"the data set is larger than {LARGEST_IDENTIFIER} bytes, or the disk is full")
        status = DOES_NOT_MATCH_SOP_CLASS if composite else INVALID_ARGUMENT_VALUE
        if self.data is None:
            raise Refusal(status, "there is no data set")
        try:
            return read_data_set(self.data.read(), self.context.transfer_syntax, "the data set")
        except InvalidInventory as error:
            raise Refusal(status, str(error)) from None


class Service(Protocol):
    """Serves one operation of one SOP class.

    Attributes:
        sop_class: its UID.
        operation: the Command Field of the requests, see ``messages``.
        permission: what a peer must be allowed to do, see ``peers.PERMISSIONS``.
        sends: SOP classes of the requests that the service itself sends over the association of its request: its own, or
            one for which the peer offers the role of SCP.
    """

    sop_class: str
    operation: int
    permission: str
    sends: tuple[str, ...]

    def negotiate(self, information: bytes) -> bytes | None:
        """The answer to a SOP Class Extended Negotiation (PS3.7 D.3.3.5), None for none; found in ``Association.extended``."""

    def serve(self, request: Request) -> Iterator[Response | PendingResponses]:
        """Pending responses, and the final one; what would come after it is not asked for.

        Runs in the thread of the association, and may use that meanwhile (``Association.request``).

        Raises:
            Refusal: becomes the final response.
            AssociationEnded: from all that reads or writes; let it pass.
        """
