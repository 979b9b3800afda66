"""Routes that verify an inventory, and tell what was found."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import unquote_plus

from ...dicom.scope import InvalidScope, Scope
from ...dicom.uids import new_uid
from ...host import Answer, Request, RestError
from ...production.catalogue import Catalogue
from ...production.findings import Finding, FindingKind, Findings
from ...production.runs import Runs
from ...production.transaction import CHECKS, DETAILS, Kind, Transaction
from ...reports.guarded_csv import guard
from ...sources import Source
from .inventories import check_whole, known
from .pieces import pieces
from .router import Keys, Route, choice, json_body, number, user_of
from .transactions import known_transaction

_KEYS: Keys = {"Check": str, "Synchronous": bool, "UserData": object}
_PAGE, _LARGEST_PAGE = 100, 1000
_FORMATS = ("json", "csv", "uids")
_COLUMNS = (
    "Kind", "Level", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "ID", "Items", "Reason", "Attributes",
    "Received", "Later",
)


class VerificationRoutes:
    """``sources`` are by detail; ``accept`` gives a transaction to the queue and answers what its body asks for."""

    def __init__(
        self,
        catalogue: Catalogue,
        sources: Mapping[str, Source],
        runs: Runs,
        findings: Findings,
        accept: Callable[[Transaction, Mapping[str, Any]], Answer],
    ) -> None:
        self._catalogue = catalogue
        self._sources = sources
        self._runs = runs
        self._findings = findings
        self._accept = accept

    def routes(self) -> list[Route]:
        return [
            Route(
                "POST", "/inventories/{uid}/verify", self.verify, "Is the archive still what an inventory says?", body=_KEYS
            ),
            Route(
                "GET", "/inventories/transactions/{ID}/findings", self.list, "What a verification found",
                ("since", "limit", "kind", "format"),
            ),
        ]

    def verify(self, request: Request, uid: str) -> Answer:
        body = json_body(request, _KEYS)
        check = choice(body, "Check", CHECKS, CHECKS[0])
        inventory = known(self._catalogue.inventory(uid))
        check_whole(self._catalogue, inventory)
        level, scope = inventory.document["InventoryLevel"], inventory.document["Scope"]
        if check != "EXISTS" and level != "INSTANCE":
            raise RestError(400, f"Check must be EXISTS: an inventory of Level {level} tells no sizes and digests")
        transaction = Transaction(
            new_uid(), level, scope, user_data=body.get("UserData"), requestor=user_of(request), detail=self._detail(scope),
            kind=Kind.VERIFICATION, verified_uid=uid, check=check,
        )
        return self._accept(transaction, body)

    def _detail(self, scope: Mapping[str, Any]) -> str:
        """With which detail this archive can match the scope of an inventory, that may come from elsewhere; empty: none."""
        for detail in DETAILS:
            try:
                self._sources[detail].check(Scope.parse(scope))
                return detail
            except InvalidScope:
                continue
        return ""

    def list(self, request: Request, uid: str) -> Answer:
        transaction = known_transaction(self._runs.transaction(uid))
        if transaction.kind is not Kind.VERIFICATION:
            raise RestError(404, "this transaction made an inventory: only verifications have findings")
        form = unquote_plus(request.query.get("format", "json"))
        if form not in _FORMATS:
            raise RestError(400, f"format must be one of {', '.join(_FORMATS)}")
        since, kinds = number(request, "since"), _kinds(request)
        if form == "json":
            page = number(request, "limit", _PAGE, 1, _LARGEST_PAGE)
            return Answer([_public(finding) for finding in islice(self._findings.read(transaction, kinds, since), page)])
        limit = number(request, "limit") or None
        if form == "uids":
            uids = islice(self._findings.study_uids(transaction, kinds), since, since + limit if limit else None)
            return Answer(chunks=pieces(f"{uid}\n" for uid in uids), content_type="text/plain")
        rows = islice(self._findings.read(transaction, kinds, since), limit)
        return Answer(chunks=pieces(_csv(rows)), content_type="text/csv")


def _kinds(request: Request) -> tuple[str, ...]:
    """One kind of findings or several, separated by commas; all, if none is asked for."""
    kinds = tuple(unquote_plus(request.query.get("kind", ",".join(FindingKind))).split(","))
    if not set(kinds) <= set(FindingKind):
        raise RestError(400, f"kind must be one or several of {','.join(FindingKind)}")
    return kinds


def _public(finding: Finding) -> dict[str, Any]:
    return {
        "Kind": finding.kind,
        "Level": finding.level,
        "StudyInstanceUID": finding.study_uid,
        "SeriesInstanceUID": finding.series_uid or None,
        "SOPInstanceUID": finding.uid or None,
        "ID": finding.identifier or None,
        "Items": finding.items,
        "Reason": finding.reason,
        "Attributes": finding.attributes,
        "Received": finding.received or None,
        "Later": finding.later,
    }


def _csv(findings: Iterable[Finding]) -> Iterator[str]:
    yield _line(_COLUMNS)
    for finding in findings:
        row = _public(finding)
        row["Attributes"] = json.dumps(row["Attributes"]) if row["Attributes"] else ""
        yield _line("" if row[column] is None else str(row[column]) for column in _COLUMNS)


def _line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(map(guard, cells))
    return line.getvalue()
