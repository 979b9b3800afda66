"""Routes of transactions: start, watch, pause, resume, cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...dicom.records import Skipped
from ...dicom.scope import InvalidScope, Scope
from ...dicom.terms import LEVELS
from ...dicom.values import is_uid, legal_value
from ...host import Answer, Request, RestError
from ...production.journal import Journal
from ...production.runs import NotPossible, RunRequest, Runs, TooManyRuns
from ...production.transaction import DETAILS, State, Transaction
from ...stores import StoreError
from .router import Keys, Route, flag, json_body, page, user_of

_CANCEL_KEYS: Keys = {"RetainInstances": bool}
_START_KEYS: Keys = {
    "Level": str,
    "Detail": str,
    "Purpose": str,
    "Description": str,
    "Scope": (dict, type(None)),
    "TransactionUID": (str, type(None)),
    "Synchronous": bool,
    "UserData": object,
}


class TransactionRoutes:
    def __init__(self, runs: Runs, journal: Journal, default_level: str, default_detail: str) -> None:
        self._runs = runs
        self._journal = journal
        self._default_level = default_level
        self._default_detail = default_detail

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/inventories", self.start, "Starts a run", body=_START_KEYS),
            Route(
                "GET", "/inventories/transactions", self.list, "IDs of runs, the last 1,000", ("expand", "since", "limit")
            ),
            Route("GET", "/inventories/transactions/{ID}", self.show, "One run"),
            Route("POST", "/inventories/transactions/{ID}/pause", self.pause, "Pauses a run", body={}),
            Route("POST", "/inventories/transactions/{ID}/resume", self.resume, "Lets a paused run go on", body={}),
            Route("POST", "/inventories/transactions/{ID}/cancel", self.cancel, "Ends a run", body=_CANCEL_KEYS),
        ]

    def start(self, request: Request) -> Answer:
        body = json_body(request, _START_KEYS)
        wanted = RunRequest(
            _choice(body, "Level", LEVELS, self._default_level),
            _scope(body.get("Scope") or {}),
            _text(body, "Purpose"),
            _text(body, "Description"),
            _transaction_uid(body),
            body.get("UserData"),
            user_of(request),
            _choice(body, "Detail", DETAILS, self._default_detail),
        )
        try:
            transaction = self._runs.submit(wanted)
        except TooManyRuns as error:
            raise RestError(503, str(error)) from None
        except (NotPossible, StoreError) as error:
            raise RestError(409, str(error)) from None
        if body.get("Synchronous"):
            self._runs.wait(transaction)
            return Answer(self._public(transaction))
        return Answer({"ID": transaction.uid, "Path": f"/inventories/transactions/{transaction.uid}"})

    def list(self, request: Request) -> Answer:
        transactions = page(request, self._runs.transactions())
        if flag(request, "expand"):
            return Answer([self._public(transaction) for transaction in transactions])
        return Answer([transaction.uid for transaction in transactions])

    def show(self, request: Request, uid: str) -> Answer:
        return Answer(self._public(_known(self._runs.transaction(uid))))

    def pause(self, request: Request, uid: str) -> Answer:
        json_body(request, {})
        return self._change(lambda: self._runs.pause(uid))

    def resume(self, request: Request, uid: str) -> Answer:
        json_body(request, {})
        return self._change(lambda: self._runs.resume(uid))

    def cancel(self, request: Request, uid: str) -> Answer:
        retain = json_body(request, _CANCEL_KEYS).get("RetainInstances", False)
        return self._change(lambda: self._runs.cancel(uid, retain))

    def _change(self, change: Callable[[], Transaction | None]) -> Answer:
        try:
            return Answer(self._public(_known(change())))
        except NotPossible as error:
            raise RestError(409, str(error)) from None

    def _public(self, transaction: Transaction) -> dict[str, Any]:
        return public(transaction, self._journal.skipped(transaction))


def public(transaction: Transaction, skipped: list[Skipped]) -> dict[str, Any]:
    """A transaction as users see it."""
    progress = transaction.progress
    return {
        "ID": transaction.uid,
        "State": transaction.state,
        "TransactionStatus": transaction.status,
        "TransactionStatusComment": transaction.comment,
        "Progress": transaction.percent,
        "Level": transaction.level,
        "Detail": transaction.detail,
        "Scope": transaction.scope,
        "Purpose": transaction.purpose,
        "Description": transaction.description,
        "Base": None,
        "Requestor": transaction.requestor,
        "CreationTime": transaction.creation_time,
        "CompletionTime": transaction.completion_time or None,
        "EffectiveRuntime": round(progress.runtime, 3),
        "Studies": progress.studies,
        "Series": progress.series,
        "Instances": progress.instances,
        "TotalStudies": transaction.total_studies,
        "DeletedStudies": progress.deleted_studies,
        "CorrectedValues": progress.corrected_values,
        "UnreadHeaders": progress.unread_headers,
        "Remaining": _remaining(transaction),
        "SOPInstanceUID": transaction.root_uid or None,
        "Skipped": [{"ID": entry.identifier, "Level": entry.level, "Reason": entry.reason} for entry in skipped],
        "ErrorCode": transaction.error_code,
        "ErrorDescription": transaction.error_description,
        "UserData": transaction.user_data,
    }


def _remaining(transaction: Transaction) -> float | None:
    """Seconds until the end, if the run goes on as it did; None while that is unknown."""
    progress = transaction.progress
    if transaction.is_over:
        return 0
    if transaction.state is not State.RUNNING or not progress.position or not progress.runtime:
        return None
    return round((transaction.total_studies - progress.position) * progress.runtime / progress.position, 1)


def _known(transaction: Transaction | None) -> Transaction:
    if transaction is None:
        raise RestError(404, "there is no transaction with this ID; GET /inventories/transactions lists them")
    return transaction


def _choice(body: dict[str, Any], key: str, allowed: tuple[str, ...], default: str) -> str:
    value = body.get(key, default)
    if value not in allowed:
        raise RestError(400, f"{key} must be one of {', '.join(allowed)}")
    return value


def _scope(keys: dict[str, Any]) -> dict[str, str]:
    try:
        return dict(Scope.parse(keys).keys)
    except InvalidScope as error:
        raise RestError(400, str(error)) from None


def _text(body: dict[str, Any], key: str) -> str:
    """A value of VR LT (PS3.5 6.2)."""
    value = body.get(key, "").rstrip(" ")
    if legal_value("LT", value) != value:
        raise RestError(400, f"{key} must be text of at most 10240 characters, without control characters")
    return value


def _transaction_uid(body: dict[str, Any]) -> str:
    uid = body.get("TransactionUID")
    if uid is None:
        return ""
    if not is_uid(uid):
        raise RestError(400, "TransactionUID must be a UID: digits and dots, at most 64, no leading zero in a component")
    return uid
