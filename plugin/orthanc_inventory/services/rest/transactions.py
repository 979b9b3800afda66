"""Routes of transactions: start, watch, pause, resume, cancel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...dicom.records import Skipped
from ...dicom.scope import InvalidScope, Scope
from ...dicom.terms import LEVELS
from ...dicom.uids import new_uid
from ...dicom.values import is_uid, legal_value
from ...host import Answer, Request, RestError
from ...production.bases import InvalidBase, UnknownBase, find_base
from ...production.catalogue import Catalogue
from ...production.journal import Journal
from ...production.run_queue import NotPossible, TooManyRuns
from ...production.runs import Runs
from ...production.transaction import DETAILS, Kind, State, Transaction
from ...stores import StoreError
from ..other_archives import KINDS, OtherArchives, UnknownArchive
from .preview import SCOPE_TYPES, ReadScope
from .router import Keys, Route, choice, flag, json_body, page, user_of

_CANCEL_KEYS: Keys = {"RetainInstances": bool}
_START_KEYS: Keys = {
    "Level": str,
    "Detail": str,
    "Purpose": str,
    "Description": str,
    "Scope": SCOPE_TYPES,
    "Source": (dict, type(None)),
    "TransactionUID": (str, type(None)),
    "Base": (str, type(None)),
    "IncludeRemoved": bool,
    "PatientIdentifiers": bool,
    "Synchronous": bool,
    "UserData": object,
}


class TransactionRoutes:
    """``configuration`` is the section Inventory: its defaults hold for what a body leaves out. ``read_scope`` see there."""

    def __init__(
        self,
        runs: Runs,
        journal: Journal,
        catalogue: Catalogue,
        read_scope: ReadScope,
        archives: OtherArchives,
        configuration: Mapping[str, Any],
    ) -> None:
        self._runs = runs
        self._journal = journal
        self._catalogue = catalogue
        self._read_scope = read_scope
        self._archives = archives
        self._configuration = configuration

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
        level = choice(body, "Level", LEVELS, self._configuration["Level"])
        detail = choice(body, "Detail", DETAILS, self._configuration["Detail"])
        source = self._source(body)
        scope = self._scope_of(source, body, detail) if source else self._read_scope(body, detail)
        transaction = Transaction(
            _transaction_uid(body),
            level,
            scope.simple(),
            _text(body, "Purpose"),
            _text(body, "Description"),
            body.get("UserData"),
            user_of(request),
            detail,
            self._base(body, level, scope),
            body.get("IncludeRemoved", True),
            self._identifying(body),
            source=source,
        )
        return self.accept(transaction, body)

    def accept(self, transaction: Transaction, body: Mapping[str, Any]) -> Answer:
        """Gives a new transaction to the queue, and answers it as ``Synchronous`` in the body says.

        Raises:
            RestError: 409, 503
        """
        try:
            self._runs.submit(transaction)
        except TooManyRuns as error:
            raise RestError(503, str(error)) from None
        except (NotPossible, StoreError) as error:
            raise RestError(409, str(error)) from None
        if body.get("Synchronous"):
            self._runs.wait(transaction)
            return Answer(self._public(transaction))
        return Answer({"ID": transaction.uid, "Path": f"/inventories/transactions/{transaction.uid}"})

    def _source(self, body: dict[str, Any]) -> dict[str, str]:
        """Raises: RestError, 400."""
        source: dict[str, Any] | None = body.get("Source")
        if source is None:
            return {}
        if len(source) != 1 or not source.keys() <= set(KINDS) or not all(isinstance(name, str) for name in source.values()):
            forms = " or ".join(f'{{"{kind}": "name"}}' for kind in KINDS)
            raise RestError(400, f"Source must be {forms}")
        if body.get("Base") is not None:
            raise RestError(400, "Base must not stand with Source: what changed in another archive is not known")
        return source

    def _scope_of(self, source: dict[str, str], body: dict[str, Any], detail: str) -> Scope:
        """Raises: RestError: 400, 404."""
        try:
            scope = Scope.parse(body.get("Scope") or {}, self._configuration["Timezone"])
            self._archives.check(source, detail, scope)
        except InvalidScope as error:
            raise RestError(400, str(error)) from None
        except UnknownArchive as error:
            raise RestError(404, str(error)) from None
        return scope

    def _base(self, body: dict[str, Any], level: str, scope: Scope) -> str:
        wanted = body.get("Base")
        if wanted is None:
            return ""
        if not body.get("IncludeRemoved", True):
            raise RestError(400, "IncludeRemoved must be true with Base: else what was deleted would seem to be there still")
        try:
            return find_base(self._catalogue, wanted, level, scope).uid
        except UnknownBase as error:
            raise RestError(404, str(error)) from None
        except InvalidBase as error:
            raise RestError(400, str(error)) from None

    def _identifying(self, body: dict[str, Any]) -> bool:
        allowed = self._configuration["PatientIdentifiers"]
        if body.get("PatientIdentifiers", allowed) and not allowed:
            raise RestError(403, "PatientIdentifiers must be false, as Inventory.PatientIdentifiers is")
        return body.get("PatientIdentifiers", allowed)

    def list(self, request: Request) -> Answer:
        transactions = page(request, self._runs.transactions())
        if flag(request, "expand"):
            return Answer([self._public(transaction) for transaction in transactions])
        return Answer([transaction.uid for transaction in transactions])

    def show(self, request: Request, uid: str) -> Answer:
        return Answer(self._public(known_transaction(self._runs.transaction(uid))))

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
            return Answer(self._public(known_transaction(change())))
        except NotPossible as error:
            raise RestError(409, str(error)) from None

    def _public(self, transaction: Transaction) -> dict[str, Any]:
        return public(transaction, self._journal.skipped(transaction))


def public(transaction: Transaction, skipped: list[Skipped]) -> dict[str, Any]:
    """A transaction as users see it."""
    progress = transaction.progress
    return {
        "ID": transaction.uid,
        "Kind": transaction.kind,
        "State": transaction.state,
        "TransactionStatus": transaction.status,
        "TransactionStatusComment": transaction.comment,
        "Progress": transaction.percent,
        "Level": transaction.level,
        "Detail": transaction.detail or None,
        "Base": transaction.base or None,
        "Source": transaction.source or None,
        "IncludeRemoved": transaction.include_removed,
        "PatientIdentifiers": transaction.identifying,
        "Scope": transaction.scope,
        "Purpose": transaction.purpose,
        "Description": transaction.description,
        "Requestor": transaction.requestor,
        "Schedule": transaction.schedule or None,
        "CreationTime": transaction.creation_time,
        "CompletionTime": transaction.completion_time or None,
        "EffectiveRuntime": round(progress.runtime, 3),
        "Studies": progress.studies,
        "Series": progress.series,
        "Instances": progress.instances,
        "TotalStudies": transaction.total_studies,
        "DeletedStudies": progress.deleted_studies,
        "Removed": sum(progress.removed),
        "CorrectedValues": progress.corrected_values,
        "UnreadHeaders": progress.unread_headers,
        "Remaining": _remaining(transaction),
        "SOPInstanceUID": transaction.root_uid or None,
        "Verification": _verification(transaction) if transaction.kind is Kind.VERIFICATION else None,
        "Skipped": [{"ID": entry.identifier, "Level": entry.level, "Reason": entry.reason} for entry in skipped],
        "ErrorCode": transaction.error_code,
        "ErrorDescription": transaction.error_description,
        "UserData": transaction.user_data,
    }


def _verification(transaction: Transaction) -> dict[str, Any]:
    """``Extra`` is null where this archive cannot match the scope of the inventory."""
    checked, missing, damaged, different, extra, later, unchecked = transaction.progress.verified
    told = bool(transaction.detail)
    return {
        "SOPInstanceUID": transaction.verified_uid,
        "Check": transaction.check,
        "Checked": checked,
        "Missing": missing,
        "Damaged": damaged,
        "Different": different,
        "Extra": extra if told else None,
        "Later": later if told else None,
        "Unchecked": unchecked,
        "Coverage": round((checked - missing) / checked, 6) if checked else None,
    }


def _remaining(transaction: Transaction) -> float | None:
    """Seconds until the end, if the run goes on as it did; None while that is unknown."""
    progress = transaction.progress
    if transaction.is_over:
        return 0
    if transaction.state is not State.RUNNING or not progress.position or not progress.runtime:
        return None
    return round((transaction.total_studies - progress.position) * progress.runtime / progress.position, 1)


def known_transaction(transaction: Transaction | None) -> Transaction:
    """Raises: RestError, 404."""
    if transaction is None:
        raise RestError(404, "there is no transaction with this ID; GET /inventories/transactions lists them")
    return transaction


def _text(body: dict[str, Any], key: str) -> str:
    """A value of VR LT (PS3.5 6.2)."""
    value = body.get(key, "").rstrip(" ")
    if legal_value("LT", value) != value:
        raise RestError(400, f"{key} must be text of at most 10240 characters, without control characters")
    return value


def _transaction_uid(body: dict[str, Any]) -> str:
    uid = body.get("TransactionUID")
    if uid is None:
        return new_uid()
    if not is_uid(uid):
        raise RestError(400, "TransactionUID must be a UID: digits and dots, at most 64, no leading zero in a component")
    return uid
