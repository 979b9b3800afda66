"""Repository Query (PS3.4 C.6.4): C-FIND over the archive itself, in parts that follow each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...dicom.decoder import InvalidInventory
from ...dicom.macros import row
from ...dicom.periods import server_offset
from ...dicom.record_keys import InvalidRecordKey, position_of
from ...dicom.repository_query import (
    ATTRIBUTES,
    RECORD_LEVELS,
    InvalidQuery,
    RepositoryQuery,
    agreed,
    negotiated,
)
from ...dicom.response_identifiers import Branch, ResponseIdentifiers
from ...sources.repository import Repository
from .messages import (
    C_FIND,
    CANCELED,
    DOES_NOT_MATCH_SOP_CLASS,
    INVALID_PRIOR_RECORD_KEY,
    PENDING,
    PENDING_WITH_WARNING,
    RESPONSE_LIMIT_REACHED,
    SUCCESS,
)
from .service import PendingResponses, Refusal, Request, Response

# Responses that are made and sent together; between two such lots a C-CANCEL is looked for.
_LOT = 500
_QUERY_LEVELS = {level: query_level for query_level, level in RECORD_LEVELS.items()}


class RepositoryFind:
    """``maximum`` are the pending responses to a request, ``zone`` is the offset of the archive's dates and times."""

    sop_class = "1.2.840.10008.5.1.4.1.1.201.6"
    operation = C_FIND
    permission = "Find"
    sends: tuple[str, ...] = ()

    def __init__(self, repository: Repository, maximum: int, zone: str) -> None:
        self._repository = repository
        self._maximum = maximum
        self._zone = zone

    def negotiate(self, information: bytes) -> bytes | None:
        return negotiated(information) or None

    def serve(self, request: Request) -> Iterator[Response | PendingResponses]:
        query, prior = self._read(request)
        left = self._maximum if query.maximum is None else min(self._maximum, query.maximum)
        identifiers = _identifiers(query, request.context.transfer_syntax)
        status = PENDING_WITH_WARNING if query.unsupported else PENDING
        for branches in self._repository.find(query, prior):
            for lot in [[], *_lots(branches)]:
                if request.is_canceled():
                    yield Response(CANCELED)
                    return
                if not lot:
                    continue
                # What follows the last one that is answered is seen here, and not told.
                data_sets = identifiers.encode(lot) if left else []
                yield PendingResponses(status, data_sets[:left])
                if not left or len(data_sets) > left:
                    yield Response(RESPONSE_LIMIT_REACHED)
                    return
                left -= len(data_sets)
        yield Response(SUCCESS)

    def _read(self, request: Request) -> tuple[RepositoryQuery, bytes]:
        """The query, and the position after which its answers begin."""
        data_set, place = request.data_set()
        mechanisms = agreed(request.association.extended.get(self.sop_class, b""))
        try:
            query = RepositoryQuery(
                data_set.decode(place, ""), mechanisms, self._repository.known, self._zone or server_offset()
            )
            return query, position_of(query.prior, query.level) if query.prior else b""
        except (InvalidInventory, InvalidQuery) as error:
            raise Refusal(DOES_NOT_MATCH_SOP_CLASS, str(error)) from None
        except InvalidRecordKey as error:
            raise Refusal(INVALID_PRIOR_RECORD_KEY, str(error)) from None


def _identifiers(query: RepositoryQuery, transfer_syntax: str) -> ResponseIdentifiers:
    """What is asked for, and what PS3.4 C.4.1.1.3.2 wants to be answered in any case."""
    always = [
        row("SpecificCharacterSet", "2", default="ISO_IR 192"),
        row("QueryRetrieveLevel", "2", default=_QUERY_LEVELS[query.level]),
        ATTRIBUTES["STUDY"]["RetrieveAETitle"]._replace(type="2"),
    ]
    rows = {attribute.keyword: attribute for attribute in (*always, *query.wanted)}
    own = [keyword for keyword in rows if query.level_of(keyword) == query.level]
    return ResponseIdentifiers(rows.values(), own, query.with_key, transfer_syntax)


def _lots(branches: Sequence[Branch]) -> Iterator[list[Branch]]:
    """The same records in lists of branches that are small enough."""
    lot: list[Branch] = []
    room = _LOT
    for branch in branches:
        start = 0
        while start < len(branch.records):
            end = start + room
            lot.append(branch._replace(names=branch.names[start:end], records=branch.records[start:end]))
            room -= len(lot[-1].records)
            start = end
            if not room:
                yield lot
                lot, room = [], _LOT
    if lot:
        yield lot
