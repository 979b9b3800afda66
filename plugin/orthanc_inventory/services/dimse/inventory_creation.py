"""Inventory Creation (PS3.4 KK): N-ACTION on the one well-known instance starts, watches and ends transactions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from ...dicom.decoder import InvalidInventory
from ...dicom.scope import SEQUENCE, InvalidScope, Scope, UnsupportedScope
from ...dicom.scope_sequence import items_from_data_set
from ...dicom.terms import LEVELS
from ...dicom.transcoding import transcoded
from ...dicom.uids import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    INVENTORY_CREATION,
    STORAGE_MANAGEMENT_INSTANCE,
)
from ...dicom.values import is_uid, legal_value
from ...production.events import Events, TooManyEvents
from ...production.run_queue import NotPossible, TooManyRuns
from ...production.runs import Runs
from ...production.transaction import Cancellation, Kind, State, Transaction
from ...sources import Source
from ...stores import StoreError
from .event_reports import EventReports
from .messages import (
    ATTRIBUTE_LIST_WARNING,
    INVALID_ARGUMENT_VALUE,
    MISSING_ATTRIBUTE,
    MISSING_ATTRIBUTE_VALUE,
    MISTYPED_ARGUMENT,
    N_ACTION,
    NO_SUCH_ACTION,
    NO_SUCH_SOP_INSTANCE,
    NOT_AUTHORIZED,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    SUCCESS,
)
from .peers import Peers
from .service import Refusal, Request, Response

# Action Type ID (0000,1008), Table KK.2-1
_INITIATE, _REQUEST_STATUS, _CANCEL, _PAUSE, _RESUME = range(11, 16)


class InventoryCreation:
    """``source`` answers the scopes; ``configuration`` is the section Inventory."""

    sop_class = INVENTORY_CREATION
    operation = N_ACTION
    permission = "NAction"
    # N-EVENT-REPORT
    sends: tuple[str, ...] = (INVENTORY_CREATION,)

    def __init__(
        self,
        runs: Runs,
        events: Events,
        reports: EventReports,
        peers: Peers,
        source: Source,
        configuration: Mapping[str, Any],
    ) -> None:
        self._runs = runs
        self._events = events
        self._reports = reports
        self._peers = peers
        self._source = source
        self._configuration = configuration
        # Nothing comes between the look at the runs of a peer and the begin of another one.
        self._lock = threading.Lock()
        self._actions: Mapping[int, Callable[[Request, _Information], Response]] = {
            _INITIATE: self._initiate,
            _REQUEST_STATUS: self._request_status,
            _CANCEL: self._cancel,
            _PAUSE: self._pause,
            _RESUME: self._resume,
        }

    def negotiate(self, information: bytes) -> bytes | None:
        return None

    def serve(self, request: Request) -> Iterator[Response]:
        if request.command.get("RequestedSOPInstanceUID") != STORAGE_MANAGEMENT_INSTANCE:
            raise Refusal(NO_SUCH_SOP_INSTANCE, f"the only instance is {STORAGE_MANAGEMENT_INSTANCE}")
        action = self._actions.get(request.command.get("ActionTypeID", 0))
        if action is None:
            raise Refusal(NO_SUCH_ACTION, f"the Action Type ID must be one of {_INITIATE} to {_RESUME}")
        yield action(request, _Information(request))

    # Actions

    def _initiate(self, request: Request, information: _Information) -> Response:
        uid, level = information.uid("TransactionUID"), information.text("InventoryLevel")
        if level not in LEVELS:
            raise Refusal(MISTYPED_ARGUMENT, f"InventoryLevel must be one of {', '.join(LEVELS)}")
        scope, unmatchable = self._scope(information)
        transaction = Transaction(
            uid,
            level,
            scope.simple(),
            information.purpose(),
            # No user has a colon in the name (RFC 7617 2): none can be taken for a peer, and no peer for a user.
            requestor=f"AE: {request.peer}",
            detail=self._configuration["Detail"],
            identifying=self._configuration["PatientIdentifiers"],
            peer=request.peer.ae_title,
            status_interval=information.status_interval() or 0,
        )
        with self._lock:
            if self._runs.transaction(uid) is not None:
                raise Refusal(INVALID_ARGUMENT_VALUE, "TransactionUID was used before")
            self._check_policy(transaction)
            self._reports.follow(uid, request.association)
            try:
                self._runs.submit(transaction)
            except (NotPossible, TooManyRuns, StoreError) as error:
                self._reports.leave(uid, request.association)
                # What is not possible is that someone else has used the UID in this moment.
                status = INVALID_ARGUMENT_VALUE if isinstance(error, NotPossible) else RESOURCE_LIMITATION
                raise Refusal(status, str(error)) from None
        if unmatchable:
            return Response(ATTRIBUTE_LIST_WARNING, None, {"AttributeIdentifierList": unmatchable})
        return Response(SUCCESS)

    def _scope(self, information: _Information) -> tuple[Scope, list[int]]:
        """What of the scope can be matched, and the tags of the keys that cannot, which do not select anything then."""
        scope, unmatchable = information.scope(self._configuration["Timezone"])
        unknown = dict.fromkeys(key.path[0] for key in self._source.unknown(scope))
        return scope.without(unknown), [*unmatchable, *(tag_for_keyword(keyword) or 0 for keyword in unknown)]

    def _check_policy(self, transaction: Transaction) -> None:
        """A peer neither fills the queue nor makes the same inventory twice at a time (PS3.17 YYYY.7.5)."""
        of_peer = [entry for entry in self._runs.unfinished() if self._is_of(entry, transaction.peer)]
        if any((entry.level, entry.scope) == (transaction.level, transaction.scope) for entry in of_peer):
            raise Refusal(RESOURCE_LIMITATION, "a run of the same level and scope is not finished yet")
        waiting = sum(entry.state is not State.RUNNING for entry in of_peer)
        if waiting >= max(1, self._configuration["MaximumPendingRuns"] // 2):
            raise Refusal(RESOURCE_LIMITATION, f"{waiting} runs of this peer wait or are paused")

    def _request_status(self, request: Request, information: _Information) -> Response:
        transaction, interval = self._known(request, information), information.status_interval()
        if interval is not None:
            self._runs.tell_every(transaction.uid, interval)
        try:
            self._events.answer(transaction.uid)
        except TooManyEvents as error:
            raise Refusal(RESOURCE_LIMITATION, str(error)) from None
        return Response(SUCCESS)

    def _cancel(self, request: Request, information: _Information) -> Response:
        retain = information.text("RetainInstances")
        if retain not in tuple(Cancellation):
            raise Refusal(INVALID_ARGUMENT_VALUE, f"RetainInstances must be {' or '.join(Cancellation)}")
        # The events tell when that is done.
        return self._change(
            request, information, lambda uid: self._runs.cancel(uid, retain == Cancellation.RETAIN, patience=0)
        )

    def _pause(self, request: Request, information: _Information) -> Response:
        return self._change(request, information, self._runs.pause)

    def _resume(self, request: Request, information: _Information) -> Response:
        return self._change(request, information, self._runs.resume)

    def _change(self, request: Request, information: _Information, change: Callable[[str], Any]) -> Response:
        uid = self._known(request, information).uid
        try:
            change(uid)
        except NotPossible as error:
            if (transaction := self._runs.transaction(uid)) is None or transaction.is_over:
                self._reports.leave(uid, request.association)
            raise Refusal(PROCESSING_FAILURE, str(error)) from None
        return Response(SUCCESS)

    def _known(self, request: Request, information: _Information) -> Transaction:
        """The transaction, if the peer may ask for anything about it; what is told of it goes over its association."""
        transaction = self._runs.transaction(information.uid("TransactionUID"))
        if transaction is None or transaction.kind is not Kind.INVENTORY:
            raise Refusal(INVALID_ARGUMENT_VALUE, "TransactionUID is not known")
        if not self._is_of(transaction, request.peer.ae_title):
            raise Refusal(NOT_AUTHORIZED, "another one asked for this transaction")
        self._reports.follow(transaction.uid, request.association)
        return transaction

    def _is_of(self, transaction: Transaction, ae_title: str) -> bool:
        return bool(transaction.peer) and self._peers.is_same(transaction.peer, ae_title)


class _Information:
    """Action Information (Table KK.2-1).

    Raises:
        Refusal: by each method, where something is missing or wrong.
    """

    def __init__(self, request: Request) -> None:
        self._data_set = _read(request)
        try:
            [self._values] = items_from_data_set([self._data_set])
        except UnsupportedScope as error:
            raise Refusal(MISTYPED_ARGUMENT, _comment(error)) from None
        except InvalidScope as error:
            raise Refusal(INVALID_ARGUMENT_VALUE, _comment(error)) from None
        except Exception:  # whatever pydicom finds wrong
            raise Refusal(INVALID_ARGUMENT_VALUE, "the data set cannot be read") from None

    def text(self, keyword: str) -> str:
        self._check_present(keyword)
        if not (value := self._values[keyword]):
            raise Refusal(MISSING_ATTRIBUTE_VALUE, f"{keyword} has no value")
        return value

    def uid(self, keyword: str) -> str:
        value = self.text(keyword)
        if not is_uid(value):
            raise Refusal(INVALID_ARGUMENT_VALUE, f"{keyword} must be one UID")
        return value

    def purpose(self) -> str:
        value = self._values.get("InventoryPurpose", "")
        if legal_value("LT", value) != value:
            raise Refusal(INVALID_ARGUMENT_VALUE, "InventoryPurpose must be text of at most 10240 characters")
        return value

    def status_interval(self) -> int | None:
        """In minutes; None where there is none."""
        value = self._values.get("RequestedStatusInterval", "")
        if value and not 0 < int(legal_value("IS", value) or 0):
            raise Refusal(INVALID_ARGUMENT_VALUE, "RequestedStatusInterval must be one number above 0")
        return int(value) if value else None

    def scope(self, timezone: str) -> tuple[Scope, list[int]]:
        """The scope, and the tags of the keys that cannot be matched, whoever is asked."""
        self._check_present(SEQUENCE)
        unmatchable: list[int] = []
        character_set = self._values.get("SpecificCharacterSet", "")
        terms = character_set.split("\\") if character_set else []
        try:
            return Scope.from_data_set(self._data_set[SEQUENCE].value, timezone, terms, unmatchable), unmatchable
        except UnsupportedScope as error:
            raise Refusal(MISTYPED_ARGUMENT, _comment(error)) from None
        except InvalidScope as error:
            raise Refusal(INVALID_ARGUMENT_VALUE, _comment(error)) from None

    def _check_present(self, keyword: str) -> None:
        if keyword not in self._values:
            raise Refusal(MISSING_ATTRIBUTE, f"{keyword} is missing")


def _comment(error: InvalidScope) -> str:
    return str(error).removeprefix("Scope.").removeprefix(f"{SEQUENCE}.")


def _read(request: Request) -> Dataset:
    if request.data is None and not request.too_large:
        return Dataset()
    data_set, place = request.data_set()
    is_explicit = place[2]
    # pydicom reads on where something is broken, and would take half a scope for a whole one.
    other = IMPLICIT_VR_LITTLE_ENDIAN if is_explicit else EXPLICIT_VR_LITTLE_ENDIAN
    try:
        return read_dataset(BytesIO(b"".join(transcoded(data_set, place, other))), is_explicit, True)
    except InvalidInventory as error:
        raise Refusal(INVALID_ARGUMENT_VALUE, error.problem) from None
    except Exception:  # whatever pydicom finds wrong
        raise Refusal(INVALID_ARGUMENT_VALUE, "the data set cannot be read") from None
