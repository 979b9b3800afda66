"""What becomes of a connection that a peer opens: an association, and requests over it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pynetdicom.pdu_primitives import A_ASSOCIATE

from ...host import describe
from . import presentation
from .association import Association, Limits, Peer
from .connection import ASSOCIATE_RQ, BY_USER, INVALID_PARAMETER, UNEXPECTED_PDU, AssociationEnded, Connection
from .peers import Admission
from .presentation import Rejection
from .responder import Responder
from .service import Service

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
        peers: Admission,
        called: str,
        limits: Limits,
        places: Places,
        log: Callable[[str], None],
    ) -> None:
        self._services = services
        self._responder = Responder(services, log)
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
                self._responder.serve(association, message, permissions)
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


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
