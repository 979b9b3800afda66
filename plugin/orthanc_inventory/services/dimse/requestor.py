"""Associations that are asked for here (PS3.8 7.1), with a modality that Orthanc knows or that the command line names."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from ..outgoing import BrokenOff, Outgoing
from .association import Association, Limits, Peer
from .connection import ABORT, ASSOCIATE_AC, ASSOCIATE_RJ, INVALID_PARAMETER, AssociationEnded, Connection
from .peers import Modality
from .presentation import read_acceptance, requested
from .tls import InvalidTls

_REASONS = {
    (1, 3): "it does not know our AE title",
    (1, 7): "it has another AE title",
    (3, 1): "it is congested",
    (3, 2): "it has too many associations",
}


class _Asked(NamedTuple):
    """What an association is for, see ``presentation.requested``."""

    sop_class: str
    extended: bytes
    as_scp: bool
    receives: str


class CannotAssociate(Exception):
    """There is no association with the modality; the message says why."""


class Requestor:
    """``tls`` makes the context for modalities that want it; ``limits`` are those of the associations, which ``ended`` ends."""

    def __init__(
        self, ae_title: str, tls: Callable[[], ssl.SSLContext], limits: Limits, ended: threading.Event | None = None
    ) -> None:
        self._ae_title = ae_title
        self._tls = tls
        self._limits = limits
        self._ended = ended
        self._outgoing = Outgoing()
        # Ends all connections at once, and begins no other.
        self.stop = self._outgoing.break_off

    @contextmanager
    def association(
        self, modality: Modality, sop_class: str, extended: bytes = b"", as_scp: bool = False, receives: str = ""
    ) -> Iterator[Association]:
        """An association for one SOP class, which is released at the end; ``as_scp`` as its SCP. ``receives`` is the SOP
        class of the requests that come over it: Inventory Storage with C-GET, the same with events.

        Raises:
            CannotAssociate
            AssociationEnded: it ends before its time.
        """
        limits = self._limits._replace(idle=modality.timeout or self._limits.idle)
        with ExitStack() as stack:
            try:
                peer = stack.enter_context(self._outgoing.connection(modality.host, modality.port, limits.idle or None))
                connection = Connection(peer, limits.idle or limits.request)
            except BrokenOff:
                raise CannotAssociate("Orthanc stops") from None
            except OSError as error:
                raise CannotAssociate(f"no connection to {modality.name}: {error.strerror or 'it does not answer'}") from None
            stack.callback(connection.close)
            if modality.tls:
                self._secure(connection, modality)
            asked = _Asked(sop_class, extended, as_scp, receives)
            association = self._negotiate(connection, modality, asked, limits)
            yield association
            association.release()

    def _secure(self, connection: Connection, modality: Modality) -> None:
        try:
            connection.secure(self._tls(), server_side=False, host=modality.host)
        except (AssociationEnded, InvalidTls) as error:
            raise CannotAssociate(f"no connection to {modality.name}: {error}") from None

    def _negotiate(self, connection: Connection, modality: Modality, asked: _Asked, limits: Limits) -> Association:
        ae_title = modality.local_ae_title or self._ae_title
        try:
            connection.write(requested(ae_title, modality.ae_title, *asked))
            answer = connection.read()
        except AssociationEnded as error:
            raise CannotAssociate(f"no association with {modality.name}: {error}") from None
        if answer.kind == ABORT:
            raise CannotAssociate(f"no association with {modality.name}: it aborts it")
        if answer.kind == ASSOCIATE_RJ:
            source, reason = answer.content[2:4]
            text = _REASONS.get((source, reason), f"source {source}, reason {reason}")
            raise CannotAssociate(f"{modality.name} rejects the association: {text}")
        try:
            if answer.kind != ASSOCIATE_AC:
                raise ValueError
            negotiated = read_acceptance(answer, asked.sop_class, asked.as_scp, asked.receives)
        except Exception:  # whatever pynetdicom finds wrong
            connection.abort(INVALID_PARAMETER)
            raise CannotAssociate(f"no association with {modality.name}: it does not answer as DICOM says") from None
        peer = Peer(modality.ae_title, modality.host)
        return Association(connection, peer, negotiated.contexts, negotiated.maximum, limits, negotiated.extended, self._ended)
