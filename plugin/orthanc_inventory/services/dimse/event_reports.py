"""N-EVENT-REPORT of Inventory Creation (PS3.4 KK.2.3): what there is to tell goes over the association of the request while
that lasts, else over a new one to the peer, with pauses after failures.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable

from ...dicom.transcoding import encoded_attributes
from ...dicom.uids import INVENTORY_CREATION, STORAGE_MANAGEMENT_INSTANCE
from ...production.events import Event, Events, EventType
from ...production.transaction import utc_time
from ..courier import Courier
from .association import Association
from .connection import AssociationEnded
from .messages import N_EVENT_REPORT, PROCESSING_FAILURE, SUCCESS, is_warning
from .peers import Peers
from .requestor import CannotAssociate, Requestor

_PERMISSION = "NEventReport"
# So long a peer may be out of reach until what waits for it is given up.
_PATIENCE = datetime.timedelta(days=1)
# How often it is looked whether a status interval is over (seconds).
_LOOK = 5.0


class EventReports:
    """The events of a transaction are sent in their order, by one thread at a time: that of an association, or the courier."""

    def __init__(self, events: Events, peers: Peers, requestor: Requestor, log: Callable[[str], None]) -> None:
        self._events = events
        self._peers = peers
        self._requestor = requestor
        self._log = log
        self._lock = threading.Lock()
        # The associations over which a transaction was asked for or about, the latest last.
        self._associations: dict[str, list[Association]] = {}
        # The transactions whose events someone is about to send; None is the courier.
        self._senders: dict[str, Association | None] = {}
        self._courier = Courier(
            "inventory-event-reports", "telling", self._unattended, self._deliver, requestor.stop, log, _LOOK
        )
        self.start, self.stop = self._courier.start, self._courier.stop
        events.when_added.append(self._added)

    def follow(self, uid: str, association: Association) -> None:
        """What is to be told of the transaction goes over this association while it lasts. Called in its own thread."""
        if _PERMISSION not in self._peers.permissions(association.peer) or not association.context(INVENTORY_CREATION):
            return
        with self._lock:
            associations = self._associations.setdefault(uid, [])
            if association in associations:
                associations.remove(association)
            associations.append(association)
            association.awaited.add(uid)
            association.when_over[uid] = lambda: self.leave(uid, association)

    def leave(self, uid: str, association: Association) -> None:
        """Nothing more goes over this association."""
        with self._lock:
            association.awaited.discard(uid)
            if association in self._associations.get(uid, ()):
                self._associations[uid].remove(association)
                if not self._associations[uid]:
                    del self._associations[uid]
            if self._senders.get(uid) is association:
                del self._senders[uid]
        self._courier.wake()

    def _forget(self, uid: str) -> None:
        """It is over: nobody need wait for it any more."""
        with self._lock:
            for association in self._associations.pop(uid, ()):
                association.awaited.discard(uid)

    def _added(self, uid: str) -> None:
        with self._lock:
            attended = self._hand_over(uid)
        if not attended:
            self._courier.wake()

    def _hand_over(self, uid: str) -> bool:
        """Whether the events are sent without the courier."""
        if uid not in self._senders:
            if uid not in self._associations:
                return False
            association = self._associations[uid][-1]
            self._senders[uid] = association
            association.post(lambda: self._send_here(uid, association))
        return True

    def _send_here(self, uid: str, association: Association) -> None:
        """In the thread of the association, unless that was left meanwhile."""
        with self._lock:
            if self._senders.get(uid) is not association:
                return
        refused = self._send(uid, association)
        if refused:
            self.leave(uid, association)
        else:
            self._release(uid)

    def _release(self, uid: str) -> None:
        with self._lock:
            self._senders.pop(uid, None)
        # What was added since the last one was sent.
        self._courier.wake()

    # The courier

    def _unattended(self) -> list[str]:
        """The peers for which something waits that no association takes."""
        self._events.remind()
        waiting = self._events.waiting()
        with self._lock:
            return list(dict.fromkeys(peer for uid, peer in waiting if not self._hand_over(uid)))

    def _deliver(self, ae_title: str) -> str:
        failure = self._tell(ae_title)
        if failure:
            before = utc_time(datetime.datetime.now(datetime.timezone.utc) - _PATIENCE)
            if given_up := self._events.give_up(ae_title, before):
                self._log(f"{given_up} event reports for {ae_title} are given up after a day")
        return failure

    def _tell(self, ae_title: str) -> str:
        """Tells a peer all that waits for it, and answers why not."""
        if ae_title not in (peer for _, peer in self._events.waiting()):
            return ""  # an association was quicker
        modality = self._peers.find(ae_title)
        if modality is None or _PERMISSION not in modality.allowed:
            return "it is no modality of Orthanc with AllowEventReport"
        failure = ""
        try:
            with self._requestor.association(modality, INVENTORY_CREATION, as_scp=True) as association:
                for uid, peer in self._events.waiting():
                    if peer == ae_title and self._claim(uid):
                        try:
                            failure = self._send(uid, association) or failure
                        finally:
                            self._release(uid)
        except (CannotAssociate, AssociationEnded) as error:
            return str(error)
        return failure

    def _claim(self, uid: str) -> bool:
        with self._lock:
            if uid in self._senders or uid in self._associations:
                return False
            self._senders[uid] = None
            return True

    # Messages

    def _send(self, uid: str, association: Association) -> str:
        """Sends all events of a transaction, and answers why the last one was not taken.

        Raises:
            AssociationEnded
            CannotAssociate: there is no context for it.
        """
        try:
            return self._send_all(uid, association)
        finally:
            self._events.give_back(uid)

    def _send_all(self, uid: str, association: Association) -> str:
        while (event := self._events.take_first(uid)) is not None:
            status = self._report(event, association)
            self._log(f"DICOM: N-EVENT-REPORT {event.type:d} to {association.peer}: {status:04X}H")
            # Of a status that a peer does not want to know the next one tells more; the end it must know.
            if event.type is not EventType.STATUS and status != SUCCESS and not is_warning(status):
                return f"it answers {status:04X}H"
            self._events.remove(event)
            if event.information["TransactionStatus"] not in ("PROCESSING", "PAUSED"):
                self._forget(uid)
        return ""

    def _report(self, event: Event, association: Association) -> int:
        context = next(iter(association.context(INVENTORY_CREATION)), None)
        if context is None:
            raise CannotAssociate("it does not accept the role of the SCU of Inventory Creation")
        command = {
            "CommandField": N_EVENT_REPORT,
            "AffectedSOPClassUID": INVENTORY_CREATION,
            "AffectedSOPInstanceUID": STORAGE_MANAGEMENT_INSTANCE,
            "EventTypeID": int(event.type),
        }
        data = encoded_attributes(event.information, context.transfer_syntax)
        return int(association.request(context, command, (data,)).get("Status", PROCESSING_FAILURE))
