"""The route that counts what is in a scope, and how routes take a scope."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

from ...dicom.scope import InvalidScope, Scope
from ...host import Answer, Request, RestError
from ...production.preview import Stopped, count_studies
from ...production.transaction import DETAILS
from ...sources import Source
from .router import Keys, Route, choice, json_body

SCOPE_TYPES = (dict, type(None))
_KEYS: Keys = {"Scope": SCOPE_TYPES, "Detail": str}

# Gets a body and the detail with which records will be read.
ReadScope = Callable[[Mapping[str, Any], str], Scope]


def scope_reader(sources: Mapping[str, Source], timezone: str) -> ReadScope:
    """Takes the scope of a body, which the source of that detail must be able to answer.

    ``timezone`` is that of the repository's dates and times.
    """

    def read(body: Mapping[str, Any], detail: str) -> Scope:
        """Raises: RestError, 400."""
        try:
            scope = Scope.parse(body.get("Scope") or {}, timezone)
            sources[detail].check(scope)
        except InvalidScope as error:
            raise RestError(400, str(error)) from None
        return scope

    return read


class PreviewRoutes:
    """``open_source`` gives one of a detail, for the time of a request."""

    def __init__(self, open_source: Callable[[str], Source], read_scope: ReadScope, default_detail: str) -> None:
        self._open_source = open_source
        self._read_scope = read_scope
        self._default_detail = default_detail
        self._stopping = Event()

    def routes(self) -> list[Route]:
        return [Route("POST", "/inventories/preview", self.count, "Counts the studies in a scope", body=_KEYS)]

    def stop(self) -> None:
        """Lets requests that are still counting end."""
        self._stopping.set()

    def count(self, request: Request) -> Answer:
        body = json_body(request, _KEYS)
        detail = choice(body, "Detail", DETAILS, self._default_detail)
        scope = self._read_scope(body, detail)
        try:
            return Answer({"Studies": count_studies(self._open_source(detail), scope, self._stopping)})
        except Stopped:
            raise RestError(503, "Orthanc is stopping") from None
